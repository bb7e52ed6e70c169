//! The command line.

mod commands;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use commands::{archives, live, logging, manual, new, signals, test, welcome};
use lapps::arguments::{Arguments, Command, Place, Run};
use lapps::config::{self, Config, Placement, Places, Protocol};
use lapps::dev_cert;
use lapps::server::{Outcome, Server, Stopper};

#[global_allocator]
static ALLOCATOR: lapps::Allocator = lapps::Allocator;

fn main() -> ExitCode {
    if !lapps::fits_cpu() {
        return ExitCode::FAILURE;
    }
    obey()
}

/// Does what the arguments say. Not inlined, so that nothing of it is done before `main` has looked at the processor.
#[inline(never)]
fn obey() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => run(&arguments.run),
        Some(Command::Run(arguments)) => run(&arguments),
        Some(Command::Check(place)) => check(&place),
        Some(Command::New(arguments)) => new::make(&arguments),
        Some(Command::Test(arguments)) => test::run(&arguments),
        Some(Command::DevCert { directory }) => make_certificate(&directory),
        Some(Command::Pack(arguments)) => archives::pack(&arguments),
        Some(Command::Unpack(arguments)) => archives::unpack(&arguments),
        Some(Command::List(arguments)) => archives::list(&arguments),
        Some(Command::Live(command)) => live::run(&command),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { directory }) => manual::pages(&directory),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lapps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn configure(place: &Place) -> Result<(Config, Option<Places>), String> {
    let places =
        if place.demo { None } else { Places::find(place.home.as_deref(), &|name| std::env::var_os(name)) };
    let config = match &places {
        Some(places) => config::load(places).map_err(|mistakes| {
            format!("{} in the configuration:\n{mistakes}", counted(mistakes.0.len(), "mistake"))
        })?,
        None => config::demo(),
    };
    Ok((config, places))
}

fn check(place: &Place) -> Result<(), String> {
    let (config, places) = configure(place)?;
    match places {
        Some(places) => {
            println!("{} and {}: no mistakes", places.ws_file.display(), places.lapps_file.display())
        }
        None => println!("no configuration: the built-in demo"),
    }
    println!("{}", config.memory_bound());
    Ok(())
}

fn make_certificate(directory: &std::path::Path) -> Result<(), String> {
    let pair = dev_cert::make(directory).map_err(|error| error.to_string())?;
    println!("wrote {} and {}", pair.certificate.display(), pair.key.display());
    println!(
        "in ws.json: \"tls\": true, \"tls_certificates\": {{ \"cert\": {:?}, \"key\": {:?} }}",
        pair.certificate, pair.key
    );
    Ok(())
}

fn run(arguments: &Run) -> Result<(), String> {
    let (mut config, places) = configure(&arguments.place)?;
    if let Some(port) = arguments.port {
        config.listen.port = port;
    }
    lapps::export_apps_dir(&config.directories.applications);
    logging::apply(&arguments.log, &mut config.log);
    lapps::start_log(&config.log, std::env::var("LAPPS_LOG").ok().as_deref())?;

    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    let demo = config.demo;
    let started = Arc::new(OnceLock::<Stopper>::new());
    signals::listen(Arc::clone(&started))?;
    println!("{}", lapps::build());
    match &places {
        Some(places) => {
            println!("home {} (configuration in {})", places.home.display(), places.conf_dir.display())
        }
        None => println!("no configuration: this is the built-in demo"),
    }
    let early = |stopper| drop(started.set(stopper));
    let server = Server::start_stoppable(config, early).map_err(|error| error.to_string())?;
    if !server.is_stopping() {
        print_state(&server);
        println!("listening on {scheme}://{}", server.address());
        if let Some(admin) = server.admin_address() {
            println!("metrics at http://{admin}/metrics");
        }
        if demo {
            println!("open http://{}/ in a browser; Ctrl-C stops the server", server.address());
            if !arguments.place.demo && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
                print!("{}", welcome::TEXT);
            }
        }
    }
    let ended = server.wait();
    lapps::end_log();
    ended?;
    println!("stopped");
    Ok(())
}

fn print_state(server: &Server) {
    let pins: Vec<String> = server
        .pins()
        .iter()
        .map(|pin| pin.map_or_else(|| "any".to_owned(), |core| core.to_string()))
        .collect();
    let on = if pins.len() == 1 { "core" } else { "cores" };
    let by = if server.has_rings() { " (io_uring)" } else { "" };
    println!("{} on {on} {}{by}", counted(pins.len(), "I/O worker"), pins.join(" "));
    for (service, outcome) in server.services() {
        let placement = match service.placement {
            Placement::Worker => format!("worker ({})", counted(pins.len(), "co-located instance")),
            Placement::Dedicated(count) => format!("dedicated ({})", counted(count, "instance")),
            Placement::Standalone(count) => format!("standalone ({})", counted(count, "instance")),
        };
        let protocol = match service.protocol {
            Protocol::Raw => "raw",
            Protocol::Lapps => "LAppS",
        };
        let state = match outcome {
            Outcome::Running => "running",
            Outcome::NotStarted => "not started (auto_start is false)",
            Outcome::Failed(_) => "FAILED, see the log",
        };
        match service.placement {
            Placement::Standalone(_) => println!("service {}, {placement}: {state}", service.name),
            _ => {
                let target = &service.request_target;
                println!("service {} at {target}, {protocol}, {placement}: {state}", service.name);
            }
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
