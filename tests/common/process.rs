//! The server as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::home::Home;

/// The server's executable.
pub const BINARY: &str = env!("CARGO_BIN_EXE_lapps");

/// A running server. Dropped, it is killed.
pub struct Lapps {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// What it printed until it listened.
    pub banner: String,
    stdout: Lines,
    stderr: Lines,
    seen: String,
}

impl Lapps {
    /// Starts the server on `home` and waits until it listens.
    pub fn start(home: &Home) -> Lapps {
        home.save();
        Lapps::run(home.path(), &["run", "--home", home.path().to_str().unwrap()], &[])
    }

    /// Starts the built-in demo on any free port.
    pub fn demo() -> Lapps {
        Lapps::run(Path::new("."), &["--demo", "--port", "0"], &[])
    }

    /// Starts the server on the home of an example, on any free port.
    pub fn example(name: &str) -> Lapps {
        Lapps::example_with(name, &[])
    }

    /// The same with environment variables.
    pub fn example_with(name: &str, variables: &[(&str, &str)]) -> Lapps {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        Lapps::run(Path::new("."), &["run", "--home", home.to_str().unwrap(), "--port", "0"], variables)
    }

    /// Waits for a line with `text` on standard output, where services print.
    pub fn expect_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Some(line) = self.stdout.next(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
        }
        panic!("{text:?} was not printed");
    }

    /// Starts the server with these arguments and environment variables, and waits until it listens.
    pub fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Lapps {
        Lapps::program(BINARY, directory, arguments, variables)
    }

    /// As [`Lapps::run`], for a program that becomes the server.
    pub fn program(program: &str, directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Lapps {
        let mut child = command(program, directory, arguments, variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server binary runs");
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut banner = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let Some(line) = stdout.next(wait) else {
                let _ = child.kill();
                let _ = child.wait();
                let log = stderr.rest();
                panic!("the server does not listen; it printed:\n{banner}{log}");
            };
            banner.push_str(&line);
            if let Some((_, url)) = line.split_once("listening on ") {
                let (scheme, address) = url.trim().split_once("://").expect("a URL");
                let address = address.parse().expect("an address");
                return Lapps {
                    child,
                    address,
                    tls: scheme == "wss",
                    banner,
                    stdout,
                    stderr,
                    seen: String::new(),
                };
            }
        }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits until its log or output has a line that holds `text`, and gives everything up to there.
    pub fn expect_log(&mut self, text: &str) -> String {
        self.see(&[text]);
        let at = self.seen.find(text).unwrap_or_default();
        let end = self.seen[at..].find('\n').map_or(self.seen.len(), |end| at + end + 1);
        self.seen.drain(..end).collect()
    }

    /// Waits until its log and output hold all these texts, in any order, and gives everything.
    pub fn expect_all(&mut self, texts: &[&str]) -> String {
        self.see(texts);
        std::mem::take(&mut self.seen)
    }

    fn see(&mut self, texts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(missing) = texts.iter().find(|text| !self.seen.contains(**text)) {
            let line =
                self.stdout.next(Duration::ZERO).or_else(|| self.stderr.next(Duration::from_millis(20)));
            match line {
                Some(line) => self.seen.push_str(&line),
                None => assert!(Instant::now() < deadline, "no {missing:?} in the log:\n{}", self.seen),
            }
        }
    }

    /// Waits until it has ended, and gives what it printed since the last look.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("the server does not end"),
                None => std::thread::yield_now(),
            }
        };
        let mut output = std::mem::take(&mut self.seen);
        output.push_str(&self.stdout.rest());
        output.push_str(&self.stderr.rest());
        (status, output)
    }

    /// Orders it to stop, and expects it to end well.
    pub fn stop(self) -> String {
        self.signal("TERM");
        let (status, output) = self.wait();
        assert!(status.success(), "{status}: {output}");
        output
    }
}

impl Drop for Lapps {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end: exit status, output, errors.
pub fn run_to_end(
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (ExitStatus, String, String) {
    let output = command(BINARY, directory, arguments, variables)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status, text(output.stdout), text(output.stderr))
}

fn command(program: &str, directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(variables.iter().copied());
    command
}

/// The lines of a stream, read by a thread of their own, so that the process never waits for us.
struct Lines(Mutex<Receiver<String>>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Lines(Mutex::new(receiver))
    }

    /// The next line, if it comes within `wait`.
    fn next(&self, wait: Duration) -> Option<String> {
        self.0.lock().unwrap().recv_timeout(wait).ok()
    }

    /// All lines to the end of the stream.
    fn rest(&self) -> String {
        self.0.lock().unwrap().iter().collect()
    }
}
