//! The bare echo: the least that a server on epoll can do, as the baseline for everything that does more.

use std::io::{self, Read};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::drain::write_some;
use crate::failure::Failure;

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
/// The one read buffer; what it holds of one socket is written back before the next read.
const BUFFER: usize = 256 * 1024;

/// A single-threaded, edge-triggered TCP echo: each ready socket is read until a read comes short, and what was read is
/// written back at once.
#[derive(Debug)]
pub struct BareEcho {
    poll: Poll,
    listener: TcpListener,
    /// By token; free places are `None`.
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Peer {
    socket: TcpStream,
    /// What the socket did not take; while there is some, nothing is read from it.
    unsent: Vec<u8>,
}

impl BareEcho {
    /// Listens at `address`.
    ///
    /// # Errors
    /// [`Failure::System`] if the address is not to be had.
    pub fn bind(address: SocketAddr) -> Result<BareEcho, Failure> {
        let failed = |error| Failure::system(format!("listen on {address}"), error);
        let poll = Poll::new().map_err(failed)?;
        let mut listener = TcpListener::bind(address).map_err(failed)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(BareEcho { poll, listener, peers: Vec::new(), free: Vec::new(), buffer })
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
                    Token(index) => {
                        let Some(Some(peer)) = self.peers.get_mut(index) else { continue };
                        if !peer.turn(&mut self.buffer, event.is_read_closed()) {
                            self.peers[index] = None;
                            self.free.push(index);
                        }
                    }
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
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = socket
                .set_nodelay(true)
                .and_then(|()| self.poll.registry().register(&mut socket, Token(index), interest));
            match registered {
                Ok(()) => self.peers[index] = Some(Peer { socket, unsent: Vec::new() }),
                Err(_) => self.free.push(index),
            }
        }
    }
}

impl Peer {
    /// Echoes what there is; false when the peer is gone. `to_the_end`: a short read does not prove that the socket is
    /// drained, for the stream has ended behind it.
    fn turn(&mut self, buffer: &mut [u8], to_the_end: bool) -> bool {
        if !self.unsent.is_empty() {
            match write_some(&mut self.socket, &self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(_) => return false,
            }
        }
        while self.unsent.is_empty() {
            let read = match self.socket.read(buffer) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            match write_some(&mut self.socket, &buffer[..read]) {
                Ok(written) => self.unsent.extend_from_slice(&buffer[written..read]),
                Err(_) => return false,
            }
            if read < buffer.len() && !to_the_end {
                break;
            }
        }
        true
    }
}
