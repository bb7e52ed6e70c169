//! A socket on which few are answered, each on a thread of its own: whoever is slow makes nobody wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};

const LISTENER: Token = Token(0);
const WAKE: Token = Token(1);

/// Those that are answered at the same time.
const MOST: usize = 8;

/// How long nothing is accepted when the system has nothing left for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens and does not block.
pub(super) trait Listens: Source + Send + 'static {
    type Stream: Send + 'static;

    /// The next connection, which blocks.
    fn accept(&self) -> io::Result<Self::Stream>;

    /// What is done with a connection while as many as may be are answered; it may not take long.
    fn turn_away(stream: Self::Stream);
}

/// A thread that accepts. It ends when this is dropped; answers that are under way do not.
pub(super) struct Listening {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Lets `converse` have each connection, on a thread of its own.
    ///
    /// # Errors
    /// The system refused something that this needs.
    pub(super) fn start<L: Listens>(
        name: &'static str,
        mut socket: L,
        converse: impl Fn(L::Stream) + Send + Sync + 'static,
    ) -> io::Result<Listening> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        poll.registry().register(&mut socket, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let state = State {
            name,
            poll,
            socket,
            converse: Arc::new(converse),
            stop: Arc::clone(&stop),
            busy: Arc::default(),
        };
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            if let Err(error) = state.run() {
                // Clients are served without it.
                tracing::error!("the {name} listener has ended: {error}");
            }
        })?;
        Ok(Listening { stop, waker, thread: Some(thread) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread that accepts.
struct State<L, C> {
    name: &'static str,
    poll: Poll,
    socket: L,
    converse: Arc<C>,
    stop: Arc<AtomicBool>,
    /// Those that are being answered.
    busy: Arc<AtomicUsize>,
}

impl<L: Listens, C: Fn(L::Stream) + Send + Sync + 'static> State<L, C> {
    fn run(mut self) -> io::Result<()> {
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
                Ok(stream) => self.place(stream),
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

    fn place(&self, stream: L::Stream) {
        if self.busy.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.busy.fetch_sub(1, Ordering::AcqRel);
            return L::turn_away(stream);
        }
        let seat = Busy(Arc::clone(&self.busy));
        let converse = Arc::clone(&self.converse);
        let answering = thread::Builder::new().name(format!("{}-answer", self.name)).spawn(move || {
            let _seat = seat;
            converse(stream);
        });
        if let Err(error) = answering {
            tracing::warn!("the {} listener cannot answer: {error}", self.name);
        }
    }
}

/// One of those that are being answered.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The time until then; past it, an error.
pub(super) fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
