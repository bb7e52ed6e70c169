//! The admin listener: `/metrics`, `/healthz` and `/readyz` for those who watch, on threads that no client meets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lapps_parser::http::{HeadError, HeadLimits, HeadScan, RequestHead, write_response};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::ledger::Ledger;
use super::metrics;

const LISTENER: Token = Token(0);
const WAKE: Token = Token(1);

/// Requests that are answered at the same time; who comes beside them is told to come again.
const MOST: usize = 8;

/// How long one may take, from the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing is accepted when the system has nothing left for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A request is a line and a few fields.
const LIMITS: HeadLimits = HeadLimits { head: 8 * 1024, fields: 64, target: 1024 };

const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running admin listener. It ends when dropped.
pub(crate) struct Admin {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Answers at a socket that listens, on a thread of its own.
    ///
    /// # Errors
    /// The system refused something that this needs.
    pub(crate) fn start(socket: std::net::TcpListener, ledger: Arc<Ledger>) -> io::Result<Admin> {
        let address = socket.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let listening = Listening {
            poll,
            socket: TcpListener::from_std(socket),
            ledger,
            stop: Arc::clone(&stop),
            busy: Arc::default(),
        };
        let thread = thread::Builder::new().name("admin".into()).spawn(move || {
            if let Err(error) = listening.run() {
                // Clients are served without it.
                tracing::error!("the admin listener has ended: {error}");
            }
        })?;
        Ok(Admin { address, stop, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread that accepts.
struct Listening {
    poll: Poll,
    socket: TcpListener,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
}

impl Listening {
    fn run(mut self) -> io::Result<()> {
        self.poll.registry().register(&mut self.socket, LISTENER, Interest::READABLE)?;
        let mut events = Events::with_capacity(4);
        let mut timeout = None;
        while !self.stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => timeout = self.accept_all(),
            }
        }
        Ok(())
    }

    /// Accepts all that are there. Tells how long to wait before the next look, if nobody may say when.
    fn accept_all(&self) -> Option<Duration> {
        while !self.stop.load(Ordering::Acquire) {
            match self.socket.accept() {
                Ok((stream, _)) => self.place(stream.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(_) => return Some(PAUSE),
            }
        }
        None
    }

    /// Lets a thread answer, which may take as long as the one who asks.
    fn place(&self, stream: TcpStream) {
        if stream.set_nonblocking(false).is_err() {
            return;
        }
        if self.busy.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.busy.fetch_sub(1, Ordering::AcqRel);
            return turn_away(stream);
        }
        let seat = Busy(Arc::clone(&self.busy));
        let ledger = Arc::clone(&self.ledger);
        let answering = thread::Builder::new().name("admin-answer".into()).spawn(move || {
            let _seat = seat;
            // Who hangs up, or takes too long, gets nothing.
            let _ = converse(stream, &ledger);
        });
        if let Err(error) = answering {
            tracing::warn!("the admin listener cannot answer: {error}");
        }
    }
}

/// One of the requests that are being answered.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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

fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
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
