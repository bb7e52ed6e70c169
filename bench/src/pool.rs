//! Many connections on one poller: opened a bounded number at a time, closed together.

use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use crate::connection::{Arrived, Connection};
use crate::failure::Failure;
use crate::random::Random;
use crate::target::Target;
use crate::transport::Buffers;

/// Connections that may be on their way to being open at the same time; a listener's backlog takes this many.
const OPENING: usize = 64;
/// Events taken from the poller at once.
const EVENTS: usize = 1024;

/// The connections of a run, all served by the thread that holds them.
#[derive(Debug)]
pub struct Pool {
    poll: Poll,
    events: Option<Events>,
    /// By index; the index is the token.
    pub connections: Vec<Connection>,
    /// Shared by all of them.
    pub buffers: Buffers,
    /// Masking keys and nonces.
    pub random: Random,
}

impl Pool {
    /// Opens `count` connections. `stall` is how long nothing may happen at all; `tell` hears how many are open.
    ///
    /// # Errors
    /// The failure of the first connection that fails; [`Failure::Stalled`].
    pub fn open(
        target: &Target,
        count: u32,
        stall: Duration,
        tell: &mut dyn FnMut(u32),
    ) -> Result<Pool, Failure> {
        let mut pool = Pool {
            poll: Poll::new().map_err(|error| Failure::system("make a poller", error))?,
            events: Some(Events::with_capacity(EVENTS)),
            connections: Vec::with_capacity(count as usize),
            buffers: Buffers::default(),
            random: Random::from_system()?,
        };
        let mut open = 0;
        let mut progress = Instant::now();
        while open < count {
            while pool.connections.len() < (open as usize + OPENING).min(count as usize) {
                pool.start(target)?;
            }
            let before = open;
            pool.turn(Duration::from_millis(100), |pool, index, event| {
                let was_open = pool.connections[index].is_open();
                pool.ready(index, event, |arrived| Err(unasked(index, &arrived)))?;
                open += u32::from(!was_open && pool.connections[index].is_open());
                Ok(())
            })?;
            if open > before {
                progress = Instant::now();
                tell(open);
            } else if progress.elapsed() > stall {
                let waiting_for = format!("{open} of {count} connections are open");
                return Err(Failure::Stalled { waiting_for, seconds: stall.as_secs() });
            }
        }
        Ok(pool)
    }

    /// Waits for events, `timeout` at most. Give them back by [`Pool::recycle`].
    ///
    /// # Errors
    /// [`Failure::System`] if the poller fails.
    pub fn poll(&mut self, timeout: Duration) -> Result<Events, Failure> {
        let mut events = self.events.take().unwrap_or_else(|| Events::with_capacity(EVENTS));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(Failure::system("wait for events", error))
            }
            _ => Ok(events),
        }
    }

    /// Takes the buffer of the events back.
    pub fn recycle(&mut self, events: Events) {
        self.events = Some(events);
    }

    fn turn(
        &mut self,
        timeout: Duration,
        mut serve: impl FnMut(&mut Pool, usize, &Event) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let events = self.poll(timeout)?;
        for event in &events {
            serve(self, event.token().0, event)?;
        }
        self.recycle(events);
        Ok(())
    }

    /// Lets connection `index` do what `event` asks for, and sends its pongs.
    ///
    /// # Errors
    /// As [`Connection::ready`] and [`Connection::send`].
    pub fn ready(
        &mut self,
        index: usize,
        event: &Event,
        sink: impl FnMut(Arrived<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Pool { connections, buffers, random, .. } = self;
        connections[index].ready(event, buffers, random, sink)?;
        if buffers.out.is_empty() { Ok(()) } else { connections[index].send(buffers, random) }
    }

    /// Keeps the connections alive for `duration`: answers pings, fails if one of them ends.
    ///
    /// # Errors
    /// As [`Pool::ready`]; a message is a failure too, for nobody asked for it.
    pub fn hold(&mut self, duration: Duration) -> Result<(), Failure> {
        let until = Instant::now() + duration;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left, |pool, index, event| {
                pool.ready(index, event, |arrived| Err(unasked(index, &arrived)))
            })?;
        }
    }

    /// Closes all connections and waits until the server has ended each, `patience` at most. Says how many it had not.
    ///
    /// # Errors
    /// [`Failure::Violation`], [`Failure::Tls`] and [`Failure::System`].
    pub fn close(&mut self, patience: Duration) -> Result<usize, Failure> {
        for connection in &mut self.connections {
            connection.close(&mut self.buffers, &mut self.random)?;
        }
        let until = Instant::now() + patience;
        let mut left = self.connections.iter().filter(|connection| !connection.is_closed()).count();
        while left > 0 && Instant::now() < until {
            self.turn(Duration::from_millis(50), |pool, index, event| {
                let was_closed = pool.connections[index].is_closed();
                pool.ready(index, event, |_| Ok(()))?;
                left -= usize::from(!was_closed && pool.connections[index].is_closed());
                Ok(())
            })?;
        }
        self.connections.clear();
        Ok(left)
    }

    fn start(&mut self, target: &Target) -> Result<(), Failure> {
        let index = self.connections.len();
        let mut connection = Connection::start(index as u32, target, &mut self.random)?;
        self.poll
            .registry()
            .register(connection.socket(), Token(index), Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| Failure::system("register a socket", error))?;
        self.connections.push(connection);
        Ok(())
    }
}

#[cold]
fn unasked(index: usize, arrived: &Arrived<'_>) -> Failure {
    let bytes = match arrived {
        Arrived::Message { payload, .. } => payload.len(),
        Arrived::Bytes(bytes) => bytes.len(),
    };
    let what = format!("{bytes} bytes came before anything was sent");
    Failure::Mismatch { connection: index as u32, message: 0, what }
}
