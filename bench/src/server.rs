//! A server process that this process starts, waits for, and ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGTERM.
const END: Duration = Duration::from_secs(15);
/// Lines of its log that are shown if it fails.
const TAIL: usize = 15;

/// A running server. It is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    authority: String,
}

impl Server {
    /// Starts `command` and waits for a line with `listening on SCHEME://ADDRESS:PORT` on its standard output. Its
    /// standard error goes into the file `log`.
    ///
    /// # Errors
    /// [`Failure::Server`] if it cannot be started, ends, or does not say that line within 20 s.
    pub fn start(name: &str, mut command: Command, scheme: &str, log: &Path) -> Result<Server, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed =
            |error: std::io::Error| Failure::Server(format!("cannot start {name} ({program}): {error}"));
        let stderr = fs::File::create(log).map_err(failed)?;
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().map_err(failed)?;
        let output = child.stdout.take();
        let mut server =
            Server { name: name.to_owned(), child, log: log.to_owned(), authority: String::new() };
        let (tell, told) = mpsc::channel();
        let prefix = format!("listening on {scheme}://");
        if let Some(output) = output {
            // Lives until the server ends: its output has to be read all the time, or the pipe fills and it stops.
            thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                    if let Some(authority) = listening(&String::from_utf8_lossy(&line), &prefix) {
                        let _ = tell.send(authority);
                    }
                }
            });
        }
        match told.recv_timeout(START) {
            Ok(authority) => server.authority = authority,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(
                    server.failed(&format!("did not say that it listens within {} s", START.as_secs()))
                );
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(server.failed("ended before it listened"));
            }
        }
        Ok(server)
    }

    /// Address and port, as the server wrote them.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A failure that shows the end of this server's log.
    pub fn failed(&self, what: &str) -> Failure {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL)..];
        let said = if tail.is_empty() { "nothing on standard error".to_owned() } else { tail.join("\n  ") };
        Failure::Server(format!("{} {what}; it said:\n  {said}", self.name))
    }

    fn end(&mut self) -> std::io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let until = Instant::now() + END;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that cannot be ended cannot be helped from here either.
        let _ = self.end();
    }
}

/// The address in a line that says where a server listens.
fn listening(line: &str, prefix: &str) -> Option<String> {
    let rest = &line[line.find(prefix)? + prefix.len()..];
    let end = rest.find(|c: char| c.is_whitespace() || c == '/' || c == ',').unwrap_or(rest.len());
    (end > 0).then(|| rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Server, Failure> {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Server::start("the server", command, "ws", log.path())
    }

    #[test]
    fn finds_the_address_in_the_line() {
        let find = |line| listening(line, "listening on ws://");
        assert_eq!(find("listening on ws://127.0.0.1:5083").as_deref(), Some("127.0.0.1:5083"));
        assert_eq!(find("  INFO listening on ws://[::1]:1/ (2 workers)").as_deref(), Some("[::1]:1"));
        assert_eq!(find("listening on wss://127.0.0.1:1"), None);
        assert_eq!(find("listening on ws://"), None);
    }

    #[test]
    fn starts_waits_and_ends() {
        let server = shell("echo hello; echo listening on ws://127.0.0.1:9; exec sleep 60").unwrap();
        assert_eq!(server.authority(), "127.0.0.1:9");
        let proc = format!("/proc/{}", server.pid());
        assert!(Path::new(&proc).exists());
        drop(server);
        assert!(!Path::new(&proc).exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_quoted() {
        let text = shell("echo no such port >&2").unwrap_err().to_string();
        assert!(
            text.contains("the server ended before it listened") && text.contains("no such port"),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let command = Command::new("/no/such/program");
        let text = Server::start("it", command, "ws", log.path()).unwrap_err().to_string();
        assert!(text.contains("/no/such/program"), "{text}");
    }
}
