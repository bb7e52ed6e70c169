//! Reads both files, reports the mistakes of both at once, and puts the configuration together.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::document::Document;
use super::keys;
use super::mistakes::{Mistake, Mistakes};
use super::places::{Places, WS_NAME, absolute};
use super::section::Section;
use super::server_file::{self, Server};
use super::services_file::{self, Services, Sources};
use super::{Config, Source};

/// The name of the control socket where the configuration says nothing.
pub(super) const CONTROL_NAME: &str = "lapps.sock";

/// Reads and checks the configuration.
///
/// Without `ws.json` its defaults hold and the server listens on loopback only; `lapps.json` has to be there.
///
/// # Errors
/// All mistakes of both files.
pub fn load(places: &Places) -> Result<Config, Mistakes> {
    let mut mistakes = Vec::new();
    let home = absolute(&places.home);
    let ws = read(&places.ws_file, &mut mistakes);
    if ws.is_none() && mistakes.is_empty() && places.ws_file.file_name() != Some(WS_NAME.as_ref()) {
        let wrong = "there is no such file, but WS_CONFIG names it";
        mistakes.push(about_file(&places.ws_file, wrong.to_string()));
    }
    let server = server(&places.ws_file, ws.as_deref(), &home, &mut mistakes);
    let had = mistakes.len();
    let lapps = read(&places.lapps_file, &mut mistakes);
    if lapps.is_none() && mistakes.len() == had {
        mistakes.push(about_file(&places.lapps_file, how_to_begin(&home)));
    }
    let services = services(&places.lapps_file, lapps.as_deref(), &home, &|_| Source::Apps, &mut mistakes);
    let socket = server.control.clone();
    let config = assemble(server, services, mistakes)?;
    let control = socket.unwrap_or_else(|| config.directories.workdir.join(CONTROL_NAME));
    Ok(Config { places: Some(places.clone()), control: Some(control), ..config })
}

/// Puts a configuration together from two texts.
pub(super) fn from_texts(
    home: &Path,
    ws: &str,
    lapps: &str,
    sources: Sources<'_>,
) -> Result<Config, Mistakes> {
    let mut mistakes = Vec::new();
    let server = server(Path::new(WS_NAME), Some(ws), home, &mut mistakes);
    let services = services(Path::new(super::places::LAPPS_NAME), Some(lapps), home, sources, &mut mistakes);
    assemble(server, services, mistakes)
}

fn assemble(server: Server, services: Services, mistakes: Vec<Mistake>) -> Result<Config, Mistakes> {
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    Ok(Config {
        listen: server.listen,
        workers: server.workers,
        acl: server.acl,
        tls: server.tls,
        client_tls: server.client_tls,
        auto_save: server.auto_save,
        directories: services.directories,
        services: services.services,
        timeouts: server.timeouts,
        queues: server.queues,
        admin: server.admin,
        log: server.log,
        control: None,
        places: None,
        demo: false,
    })
}

fn server(file: &Path, text: Option<&str>, home: &Path, mistakes: &mut Vec<Mistake>) -> Server {
    let document = Document::new(file.display().to_string(), text.unwrap_or("{}"));
    let value = document.parse();
    let mut server = server_file::read(&Section::root(&document, value.as_ref(), keys::WS), home);
    if text.is_none() {
        server.listen.ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    }
    drop(value);
    mistakes.extend(document.into_mistakes());
    server
}

fn services(
    file: &Path,
    text: Option<&str>,
    home: &Path,
    sources: Sources<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Services {
    let document = Document::new(file.display().to_string(), text.unwrap_or("{}"));
    let value = document.parse();
    let services = services_file::read(&Section::root(&document, value.as_ref(), keys::LAPPS), home, sources);
    drop(value);
    mistakes.extend(document.into_mistakes());
    services
}

/// The text of a file; `None` if it is not there or cannot be read, which is a mistake.
fn read(file: &Path, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            mistakes.push(about_file(file, format!("cannot be read: {error}")));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let mut mistake = about_file(file, "is not UTF-8 in this line".to_string());
            mistake.line = Some(line);
            mistakes.push(mistake);
            None
        }
    }
}

pub(super) fn about_file(file: &Path, wrong: String) -> Mistake {
    Mistake {
        file: file.display().to_string(),
        line: None,
        column: None,
        key: String::new(),
        value: None,
        wrong,
        allowed: String::new(),
        nearest: None,
    }
}

fn how_to_begin(home: &Path) -> String {
    if !home.is_dir() {
        return format!("there is no such file, and no home directory {}", home.display());
    }
    format!(
        "there is no such file; to begin, write {} into it, and the code of the service into {}",
        r#"{"services": {"hello": {"request_target": "/hello"}}}"#,
        home.join("apps/hello/hello.lua").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WS: &str = r#"{"ip": "::1", "port": 1, "workers": {"workers": 2, "max_poll_wait_ms": 10}, "tls": false,
        "acl": {"policy": "deny", "exclude": ["10.0.0.0/8"]}, "tls_certificates": {"cert": "a", "key": "b"}}"#;
    const LAPPS: &str = r#"{"directories": {"tmp": "t"}, "services": {"a": {"request_target": "/a", "depends": ["b"],
        "extra_headers": {"X": "y"}, "origins": ["https://a.b:1"], "preload": null, "outgoing_limit": 5e4},
        "b": {"instances": 2, "request_target": "/b", "proto_alias": "p", "protocol": "LAppS"}}}"#;
    /// What is put into the place of something: each breaks the syntax or a rule in its way.
    const PIECES: [&str; 20] = [
        "",
        " ",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "-1",
        "1.5",
        "1e999",
        "18446744073709551616",
        "\"\\u0000\"",
        "\"b\"",
        "\"/a\"",
        "\u{feff}",
        "é",
        "{\"a\": {}}",
    ];

    /// A text with some of its tokens replaced.
    fn damaged(text: &'static str) -> impl Strategy<Value = String> {
        let token_starts: Vec<usize> =
            text.char_indices().filter(|(_, c)| "{}[]:,".contains(*c)).map(|(at, _)| at).collect();
        let place = (0..token_starts.len() - 1, 0..PIECES.len(), any::<bool>());
        prop::collection::vec(place, 0..4).prop_map(move |mut places| {
            places.sort_by_key(|place| std::cmp::Reverse(place.0));
            places.dedup_by_key(|place| place.0);
            let mut damaged = text.to_string();
            for (token, piece, with_bracket) in places {
                let (start, end) =
                    (token_starts[token] + usize::from(!with_bracket), token_starts[token + 1]);
                damaged.replace_range(start..end, PIECES[piece]);
            }
            damaged
        })
    }

    proptest! {
        #[test]
        fn whatever_stands_in_the_files_the_answer_is_a_configuration_or_mistakes(
            ws in damaged(WS),
            lapps in damaged(LAPPS),
        ) {
            match from_texts(Path::new("/home"), &ws, &lapps, &|_| Source::Apps) {
                Ok(config) => {
                    prop_assert!(config.services.iter().all(|s| s.outgoing_limit >= s.outgoing_high_water));
                    prop_assert!(!config.memory_bound().to_string().is_empty());
                }
                Err(mistakes) => {
                    prop_assert!(!mistakes.0.is_empty());
                    for mistake in &mistakes.0 {
                        prop_assert!(mistake.line.is_some_and(|line| line >= 1), "{mistake}");
                        prop_assert!(!mistake.to_string().contains('\n'), "{mistake}");
                    }
                }
            }
        }
    }
}
