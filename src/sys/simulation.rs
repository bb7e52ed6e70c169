//! A network without a kernel, for more connections than a process may have descriptors. Only tests have it.
//!
//! Each thread has one. Who plays the peers puts bytes on their way by [`send`] and takes what was written by [`answers`]; a worker's
//! poller reports readiness of what has come, and [`Simulated`] is the socket.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};

use mio::Token;

/// The server's end of a connection.
pub(crate) struct Simulated(pub(crate) u32);

/// What is on its way. It holds nothing for connections that are idle, but for their tokens.
#[derive(Default)]
struct Network {
    /// By number of the connection.
    tokens: Vec<Token>,
    to_server: Way,
    /// Letters to the server that were read.
    read: usize,
    /// Whose bytes have come, until it is reported.
    ready: Vec<Token>,
    to_peers: Way,
}

/// Letters in the order in which they were sent.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    /// Who has sent each, or is to get it, and where it ends in `bytes`.
    letters: Vec<(u32, usize)>,
}

thread_local! {
    static NETWORK: RefCell<Network> = RefCell::default();
}

/// Makes room for so many connections: their memory does not count as the server's.
pub(crate) fn expect(connections: usize) {
    NETWORK.with_borrow_mut(|network| network.tokens = vec![Token(usize::MAX); connections]);
}

/// Puts what `write` writes on its way from the peer of this number; nothing is the end of its stream. The worker has to read in
/// the order in which was sent.
pub(crate) fn send(number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    NETWORK.with_borrow_mut(|network| {
        write(&mut network.to_server.bytes);
        network.to_server.end(number);
        network.ready.push(network.tokens[number as usize]);
    });
}

/// Shows all that was written to peers, and clears both ways.
///
/// # Panics
/// Something that was sent has not been read.
pub(crate) fn answers(mut see: impl FnMut(u32, &[u8])) {
    NETWORK.with_borrow_mut(|network| {
        assert_eq!(network.read, network.to_server.letters.len(), "all that was sent is read");
        for at in 0..network.to_peers.letters.len() {
            let (number, bytes) = network.to_peers.letter(at);
            see(number, bytes);
        }
        network.read = 0;
        network.to_server.clear();
        network.to_peers.clear();
    });
}

/// Tells whose bytes have come since this was asked last.
pub(crate) fn ready(mut see: impl FnMut(Token)) {
    NETWORK.with_borrow_mut(|network| {
        network.ready.drain(..).for_each(&mut see);
    });
}

impl Simulated {
    /// Readiness is reported with this token.
    pub(crate) fn register(&self, token: Token) {
        NETWORK.with_borrow_mut(|network| network.tokens[self.0 as usize] = token);
    }
}

impl Read for &Simulated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        NETWORK.with_borrow_mut(|network| {
            if network.read == network.to_server.letters.len() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let (number, bytes) = network.to_server.letter(network.read);
            if number != self.0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            out[..bytes.len()].copy_from_slice(bytes);
            let len = bytes.len();
            network.read += 1;
            Ok(len)
        })
    }
}

impl Write for &Simulated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        NETWORK.with_borrow_mut(|network| {
            let before = network.to_peers.bytes.len();
            for slice in slices {
                network.to_peers.bytes.extend_from_slice(slice);
            }
            network.to_peers.end(self.0);
            Ok(network.to_peers.bytes.len() - before)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Way {
    fn end(&mut self, number: u32) {
        self.letters.push((number, self.bytes.len()));
    }

    fn letter(&self, at: usize) -> (u32, &[u8]) {
        let (number, end) = self.letters[at];
        let start = at.checked_sub(1).map_or(0, |before| self.letters[before].1);
        (number, &self.bytes[start..end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.letters.clear();
    }
}
