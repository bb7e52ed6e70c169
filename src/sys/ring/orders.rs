//! What a ring is asked for, and how an answer is matched with it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};

use super::TOKENS;
use super::lent::GROUP;

/// What a ring is asked for about one socket, which is open for the time of the call.
pub(crate) struct Order<'b> {
    pub(super) token: u64,
    socket: BorrowedFd<'b>,
    pub(super) wish: Wish<'b>,
}

/// What is asked for.
pub(crate) enum Wish<'b> {
    /// To receive whatever comes, until it is cancelled or stops.
    Receive,
    /// To hear whenever the socket becomes readable or writable.
    Watch,
    /// To hear once when the socket is writable.
    Writable,
    /// To hear once when the socket fails.
    Fault,
    /// To send these bytes as far as the socket takes them.
    Send(&'b [u8]),
}

/// The wishes that last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Receive,
    Watch,
    Writable,
    Fault,
}

/// Which sort of entry an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    Watch,
    Writable,
    Fault,
    /// The token is the place in the list of sends.
    Send,
    Wake,
    Nested,
    Cancel,
}

const KINDS: [Kind; 8] = [
    Kind::Receive,
    Kind::Watch,
    Kind::Writable,
    Kind::Fault,
    Kind::Send,
    Kind::Wake,
    Kind::Nested,
    Kind::Cancel,
];

impl<'b> Order<'b> {
    /// `token` is below 2^60, and comes back with what comes of it.
    pub(crate) fn new(token: u64, socket: &'b impl AsFd, wish: Wish<'b>) -> Order<'b> {
        debug_assert!(token < TOKENS);
        Order { token, socket: socket.as_fd(), wish }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.wish {
            Wish::Receive => Kind::Receive,
            Wish::Watch => Kind::Watch,
            Wish::Writable => Kind::Writable,
            Wish::Fault => Kind::Fault,
            Wish::Send(_) => Kind::Send,
        }
    }

    pub(super) fn entry(&self) -> squeue::Entry {
        let socket = Fd(self.socket.as_raw_fd());
        let poll = |mask: i16| opcode::PollAdd::new(socket, mask as u32);
        match self.wish {
            Wish::Receive => opcode::RecvMulti::new(socket, GROUP).build(),
            Wish::Watch => poll(libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP).multi(true).build(),
            Wish::Writable => poll(libc::POLLOUT).build(),
            Wish::Fault => poll(libc::POLLERR).build(),
            Wish::Send(bytes) => {
                // WAITALL makes a short send one that is reported; with DONTWAIT the kernel does not go on with it.
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let send = opcode::Send::new(socket, bytes.as_ptr(), len).flags(flags).build();
                send.flags(squeue::Flags::SKIP_SUCCESS)
            }
        }
    }
}

impl Kind {
    pub(super) fn of(asked: Asked) -> Kind {
        match asked {
            Asked::Receive => Kind::Receive,
            Asked::Watch => Kind::Watch,
            Asked::Writable => Kind::Writable,
            Asked::Fault => Kind::Fault,
        }
    }

    /// What an entry of this kind carries.
    pub(super) fn data(self, token: u64) -> u64 {
        self as u64 * TOKENS + token
    }

    pub(super) fn split(data: u64) -> (Kind, u64) {
        (KINDS[(data / TOKENS) as usize % KINDS.len()], data % TOKENS)
    }
}
