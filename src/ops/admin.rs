//! The admin listener: `/metrics`, `/healthz` and `/readyz` for those who watch, on threads that no client meets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapps_parser::http::{HeadError, HeadLimits, HeadScan, RequestHead, write_response};
use mio::net::TcpListener;

use super::ledger::Ledger;
use super::listening::{Listening, Listens, left_until};
use super::metrics;

/// How long one may take, from the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request is a line and a few fields.
const LIMITS: HeadLimits = HeadLimits { head: 8 * 1024, fields: 64, target: 1024 };

const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running admin listener. It ends when dropped.
pub(crate) struct Admin {
    address: SocketAddr,
    _listening: Listening,
}

impl Admin {
    /// Answers at a socket that listens.
    ///
    /// # Errors
    /// The system refused something that this needs.
    pub(crate) fn start(socket: std::net::TcpListener, ledger: Arc<Ledger>) -> io::Result<Admin> {
        let address = socket.local_addr()?;
        let listening = Listening::start("admin", TcpListener::from_std(socket), move |stream| {
            // Who hangs up, or takes too long, gets nothing.
            let _ = converse(stream, &ledger);
        })?;
        Ok(Admin { address, _listening: listening })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Listens for TcpListener {
    type Stream = TcpStream;

    fn accept(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::from(TcpListener::accept(self)?.0);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    fn turn_away(stream: TcpStream) {
        turn_away(stream);
    }
}

/// What fits into the socket's own buffer costs the thread that accepts no time.
fn turn_away(mut stream: TcpStream) {
    let mut out = Vec::new();
    let retry = [("Retry-After", "1")];
    write_response(&mut out, 503, "", &retry, PLAIN, b"too many requests at the same time\n", false);
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write(&out);
    }
}

/// Reads one request and answers it.
fn converse(mut stream: TcpStream, ledger: &Ledger) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut input = Vec::with_capacity(1024);
    let mut out = Vec::new();
    match read_head(&mut stream, &mut input, deadline)? {
        Ok(end) => match RequestHead::parse(&input[..end], &LIMITS) {
            Ok(head) => answer(&head, ledger, &mut out),
            Err(error) => refuse(&mut out, error),
        },
        Err(error) => refuse(&mut out, error),
    }
    write_all(&mut stream, &out, deadline)?;
    stream.shutdown(Shutdown::Write)?;
    // What it still sends would turn the answer into a reset.
    let mut junk = [0; 1024];
    let mut left = 64;
    while left > 0 && read_some(&mut stream, &mut junk, deadline)? > 0 {
        left -= 1;
    }
    Ok(())
}

/// Where the head of the request ends, or what is wrong with it.
fn read_head(
    stream: &mut TcpStream,
    input: &mut Vec<u8>,
    deadline: Instant,
) -> io::Result<Result<usize, HeadError>> {
    let mut scan = HeadScan::new();
    let mut buffer = [0; 1024];
    loop {
        let read = read_some(stream, &mut buffer, deadline)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(&buffer[..read]);
        match scan.find_end(input, &LIMITS) {
            Ok(Some(end)) => return Ok(Ok(end)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn read_some(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(Some(left_until(deadline)?))?;
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn write_all(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left_until(deadline)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn refuse(out: &mut Vec<u8>, error: HeadError) {
    write_response(out, error.status(), "", &[], PLAIN, format!("{error}\n").as_bytes(), false);
}

fn answer(head: &RequestHead<'_>, ledger: &Ledger, out: &mut Vec<u8>) {
    let head_only = head.method == "HEAD";
    let mut respond = |status, extra: &[(&str, &str)], kind, body: &str| {
        write_response(out, status, "", extra, kind, body.as_bytes(), head_only);
    };
    if !matches!(head.path, "/metrics" | "/healthz" | "/readyz") {
        return respond(404, &[], PLAIN, "here are /metrics, /healthz and /readyz\n");
    }
    if !matches!(head.method, "GET" | "HEAD") {
        return respond(405, &[("Allow", "GET, HEAD")], PLAIN, "this is to GET\n");
    }
    match head.path {
        "/metrics" => respond(200, &[], METRICS, &metrics::render(ledger)),
        "/readyz" if !ledger.is_ready() => respond(503, &[], PLAIN, "not ready: it starts or stops\n"),
        _ => respond(200, &[], PLAIN, "ok\n"),
    }
}
