//! `lapps test`: the test of a service, run against a server of its own.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use lapps::arguments::Test;
use lapps::config::{self, Config, Log, Places, Service, Source};
use lapps::server::{Outcome, Server};
use serde_json::json;

/// How long a test may take.
const SECONDS: u32 = 60;

/// Runs the test; a test that fails is an error.
pub(crate) fn run(arguments: &Test) -> Result<(), String> {
    let name = &arguments.service;
    let none = "there is no configuration; --home says where the service is";
    let places = Places::find(arguments.home.as_deref(), &|name| std::env::var_os(name)).ok_or(none)?;
    let config =
        config::load(&places).map_err(|mistakes| format!("mistakes in the configuration:\n{mistakes}"))?;
    if !config.services.iter().any(|service| service.name == *name) {
        let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
        return Err(format!("there is no service '{name}'; there are: {}", names.join(", ")));
    }
    let file = config.directories.applications.join(name).join(format!("{name}_test.lua"));
    let script = fs::read_to_string(&file)
        .map_err(|error| format!("the test of '{name}' is {}, but: {error}", file.display()))?;
    lapps::export_apps_dir(&config.directories.applications);
    // Mistakes of the service, unless more is wanted.
    let filter = std::env::var("LAPPS_LOG").unwrap_or_else(|_| "warn".into());
    lapps::start_log(&Log::default(), Some(&filter))?;

    let server = Server::start(alone(config, name)).map_err(|error| error.to_string())?;
    if let Some((_, Outcome::Failed(why))) =
        server.services().find(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    {
        return Err(why.clone());
    }
    let target = server.services().find(|(service, _)| service.name == *name);
    let target = target.map(|(service, _)| service.request_target.clone()).unwrap_or_default();
    let url = format!("ws://{}{target}", server.address());
    let (replacer, stopper) = (server.replacer(), server.stopper());
    let test = service(&format!("{name}_test"), wrapped(&script, name, &url))?;
    let result = std::thread::spawn(move || {
        let result = replacer.replace(vec![test]);
        stopper.stop();
        result
    });
    let ended = server.wait();
    lapps::end_log();
    ended?;
    let result = result.join().map_err(|_| "the test has panicked".to_owned())?;
    result.map_err(|refused| format!("the test of '{name}' failed\n{}", reason(&refused.why, &file)))?;
    println!("the test of '{name}' passed");
    Ok(())
}

/// The configuration with only this service and what it needs, plain, at any free port of the loopback; nothing is deployed,
/// and a server that runs is not disturbed.
fn alone(mut config: Config, name: &str) -> Config {
    config.listen.ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.listen.port = 0;
    config.tls = None;
    config.admin = None;
    config.control = None;
    config.places = None;
    let mut wanted = HashSet::from([name.to_owned()]);
    // From the last to the first: when it is a service's turn, all that need it had theirs.
    for service in config.services.iter().rev() {
        if wanted.contains(&service.name) {
            wanted.extend(service.depends.iter().cloned());
        }
    }
    config.services.retain(|service| wanted.contains(&service.name));
    for service in &mut config.services {
        service.auto_start = true;
    }
    config
}

/// The test as a standalone service, whose `init` is the test: it has started when that has passed.
///
/// All in front of the script stands in its first line, so that its lines keep their numbers.
fn wrapped(script: &str, name: &str, url: &str) -> String {
    format!(
        "url = {url:?}; local test = {{ run = function() end }}; \
         function test.init() local passed, why = with_timeout({SECONDS}, function() (function() {script}\n\
         end)() return true end) if not passed then error('the test of {name} took longer than {SECONDS} seconds', 0) end \
         end return test"
    )
}

/// The test as a service.
fn service(name: &str, code: String) -> Result<Service, String> {
    let entry = json!({ "name": name, "standalone": true, "preload": ["cws", "mqr", "nap", "time"] });
    let deployment = config::deployment(name, entry.to_string().as_bytes(), name, &[]);
    let mut service = deployment
        .ok()
        .and_then(|mut deployment| deployment.order.pop())
        .ok_or_else(|| format!("there can be no service '{name}', as which the test would run"))?;
    // The process ends with the test.
    service.source = Source::Embedded(Box::leak(code.into_boxed_str()));
    Ok(service)
}

/// Why it failed, with the path of the file in place of its name.
fn reason(why: &str, file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    why.replacen(&*name, &file.display().to_string(), 1)
}
