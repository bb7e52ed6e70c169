//! Where a worker sleeps: in epoll, or in a ring with an epoll inside for what is not the ring's.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};

use super::ring::{Batch, Order, Ring};

/// What a thread sleeps in.
pub(crate) struct Poller {
    poll: Poll,
    ring: Option<Box<Ring>>,
}

/// What one sleep brought. Kept by its thread, because its room is used again.
pub(crate) struct Happenings {
    /// What sockets in the poller are ready for.
    pub(crate) events: Events,
    /// What the ring has done.
    pub(crate) batch: Batch,
    /// What simulated sockets are ready for.
    #[cfg(test)]
    pub(crate) simulated: Vec<(Token, Readiness)>,
}

/// Ends the sleep of another thread in its poller.
#[derive(Debug)]
pub(crate) struct Waker(How);

#[derive(Debug)]
enum How {
    Epoll(mio::Waker),
    Ring(Arc<OwnedFd>),
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends nothing more.
    pub(crate) read_closed: bool,
    pub(crate) error: bool,
}

impl Poller {
    /// A poller that is epoll alone.
    pub(crate) fn epoll() -> io::Result<Poller> {
        Ok(Poller { poll: Poll::new()?, ring: None })
    }

    /// A poller with a ring.
    ///
    /// # Errors
    /// The system refuses a ring.
    pub(crate) fn with_ring() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let ring = Ring::new(poll.as_raw_fd())?;
        Ok(Poller { poll, ring: Some(Box::new(ring)) })
    }

    /// To be called once by the thread that sleeps here, before anything else.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        self.ring.as_mut().map_or(Ok(()), |ring| ring.enable())
    }

    /// Where sockets are registered whose readiness is reported.
    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// True when there is a ring.
    pub(crate) fn has_ring(&self) -> bool {
        self.ring.is_some()
    }

    pub(crate) fn ring(&mut self) -> Option<&mut Ring> {
        self.ring.as_deref_mut()
    }

    /// A wake-up of who sleeps here; it is reported with `token`, or not at all.
    pub(crate) fn waker(&self, token: Token) -> io::Result<Waker> {
        Ok(Waker(match &self.ring {
            None => How::Epoll(mio::Waker::new(self.poll.registry(), token)?),
            Some(ring) => How::Ring(Arc::clone(ring.wake())),
        }))
    }

    /// Sleeps until something happens, or for so long. `orders` are for the ring; without one there are none.
    ///
    /// # Errors
    /// Nothing can be waited for any more.
    pub(crate) fn wait<'b>(
        &mut self,
        orders: impl Iterator<Item = Order<'b>>,
        happenings: &mut Happenings,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        #[cfg(test)]
        let timeout = if happenings.take_simulated() { Some(Duration::ZERO) } else { timeout };
        let Happenings { events, batch, .. } = happenings;
        let Some(ring) = &mut self.ring else { return poll(&mut self.poll, events, timeout) };
        events.clear();
        ring.turn(orders, batch, timeout)?;
        if std::mem::take(&mut batch.nested) {
            poll(&mut self.poll, events, Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

impl Happenings {
    /// Room for so many readiness events.
    pub(crate) fn with_capacity(events: usize) -> Happenings {
        Happenings {
            events: Events::with_capacity(events),
            batch: Batch::default(),
            #[cfg(test)]
            simulated: Vec::new(),
        }
    }

    /// True when something has come over the simulated network.
    #[cfg(test)]
    fn take_simulated(&mut self) -> bool {
        let readable = Readiness { readable: true, ..Readiness::default() };
        super::simulation::ready(|token| self.simulated.push((token, readable)));
        !self.simulated.is_empty()
    }

    /// True when nothing has happened.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.batch.sent.is_empty() && self.batch.news.is_empty()
    }

    /// How much has happened.
    pub(crate) fn len(&self) -> usize {
        self.events.iter().count() + self.batch.news.len()
    }
}

impl Waker {
    /// The next sleep, or the present one, ends at once.
    pub(crate) fn wake(&self) {
        // Either fails only when the poller is gone, and then nobody sleeps there.
        match &self.0 {
            How::Epoll(waker) => drop(waker.wake()),
            How::Ring(event) => drop(rustix::io::write(&**event, &1_u64.to_ne_bytes())),
        }
    }
}

impl Readiness {
    /// There is something to read, and nothing else is new.
    pub(crate) const READABLE: Readiness =
        Readiness { readable: true, writable: false, read_closed: false, error: false };

    /// What the poller reports.
    pub(crate) fn of(event: &mio::event::Event) -> Readiness {
        Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            error: event.is_error(),
        }
    }

    /// What a mask of `poll(2)` says.
    pub(super) fn of_poll(mask: i16) -> Readiness {
        let has = |bits: i16| mask & bits != 0;
        Readiness {
            readable: has(libc::POLLIN | libc::POLLPRI),
            writable: has(libc::POLLOUT),
            read_closed: has(libc::POLLHUP) || (has(libc::POLLIN) && has(libc::POLLRDHUP)),
            error: has(libc::POLLERR),
        }
    }
}

fn poll(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}
