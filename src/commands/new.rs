//! `lapps new`: a service with its code, a test of it, a page that talks to it, and its entry in the configuration.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lapps::arguments::{Kind, New};
use lapps::config::{self, Config, Places};
use serde_json::{Value, json};

/// What `require` finds under these names would be the service instead.
const MODULES: [&str; 17] = [
    "barrier",
    "bcast",
    "channel",
    "cond",
    "condition_variable",
    "cws",
    "future",
    "mqr",
    "murmur",
    "mutex",
    "nap",
    "pam_auth",
    "recursive_mutex",
    "semaphore",
    "sleep_for",
    "steady_timer",
    "time",
];

/// The configuration of a new home.
const WS: &str = "{\n  \"ip\": \"127.0.0.1\",\n  \"port\": 5083\n}\n";
const LAPPS: &str = "{\n  \"services\": {}\n}\n";

/// What pages of the LAppS protocol need.
const SCRIPTS: [(&str, &str); 2] = [
    ("cbor.js", include_str!("../../examples/lapps_echo/client/cbor.js")),
    ("lapps.js", include_str!("../../examples/lapps_echo/client/lapps.js")),
];

/// Makes the service, and tells what to do next.
pub(crate) fn make(arguments: &New) -> Result<(), String> {
    let name = &arguments.name;
    let home = home(arguments)?;
    let places = places(&home)?;
    let had = places.lapps_file.exists();
    let before = if had { Some(load(&places)?) } else { None };
    let entry = entry(arguments);
    fits(name, &entry, before.as_ref())?;

    let apps = before.as_ref().map_or(home.join("apps"), |config| config.directories.applications.clone());
    let apps = if had { short(&apps, &home) } else { apps };
    let service = apps.join(name);
    let page = home.join("client").join(format!("{name}.html"));
    for path in [&service, &page] {
        if path.symlink_metadata().is_ok() {
            return Err(format!("{} is there already; nothing was made", path.display()));
        }
    }

    if !had {
        write_if_missing(&places.ws_file, WS)?;
        write_if_missing(&places.lapps_file, LAPPS)?;
    }
    let config = load(&places)?;
    // Where the socket is by which commands reach the server.
    make_directory(&config.directories.workdir)?;
    let url = url(&config, name);
    let (code, test, text) = templates(arguments.protocol);
    let fill = |template: &str| {
        let channel = channel(name).to_string();
        template.replace("{{name}}", name).replace("{{url}}", &url).replace("{{channel}}", &channel)
    };
    let (code_file, test_file) =
        (service.join(format!("{name}.lua")), service.join(format!("{name}_test.lua")));
    write_new(&code_file, &fill(code))?;
    write_new(&test_file, &fill(test))?;
    write_new(&page, &fill(text))?;
    if arguments.protocol == Kind::Lapps {
        for (file, text) in SCRIPTS {
            write_if_missing(&home.join("client").join(file), text)?;
        }
    }
    config::save(&places, name, entry.to_string().as_bytes()).map_err(|error| {
        format!("{error}\nthe files are made; add this to the services there:\n  \"{name}\": {entry}")
    })?;
    load(&places)?;

    let told = told(
        &home,
        name,
        &[
            (&code_file, "the service"),
            (&test_file, "its test"),
            (&page, "a page that talks to it"),
            (&places.lapps_file, "where it listens and how it runs"),
        ],
        &page,
        &url,
    );
    // Who reads no further has seen enough.
    let _ = io::stdout().write_all(told.as_bytes());
    Ok(())
}

/// The home that is meant: the one that is named; else the current directory if it is one; else a new one, called like the
/// service.
fn home(arguments: &New) -> Result<PathBuf, String> {
    if let Some(home) = &arguments.home {
        return Ok(home.clone());
    }
    if places(Path::new("."))?.lapps_file.is_file() {
        return Ok(".".into());
    }
    let home = PathBuf::from(&arguments.name);
    let is_taken = home.symlink_metadata().is_ok()
        && !fs::read_dir(&home).is_ok_and(|mut entries| entries.next().is_none());
    match is_taken {
        true => Err(format!(
            "{0} is there already; `lapps new {0} --home DIR` puts the service into the home DIR",
            arguments.name
        )),
        false => Ok(home),
    }
}

fn places(home: &Path) -> Result<Places, String> {
    Places::find(Some(home), &|name| std::env::var_os(name)).ok_or_else(|| "there is no home".to_owned())
}

fn load(places: &Places) -> Result<Config, String> {
    config::load(places).map_err(|mistakes| format!("mistakes in the configuration:\n{mistakes}"))
}

/// The entry in `lapps.json`, with the name, as archives have it.
fn entry(arguments: &New) -> Value {
    let target = format!("/{}", arguments.name);
    match arguments.protocol {
        Kind::Raw => json!({ "request_target": target, "protocol": "raw", "instances": 1 }),
        Kind::Lapps => json!({ "request_target": target, "protocol": "LAppS" }),
    }
}

/// Whether there can be a service of this name beside the others.
fn fits(name: &str, entry: &Value, config: Option<&Config>) -> Result<(), String> {
    let services = config.map_or(&[][..], |config| &config.services);
    if services.iter().any(|service| service.name == name) {
        return Err(format!("there is a service {name} already; nothing was made"));
    }
    if MODULES.contains(&name) {
        return Err(format!(
            "a service named {name} would hide the module of that name; choose another name; nothing was made"
        ));
    }
    let mut entry = entry.clone();
    entry["name"] = name.into();
    config::deployment("the new service", entry.to_string().as_bytes(), name, services).map(drop).map_err(
        |mistakes| match mistakes.0.first() {
            Some(mistake) => format!("{}; {}; nothing was made", mistake.wrong, mistake.allowed),
            None => "nothing was made".to_owned(),
        },
    )
}

fn templates(protocol: Kind) -> (&'static str, &'static str, &'static str) {
    match protocol {
        Kind::Raw => {
            (include_str!("new/raw.lua"), include_str!("new/raw_test.lua"), include_str!("new/raw.html"))
        }
        Kind::Lapps => (
            include_str!("new/lapps.lua"),
            include_str!("new/lapps_test.lua"),
            include_str!("new/lapps.html"),
        ),
    }
}

/// Channels belong to the whole server; services that are made here do not meet on one by chance (FNV-1a, 31 bits).
fn channel(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619)) >> 1
}

/// Where clients on this machine find the service.
fn url(config: &Config, name: &str) -> String {
    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    let host = match config.listen.ip {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("{scheme}://{host}:{}/{name}", config.listen.port)
}

/// A path below the home as seen from where the user is.
fn short(path: &Path, home: &Path) -> PathBuf {
    let below =
        std::path::absolute(home).ok().and_then(|home| Some(path.strip_prefix(home).ok()?.to_owned()));
    below.map_or_else(|| path.to_owned(), |below| home.join(below))
}

fn make_directory(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("cannot make {}: {error}", path.display()))
}

/// Writes a file that is not there.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    if let Some(directory) = path.parent() {
        make_directory(directory)?;
    }
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn write_if_missing(path: &Path, text: &str) -> Result<(), String> {
    if path.exists() { Ok(()) } else { write_new(path, text) }
}

/// What was made, and what to type next.
fn told(home: &Path, name: &str, files: &[(&Path, &str)], page: &Path, url: &str) -> String {
    let width = files.iter().map(|(path, _)| path.display().to_string().len()).max().unwrap_or(0);
    let mut text = "made\n".to_owned();
    for (path, what) in files {
        text.push_str(&format!("  {:width$}  {what}\n", path.display().to_string()));
    }
    let home = quoted(&home.display().to_string());
    text.push_str(&format!(
        "next\n  lapps test {name} --home {home}\n  lapps run --home {home}\n\
         then open {} in a browser: it talks to {url}\n",
        page.display()
    ));
    text
}

/// As a shell wants it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_wants_it() {
        assert_eq!(quoted("a/b-c.d"), "a/b-c.d");
        assert_eq!(quoted("my home"), "'my home'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn services_do_not_share_a_channel() {
        let names = ["a", "b", "chat", "chat2", "news", "calc", "second"];
        let mut channels: Vec<u32> = names.iter().map(|name| channel(name)).collect();
        channels.sort_unstable();
        channels.dedup();
        assert_eq!(channels.len(), names.len());
    }
}
