//! Clients that were turned away: their requests are drained for a moment, so that no reset eats what they were told.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::net::upgrade::write_refusal;

/// Clients that one listener drains. The oldest makes room for a new one: a flood of them costs no more descriptors.
const MOST: usize = 8;

/// How long each of them is drained at most.
const MOMENT: Duration = Duration::from_secs(2);

/// How often it is looked what has come from them.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Bytes that are read from one of them at most.
const DRAIN_LIMIT: usize = 64 * 1024;

/// The clients that a listener has turned away just now.
#[derive(Default)]
pub(crate) struct TurnedAway(VecDeque<Leaving>);

struct Leaving {
    stream: TcpStream,
    since: Instant,
    drained: usize,
}

impl TurnedAway {
    /// Tells a client that the server is full, as far as that is possible without reading its request: with TLS it can
    /// only be hung up on.
    pub(crate) fn add(&mut self, mut stream: TcpStream, tls: bool, now: Instant) {
        if !tls {
            let mut out = Vec::new();
            write_refusal(&mut out, 503, &[("Retry-After", "10")], "the server is full", false);
            let _ = stream.write(&out);
        }
        if stream.shutdown(Shutdown::Write).is_ok() {
            self.0.truncate(MOST - 1);
            self.0.push_front(Leaving { stream, since: now, drained: 0 });
        }
    }

    /// Reads what they have sent, and forgets those that are done. True while there are others.
    pub(crate) fn drain(&mut self, now: Instant) -> bool {
        self.0.retain_mut(|leaving| now.duration_since(leaving.since) < MOMENT && leaving.goes_on());
        !self.0.is_empty()
    }
}

impl Leaving {
    /// Reads what is there. False: the client has hung up, or sends without end.
    fn goes_on(&mut self) -> bool {
        let mut junk = [0; 4096];
        while self.drained < DRAIN_LIMIT {
            match self.stream.read(&mut junk) {
                Ok(0) => return false,
                Ok(read) => self.drained += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::net;

    use super::*;

    fn pair() -> (TcpStream, net::TcpStream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (TcpStream::from_std(stream), client)
    }

    #[test]
    fn only_the_latest_few_are_kept_and_only_for_a_moment() {
        let mut turned_away = TurnedAway::default();
        let now = Instant::now();
        let clients: Vec<_> = (0..MOST + 3)
            .map(|_| {
                let (stream, client) = pair();
                turned_away.add(stream, false, now);
                client
            })
            .collect();
        assert_eq!(turned_away.0.len(), MOST);
        assert!(turned_away.drain(now + MOMENT / 2));
        assert!(!turned_away.drain(now + MOMENT));
        for mut client in clients {
            let mut told = String::new();
            client.read_to_string(&mut told).unwrap();
            assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
        }
    }

    #[test]
    fn who_hangs_up_or_sends_without_end_is_forgotten() {
        let mut turned_away = TurnedAway::default();
        let now = Instant::now();
        let (stream, mut client) = pair();
        turned_away.add(stream, true, now);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(turned_away.drain(now));
        drop(client);
        assert!(!turned_away.drain(now));

        let (stream, mut client) = pair();
        turned_away.add(stream, true, now);
        let mut sent = 0;
        while turned_away.drain(now) {
            sent += client.write(&[0; 1024]).unwrap();
        }
        assert!((DRAIN_LIMIT..2 * DRAIN_LIMIT).contains(&sent), "{sent}");
    }
}
