//! The commands that ask or change a server that runs, through its control socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use lapps::arguments::{Live, Named, Where};
use lapps::config::{Places, control_socket};
use serde_json::{Value, json};

/// Carries out a command.
pub(crate) fn run(command: &Live) -> Result<(), String> {
    match command {
        Live::Status(place) => show(place, &json!({ "command": "status" }), status),
        Live::Services(place) => show(place, &json!({ "command": "services" }), services),
        Live::Connections { service, limit, place } => {
            let request = json!({ "command": "connections", "service": service, "limit": limit });
            show(place, &request, connections)
        }
        Live::Kick { id, place } => {
            show(place, &json!({ "command": "kick", "id": id }), |_| format!("connection {id} is closed\n"))
        }
        Live::Reload(place) => reload(place),
        Live::Log { filter, place } => {
            let request = json!({ "command": "log", "filter": filter });
            show(place, &request, |_| format!("from now on the log has: {filter}\n"))
        }
        Live::Start(named) => change("start", named, "is running"),
        Live::Stop(named) => {
            let request = json!({ "command": "stop", "service": named.service });
            show(&named.place, &request, |answer| {
                let left =
                    if answer["gone"] == true { "" } else { ", but not all of its handlers have ended" };
                format!("service {} is stopped{left}\n", named.service)
            })
        }
        Live::Restart(named) => change("restart", named, "is running anew"),
    }
}

fn change(command: &str, named: &Named, done: &str) -> Result<(), String> {
    let request = json!({ "command": command, "service": named.service });
    show(&named.place, &request, |_| format!("service {} {done}\n", named.service))
}

/// Fails if anything was refused, after it has said what was not.
fn reload(place: &Where) -> Result<(), String> {
    let answer = ask(&find(place)?, &json!({ "command": "reload" }))?;
    print(place, &answer, reloaded)?;
    let refused = texts(&answer["refused"]);
    if refused.is_empty() {
        Ok(())
    } else {
        Err(format!("refused, the old is in force: {}", refused.join("\n")))
    }
}

fn reloaded(answer: &Value) -> String {
    let mut text = match texts(&answer["changed"]).join(", ") {
        changed if changed.is_empty() && answer["refused"] != json!([]) => String::new(),
        changed if changed.is_empty() => "read again: nothing is to be applied\n".to_owned(),
        changed => format!("read again, for new connections: {changed}\n"),
    };
    for key in texts(&answer["needs_restart"]) {
        text.push_str(&format!("changed, but this needs a restart: {key}\n"));
    }
    text
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Sends a request and prints the answer.
fn show(place: &Where, request: &Value, words: impl Fn(&Value) -> String) -> Result<(), String> {
    let answer = ask(&find(place)?, request)?;
    print(place, &answer, words)
}

/// Prints an answer, or fails with the error that it is.
fn print(place: &Where, answer: &Value, words: impl Fn(&Value) -> String) -> Result<(), String> {
    if let Some(error) = answer["error"].as_str() {
        return Err(error.to_owned());
    }
    let text = if place.json { format!("{answer}\n") } else { words(answer) };
    // Who reads no further has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// The path of the socket.
fn find(place: &Where) -> Result<PathBuf, String> {
    if let Some(socket) = &place.socket {
        return Ok(socket.clone());
    }
    let none = "there is no configuration; --home or --socket says which server is meant";
    let places = Places::find(place.home.as_deref(), &|name| std::env::var_os(name)).ok_or(none)?;
    Ok(control_socket(&places))
}

fn ask(socket: &Path, request: &Value) -> Result<Value, String> {
    let at = socket.display();
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            format!("no server runs here: nobody listens at {at}")
        }
        ErrorKind::PermissionDenied => format!("only who runs the server, or root, may use {at}"),
        _ => format!("cannot reach the server at {at}: {error}"),
    })?;
    let failed = |error| format!("the server at {at} does not answer: {error}");
    stream.write_all(format!("{request}\n").as_bytes()).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(failed)?;
    serde_json::from_str(&line).map_err(|_| format!("the server at {at} has ended before it answered"))
}

fn status(answer: &Value) -> String {
    let ready = if answer["ready"] == true { "serving" } else { "starting or stopping" };
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    format!(
        "lapps {} (process {}), {ready} for {} s\nlistening on {}\n{} I/O workers, {} connections\n\
         {} messages received, {} sent\n",
        text("version"),
        answer["pid"],
        answer["uptime_seconds"],
        text("listening"),
        answer["workers"],
        answer["connections"],
        answer["messages_received"],
        answer["messages_sent"],
    )
}

fn services(answer: &Value) -> String {
    const COLUMNS: [&str; 8] = [
        "name",
        "target",
        "placement",
        "instances",
        "state",
        "connections",
        "messages_received",
        "messages_sent",
    ];
    let mut text = table(&COLUMNS, &answer["services"]);
    for service in answer["services"].as_array().into_iter().flatten() {
        if let Some(why) = service["why"].as_str() {
            text.push_str(&format!("{}: {why}\n", service["name"].as_str().unwrap_or_default()));
        }
    }
    text
}

fn connections(answer: &Value) -> String {
    const COLUMNS: [&str; 7] = ["id", "service", "peer", "state", "worker", "queued_bytes", "silent_ms"];
    let mut text = table(&COLUMNS, &answer["connections"]);
    if answer["complete"] != true {
        text.push_str("there are more, or a worker was too busy to tell\n");
    }
    text
}

/// Objects as lines below the names of their members.
fn table(columns: &[&str], rows: &Value) -> String {
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut lines =
        vec![columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect::<Vec<_>>()];
    for row in rows.as_array().into_iter().flatten() {
        lines.push(columns.iter().map(|name| cell(&row[*name])).collect());
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
