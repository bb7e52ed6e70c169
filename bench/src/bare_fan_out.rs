//! The bare fan-out: what any client sends is written to every client, one `write` each, as the baseline for broadcasts.

use std::io::{self, Read};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::drain::write_some;
use crate::failure::Failure;

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
const BUFFER: usize = 64 * 1024;

/// A single-threaded, edge-triggered server without any protocol.
#[derive(Debug)]
pub struct BareFanOut {
    poll: Poll,
    listener: TcpListener,
    /// By token; those who have left are `None`.
    peers: Vec<Option<Peer>>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Peer {
    socket: TcpStream,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

impl BareFanOut {
    /// Listens at `address`.
    ///
    /// # Errors
    /// [`Failure::System`] if the address is not to be had.
    pub fn bind(address: SocketAddr) -> Result<BareFanOut, Failure> {
        let failed = |error| Failure::system(format!("listen on {address}"), error);
        let poll = Poll::new().map_err(failed)?;
        let mut listener = TcpListener::bind(address).map_err(failed)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        Ok(BareFanOut { poll, listener, peers: Vec::new(), buffer: vec![0; BUFFER].into_boxed_slice() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`Failure::System`] if the system does not say.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        self.listener.local_addr().map_err(|error| Failure::system("ask for the port", error))
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// [`Failure::System`] if the poller or the listener fails.
    pub fn serve(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::system("wait for events", error)),
                Ok(()) => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(index) => self.turn(index),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Failure> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(Failure::system("accept a connection", error)),
            };
            let token = Token(self.peers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = socket
                .set_nodelay(true)
                .and_then(|()| self.poll.registry().register(&mut socket, token, interest));
            self.peers.push(registered.is_ok().then_some(Peer { socket, unsent: Vec::new() }));
        }
    }

    /// Takes what peer `index` has sent, and gives it to all.
    fn turn(&mut self, index: usize) {
        loop {
            let Some(Some(peer)) = self.peers.get_mut(index) else { return };
            if !peer.unsent.is_empty() && peer.write(&[]).is_err() {
                self.peers[index] = None;
                return;
            }
            match peer.socket.read(&mut self.buffer) {
                Ok(0) => self.peers[index] = None,
                Ok(read) => {
                    for place in &mut self.peers {
                        if place.as_mut().is_some_and(|peer| peer.write(&self.buffer[..read]).is_err()) {
                            *place = None;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.peers[index] = None,
            }
        }
    }
}

impl Peer {
    /// Writes what waits and then `bytes`, and keeps what the socket does not take.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            let written = write_some(&mut self.socket, bytes)?;
            self.unsent.extend_from_slice(&bytes[written..]);
        } else {
            self.unsent.extend_from_slice(bytes);
            let written = write_some(&mut self.socket, &self.unsent)?;
            self.unsent.drain(..written);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net;

    use super::*;

    #[test]
    fn what_one_sends_reaches_all() {
        let mut server = BareFanOut::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.address().unwrap();
        std::thread::spawn(move || server.serve());
        let mut clients: Vec<net::TcpStream> =
            (0..3).map(|_| net::TcpStream::connect(address).unwrap()).collect();
        // Who hears its own message has been accepted.
        for (name, client) in (b'a'..).zip(&mut clients) {
            client.write_all(&[name]).unwrap();
            let mut byte = [0];
            while byte[0] != name {
                client.read_exact(&mut byte).unwrap();
            }
        }
        clients[1].write_all(b"!").unwrap();
        for client in &mut clients {
            let mut byte = [0];
            while byte[0] != b'!' {
                client.read_exact(&mut byte).unwrap();
            }
        }
    }
}
