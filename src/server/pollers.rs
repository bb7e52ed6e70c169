//! What the workers sleep in, by the configuration and by what the system allows.

use std::io;
use std::panic::resume_unwind;
use std::thread;

use crate::config::{Io, RING_BUFFERS};
use crate::sys::poller::Poller;
use crate::sys::ring::{self, Ring};

// The configuration tells the memory of all workers before there is one.
const _: () = assert!(RING_BUFFERS == (ring::BUFFERS * ring::BUFFER_SIZE) as u64);

/// A poller for each worker.
///
/// # Errors
/// The system refuses even epoll.
pub(super) fn make(wanted: Io, count: usize) -> io::Result<Vec<Poller>> {
    let rings = || {
        Ring::probe()?;
        (0..count).map(|_| Poller::with_ring()).collect()
    };
    // The end of a ring interrupts what the thread waits for that made it; so that is a thread that waits for nothing.
    choose(wanted, count, || {
        thread::scope(|scope| scope.spawn(rings).join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// As [`make`]; `rings` makes pollers with rings, or is refused.
fn choose(
    wanted: Io,
    count: usize,
    rings: impl FnOnce() -> io::Result<Vec<Poller>>,
) -> io::Result<Vec<Poller>> {
    if wanted != Io::Epoll {
        match rings() {
            Ok(pollers) => return Ok(pollers),
            Err(error) if wanted == Io::IoUring => {
                tracing::warn!("io_uring cannot be used, epoll is: {}", ring::reason(&error));
            }
            Err(error) => tracing::info!("epoll is used: {}", ring::reason(&error)),
        }
    }
    (0..count).map(|_| Poller::epoll()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_rings_are_refused_epoll_serves() {
        let refused = || Err(io::Error::from_raw_os_error(libc::EPERM));
        for io in [Io::IoUring, Io::Auto] {
            let pollers = choose(io, 3, refused).unwrap();
            assert!(pollers.len() == 3 && !pollers.iter().any(Poller::has_ring));
        }
    }

    #[test]
    fn nobody_tries_a_ring_who_is_not_asked_to() {
        let pollers = choose(Io::Epoll, 2, || panic!("a ring is tried")).unwrap();
        assert_eq!(pollers.len(), 2);
    }
}
