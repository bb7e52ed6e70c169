//! The control socket: who may write to it asks what the server does, and changes that, by one line of JSON and one in answer.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::UnixListener;
use serde_json::{Value, json};

use super::listening::{Listening, Listens, left_until};
use crate::sys::peer;

/// How long a request, and the answer, may take on its way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request.
const MOST: usize = 4096;

/// Connections that are listed where nobody says how many.
const LISTED: u64 = 1000;

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Status,
    Services,
    /// Those of one service, or all; at most so many of each worker.
    Connections {
        service: Option<String>,
        limit: usize,
    },
    /// Close the connection with this number.
    Kick {
        id: u64,
    },
    Change {
        service: String,
        change: Change,
    },
    /// Read certificates and access lists again.
    Reload,
    /// Log by this filter from now on.
    Log {
        filter: String,
    },
}

/// What is to become of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Start,
    Stop,
    Restart,
}

/// Who knows the answers.
pub(crate) trait Desk: Send + Sync + 'static {
    /// Does what is asked and waits until it is done.
    ///
    /// # Errors
    /// Why not, for the one who asks.
    fn answer(&self, request: Request) -> Result<Value, String>;
}

/// A running control socket. It ends, and the socket is removed, when this is dropped.
pub(crate) struct Control {
    path: PathBuf,
    _listening: Listening,
}

impl Control {
    /// Answers at a socket that is made at `path`, for its owner alone. One that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// The socket cannot be made, or another server listens there.
    pub(crate) fn start(path: &Path, desk: impl Desk) -> io::Result<Control> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Under its name it is there only when nobody else can connect to it.
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let _ = fs::remove_file(&aside);
        let socket = UnixListener::bind(&aside)?;
        let placed = fs::set_permissions(&aside, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&aside, path));
        if let Err(error) = placed {
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        let desk = Arc::new(desk);
        let listening = Listening::start("control", socket, move |stream| {
            // Who hangs up gets nothing.
            let _ = converse(stream, &*desk);
        })?;
        Ok(Control { path: path.to_owned(), _listening: listening })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Listens for UnixListener {
    type Stream = UnixStream;

    fn accept(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::from(UnixListener::accept(self)?.0);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    fn turn_away(mut stream: UnixStream) {
        if stream.set_nonblocking(true).is_ok() {
            let _ = stream.write(b"{\"error\":\"too many requests at the same time\"}\n");
        }
    }
}

/// Reads one request and answers it.
fn converse(mut stream: UnixStream, desk: &dyn Desk) -> io::Result<()> {
    if !peer::is_own_or_root(&stream)? {
        tracing::warn!("the control socket was used by somebody else than the server's user and root");
        return stream.write_all(b"{\"error\":\"only who runs the server, or root, may use this\"}\n");
    }
    let answer = match read_line(&mut stream)? {
        Ok(line) => read(&line).and_then(|request| desk.answer(request)),
        Err(wrong) => Err(wrong),
    };
    let mut text = answer.unwrap_or_else(|error| json!({ "error": error })).to_string();
    text.push('\n');
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())
}

/// The line that is the request, or what is wrong with it.
fn read_line(stream: &mut UnixStream) -> io::Result<Result<Vec<u8>, String>> {
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    loop {
        stream.set_read_timeout(Some(left_until(deadline)?))?;
        let read = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&buffer[..read]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(Ok(line));
        }
        if line.len() > MOST {
            return Ok(Err(format!("a request has at most {MOST} bytes")));
        }
    }
}

/// Reads a request.
fn read(line: &[u8]) -> Result<Request, String> {
    let request: Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
    let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
    let command = text("command").ok_or("a request is an object with a string \"command\"")?;
    let service = || text("service").ok_or(format!("{command} needs a string \"service\""));
    let change = |change| Ok(Request::Change { service: service()?, change });
    match command.as_str() {
        "status" => Ok(Request::Status),
        "services" => Ok(Request::Services),
        "connections" => {
            let limit = request.get("limit").and_then(Value::as_u64).unwrap_or(LISTED);
            Ok(Request::Connections { service: text("service"), limit: limit.min(1 << 24) as usize })
        }
        "kick" => {
            let id = request.get("id").and_then(Value::as_u64).ok_or("kick needs a number \"id\"")?;
            Ok(Request::Kick { id })
        }
        "reload" => Ok(Request::Reload),
        "log" => {
            let filter = text("filter").ok_or("log needs a string \"filter\"")?;
            Ok(Request::Log { filter })
        }
        "start" => change(Change::Start),
        "stop" => change(Change::Stop),
        "restart" => change(Change::Restart),
        _ => Err(format!("there is no command '{command}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_wants() {
        let read = |text: &str| read(text.as_bytes());
        assert_eq!(read(r#"{"command": "status"}"#), Ok(Request::Status));
        assert_eq!(
            read(r#"{"command": "connections", "service": "a", "limit": 3}"#),
            Ok(Request::Connections { service: Some("a".into()), limit: 3 })
        );
        assert_eq!(
            read(r#"{"command": "kick", "id": 9007199254740991}"#),
            Ok(Request::Kick { id: (1 << 53) - 1 })
        );
        let stop = Request::Change { service: "a".into(), change: Change::Stop };
        assert_eq!(read(r#"{"command": "stop", "service": "a"}"#), Ok(stop));
    }

    #[test]
    fn a_request_that_makes_no_sense_is_told_what_it_lacks() {
        for (text, wrong) in [
            ("", "no JSON"),
            ("[]", "\"command\""),
            (r#"{"command": 1}"#, "\"command\""),
            (r#"{"command": "halt"}"#, "'halt'"),
            (r#"{"command": "kick", "id": "1"}"#, "\"id\""),
            (r#"{"command": "kick", "id": -1}"#, "\"id\""),
            (r#"{"command": "stop"}"#, "\"service\""),
            (r#"{"command": "log"}"#, "\"filter\""),
        ] {
            let told = read(text.as_bytes()).unwrap_err();
            assert!(told.contains(wrong), "{text}: {told}");
        }
    }
}
