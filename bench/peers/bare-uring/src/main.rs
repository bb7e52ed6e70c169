//! The bare echo on io_uring: multishot accept and receive into provided buffers, one submission a turn.

mod buffers;

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use buffers::Buffers;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

const ENTRIES: u32 = 4096;
const COMPLETIONS: u32 = 32_768;
/// What the kernel answers where no provided buffer is left.
const NO_BUFFER: i32 = -105;

/// What a completion is of: the top byte of its number.
const ACCEPT: u64 = 1;
const RECEIVE: u64 = 2;
const SEND: u64 = 3;

/// A received piece on its way back.
struct Piece {
    buffer: u16,
    from: u32,
    to: u32,
}

struct Peer {
    socket: TcpStream,
    /// The first one is being sent; so their order is kept.
    pieces: VecDeque<Piece>,
    ended: bool,
}

struct Server {
    ring: IoUring,
    buffers: Buffers,
    listener: TcpListener,
    peers: Vec<Option<Peer>>,
    free: Vec<u32>,
    /// Those whose receive has ended because no buffer was left.
    starved: Vec<u32>,
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on tcp://{}", listener.local_addr()?);
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETIONS)
        .build(ENTRIES)?;
    let buffers = Buffers::register(&ring)?;
    let mut server =
        Server { ring, buffers, listener, peers: Vec::new(), free: Vec::new(), starved: Vec::new() };
    server.accept()?;
    let mut done: Vec<cqueue::Entry> = Vec::with_capacity(COMPLETIONS as usize);
    loop {
        server.ring.submit_and_wait(1)?;
        done.extend(server.ring.completion());
        for entry in done.drain(..) {
            server.complete(&entry)?;
        }
        server.buffers.publish();
        for index in std::mem::take(&mut server.starved) {
            server.receive(index)?;
        }
    }
}

impl Server {
    fn complete(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        let index = entry.user_data() as u32;
        match entry.user_data() >> 56 {
            ACCEPT => self.accepted(entry),
            RECEIVE => self.received(index, entry),
            _ => self.sent(index, entry.result()),
        }
    }

    fn accepted(&mut self, entry: &cqueue::Entry) -> io::Result<()> {
        if entry.result() >= 0 {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
            let socket = unsafe { TcpStream::from_raw_fd(entry.result()) };
            socket.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() as u32 - 1
            });
            self.peers[index as usize] = Some(Peer { socket, pieces: VecDeque::new(), ended: false });
            self.receive(index)?;
        }
        if cqueue::more(entry.flags()) { Ok(()) } else { self.accept() }
    }

    fn received(&mut self, index: u32, entry: &cqueue::Entry) -> io::Result<()> {
        let Some(peer) = &mut self.peers[index as usize] else { return Ok(()) };
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            let idle = peer.pieces.is_empty();
            peer.pieces.push_back(Piece { buffer, from: 0, to: entry.result().max(0) as u32 });
            if idle {
                self.send(index)?;
            }
        }
        if cqueue::more(entry.flags()) {
            return Ok(());
        }
        if entry.result() > 0 {
            return self.receive(index);
        }
        if entry.result() == NO_BUFFER {
            self.starved.push(index);
            return Ok(());
        }
        if let Some(peer) = &mut self.peers[index as usize] {
            peer.ended = true;
        }
        self.forget_if_done(index);
        Ok(())
    }

    fn sent(&mut self, index: u32, result: i32) -> io::Result<()> {
        let Some(peer) = &mut self.peers[index as usize] else { return Ok(()) };
        let Some(first) = peer.pieces.front_mut() else { return Ok(()) };
        first.from += result.max(0) as u32;
        if result <= 0 || first.from == first.to {
            self.buffers.give(first.buffer);
            peer.pieces.pop_front();
        }
        if result <= 0 {
            // Gone: what waits is for nobody, and the receive will say so, too.
            for piece in peer.pieces.drain(..) {
                self.buffers.give(piece.buffer);
            }
        }
        if peer.pieces.is_empty() {
            self.forget_if_done(index);
            return Ok(());
        }
        self.send(index)
    }

    fn forget_if_done(&mut self, index: u32) {
        let place = &mut self.peers[index as usize];
        if place.as_ref().is_some_and(|peer| peer.ended && peer.pieces.is_empty()) {
            *place = None;
            self.free.push(index);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).build();
        self.push(entry.user_data(ACCEPT << 56))
    }

    fn receive(&mut self, index: u32) -> io::Result<()> {
        let Some(peer) = &self.peers[index as usize] else { return Ok(()) };
        let entry = opcode::RecvMulti::new(Fd(peer.socket.as_raw_fd()), buffers::GROUP).build();
        self.push(entry.user_data(RECEIVE << 56 | u64::from(index)))
    }

    fn send(&mut self, index: u32) -> io::Result<()> {
        let Some(peer) = &self.peers[index as usize] else { return Ok(()) };
        let Some(piece) = peer.pieces.front() else { return Ok(()) };
        let bytes = self.buffers.bytes(piece.buffer, piece.from, piece.to);
        let entry =
            opcode::Send::new(Fd(peer.socket.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32).build();
        self.push(entry.user_data(SEND << 56 | u64::from(index)))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: what an entry points to is a provided buffer, which is not given back before its completion and lives as
        // long as the ring; the descriptor is closed only when nothing of its peer is under way.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}
