//! Reading and writing a socket without the C library: its `recv` and `send` are cancellation points, and what they do about that
//! costs more instructions than all else that happens here on the way to the kernel.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

/// A connected socket, for one read or write.
pub(crate) struct Direct<S>(pub(crate) S);

impl<S: AsFd> Read for Direct<S> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, out, RecvFlags::empty()).map(|(len, _)| len)?)
    }
}

impl<S: AsFd> Write for Direct<S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(sendmsg(&self.0, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
