//! A socket with or without TLS: plaintext in and out, by few system calls.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};
use socket2::SockRef;

use super::tls::records::LARGEST_RECORD;
use super::tls::session::{Opened, Session, Side};
use super::write_queue::{Buffers, WriteQueue};
use crate::sys::direct::Direct;

/// Bytes of ciphertext that are read, or written, by one call: four records of the largest size, and a small one.
pub(crate) const CIPHER: usize = 4 * LARGEST_RECORD + 1024;

/// What still waits and is not more than this goes along with what is encrypted next.
const LITTLE: usize = 4096;

/// A socket, with or without TLS.
pub(crate) enum Transport<S: Side = UnbufferedServerConnection> {
    Plain(TcpStream),
    Tls(Box<Tls<S>>),
    #[cfg(test)]
    Simulated(crate::sys::simulation::Simulated),
}

/// Each byte of it is one for each idle connection.
#[cfg(not(any(test, debug_assertions)))]
const _: () = assert!(size_of::<Transport>() <= 16);

/// The socket of an outgoing connection.
pub(crate) type Outgoing = Transport<UnbufferedClientConnection>;

pub(crate) struct Tls<S: Side> {
    stream: TcpStream,
    session: Session<S>,
    /// The beginning of a record, or of a message of the handshake, whose rest has not come.
    cut: Vec<u8>,
    /// Ciphertext that the socket has not taken, but for the first `sent` bytes.
    unsent: Vec<u8>,
    sent: usize,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes of plaintext.
    pub(crate) len: usize,
    /// Bytes that came from the socket. With TLS not all of them become plaintext.
    pub(crate) raw: usize,
    /// The socket had no more at that moment: with edge-triggered readiness the next bytes bring a new event.
    pub(crate) drained: bool,
    /// The peer will send nothing more.
    pub(crate) end: bool,
}

impl Transport {
    /// Wraps an accepted socket; with `tls`, speaks it as the server.
    pub(crate) fn new(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> Result<Transport, rustls::Error> {
        match tls {
            None => Ok(Transport::Plain(stream)),
            Some(config) => Tls::over(stream, UnbufferedServerConnection::new(Arc::clone(config))?),
        }
    }
}

impl Outgoing {
    /// Wraps a connected socket; with `tls`, speaks it as the client of the server that has this name.
    pub(crate) fn outgoing(
        stream: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Outgoing, rustls::Error> {
        match tls {
            None => Ok(Transport::Plain(stream)),
            Some((config, name)) => Tls::over(stream, UnbufferedClientConnection::new(config, name)?),
        }
    }
}

impl<S: Side> Transport<S> {
    /// The socket, for the poller.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(tls) => &mut tls.stream,
            #[cfg(test)]
            Transport::Simulated(_) => unreachable!("it has no descriptor"),
        }
    }

    /// The socket, for a ring.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(tls) => &tls.stream,
            #[cfg(test)]
            Transport::Simulated(_) => unreachable!("it has no descriptor"),
        }
    }

    /// Lets readiness be reported with this token.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        #[cfg(test)]
        if let Transport::Simulated(socket) = self {
            socket.register(token);
            return Ok(());
        }
        registry.register(self.stream(), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Ends reports of readiness. Closing would do it too; this keeps a duplicated descriptor from being watched for ever.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        #[cfg(test)]
        if let Transport::Simulated(_) = self {
            return;
        }
        let _ = registry.deregister(self.stream());
    }

    /// True without TLS: what goes over the socket is what is said.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain().is_some()
    }

    /// The socket if what goes over it is what is said.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Transport::Plain(stream) => Some(stream),
            Transport::Tls(_) => None,
            #[cfg(test)]
            Transport::Simulated(_) => None,
        }
    }

    /// True when the socket has something that was not read.
    pub(crate) fn has_unread(&self) -> bool {
        self.socket().peek(&mut [0]).is_ok_and(|len| len > 0)
    }

    /// True until the TLS handshake is done.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.session.is_handshaking())
    }

    /// Reads once from the socket into `out`, by way of `cipher` with TLS, which then has [`CIPHER`] bytes. `out` is not
    /// shorter than `cipher`.
    #[inline]
    pub(crate) fn read(&mut self, cipher: &mut [u8], out: &mut [u8]) -> io::Result<Taken> {
        match self {
            Transport::Plain(stream) => read_once(&mut Direct(&*stream), out),
            Transport::Tls(tls) => tls.read(cipher, out),
            #[cfg(test)]
            Transport::Simulated(socket) => read_once(&mut &*socket, out),
        }
    }

    /// Writes as much of `queue` as the socket takes, by way of `cipher` with TLS, which then has [`CIPHER`] bytes.
    /// `Ok(true)`: nothing is left, here or in the session; before the TLS handshake is done the queue waits for that.
    pub(crate) fn write(
        &mut self,
        queue: &mut WriteQueue,
        buffers: &mut Buffers,
        cipher: &mut [u8],
    ) -> io::Result<bool> {
        match self {
            Transport::Plain(stream) => queue.write_to(&mut Direct(&*stream), buffers),
            Transport::Tls(tls) => tls.write(queue, buffers, cipher),
            #[cfg(test)]
            Transport::Simulated(socket) => queue.write_to(&mut &*socket, buffers),
        }
    }

    /// With TLS, decrypts what was received elsewhere into `out`, as [`Transport::read`] does. Without, there is nothing to do
    /// it for.
    pub(crate) fn open(
        &mut self,
        received: &mut [u8],
        cipher: &mut [u8],
        out: &mut [u8],
    ) -> io::Result<Taken> {
        let Transport::Tls(tls) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        tls.open_received(received, cipher, out)
    }

    /// With TLS, encrypts `queue`, which is not more than one record holds, by way of `cipher`; so that it is in
    /// [`Transport::front`].
    pub(crate) fn seal(
        &mut self,
        queue: &mut WriteQueue,
        buffers: &mut Buffers,
        cipher: &mut [u8],
    ) -> io::Result<()> {
        let Transport::Tls(tls) = self else { return Ok(()) };
        let sealed = tls.session.seal(queue, buffers, cipher).map_err(invalid)?;
        tls.unsent.extend_from_slice(&cipher[..sealed]);
        Ok(())
    }

    /// The first bytes that are to go over the socket, where `queue` is the front of what waits.
    pub(crate) fn front<'f>(&'f self, queue: &'f [u8]) -> &'f [u8] {
        if let Transport::Tls(tls) = self { &tls.unsent[tls.sent..] } else { queue }
    }

    /// With TLS, forgets so many bytes of [`Transport::front`], which were written elsewhere.
    pub(crate) fn consume(&mut self, written: usize) {
        if let Transport::Tls(tls) = self {
            tls.consume(written);
        }
    }

    /// True when the transport itself has bytes to write, such as a handshake's.
    pub(crate) fn wants_write(&self) -> bool {
        matches!(self, Transport::Tls(tls) if !tls.unsent.is_empty())
    }

    /// Says that nothing more will be written: close_notify with TLS, then FIN.
    pub(crate) fn shutdown_write(&mut self) {
        #[cfg(test)]
        if let Transport::Simulated(_) = self {
            return;
        }
        if let Transport::Tls(tls) = self {
            tls.session.goodbye(&mut tls.unsent);
            // A peer that does not take even this gets the FIN alone.
            let _ = tls.write_unsent();
        }
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Makes the coming close a reset: what the peer has not read is dropped, and the kernel keeps nothing of it.
    pub(crate) fn reset_on_close(&mut self) {
        let _ = SockRef::from(&*self.stream()).set_linger(Some(Duration::ZERO));
    }
}

impl<S: Side> Tls<S> {
    fn over(stream: TcpStream, side: S) -> Result<Transport<S>, rustls::Error> {
        let mut unsent = Vec::new();
        let session = Session::new(side, &mut unsent)?;
        Ok(Transport::Tls(Box::new(Tls { stream, session, cut: Vec::new(), unsent, sent: 0 })))
    }

    fn read(&mut self, cipher: &mut [u8], out: &mut [u8]) -> io::Result<Taken> {
        let (before, room) = cipher.split_at_mut(self.cut.len());
        before.copy_from_slice(&self.cut);
        if room.is_empty() {
            return Err(invalid("a message of the handshake is too long"));
        }
        let taken = read_once(&mut Direct(&self.stream), room)?;
        if taken.raw == 0 {
            return Ok(taken);
        }
        let len = self.cut.len() + taken.raw;
        let opened = self.open(&mut cipher[..len], out)?;
        Ok(Taken { len: opened.len, end: taken.end | opened.end, ..taken })
    }

    fn open_received(&mut self, received: &mut [u8], cipher: &mut [u8], out: &mut [u8]) -> io::Result<Taken> {
        let opened = if self.cut.is_empty() {
            self.open(received, out)?
        } else {
            let len = self.cut.len() + received.len();
            let whole = cipher.get_mut(..len).ok_or_else(|| invalid("more is cut than a record has"))?;
            whole[..self.cut.len()].copy_from_slice(&self.cut);
            whole[self.cut.len()..].copy_from_slice(received);
            self.open(whole, out)?
        };
        Ok(Taken { len: opened.len, raw: received.len(), drained: true, end: opened.end })
    }

    /// Decrypts what is whole of `cipher`, and keeps what is not.
    fn open(&mut self, cipher: &mut [u8], out: &mut [u8]) -> io::Result<Opened> {
        let opened = self.session.open(cipher, out, &mut self.unsent).map_err(|error| {
            // The alert that says why, as far as the socket takes it.
            let _ = self.write_unsent();
            invalid(error)
        })?;
        // An idle connection owns no memory: peers send whole records.
        let rest = &cipher[opened.eaten..];
        self.cut.clear();
        if rest.is_empty() {
            self.cut = Vec::new();
        } else {
            self.cut.reserve_exact(rest.len());
            self.cut.extend_from_slice(rest);
        }
        Ok(opened)
    }

    fn write(
        &mut self,
        queue: &mut WriteQueue,
        buffers: &mut Buffers,
        cipher: &mut [u8],
    ) -> io::Result<bool> {
        loop {
            let mut filled = self.unsent.len() - self.sent;
            if queue.is_empty() || filled > LITTLE || self.session.is_handshaking() {
                if !self.write_unsent()? {
                    return Ok(false);
                }
                if queue.is_empty() || self.session.is_handshaking() {
                    return Ok(true);
                }
                filled = 0;
            }
            cipher[..filled].copy_from_slice(&self.unsent[self.unsent.len() - filled..]);
            (self.unsent, self.sent) = (Vec::new(), 0);
            filled += self.session.seal(queue, buffers, &mut cipher[filled..]).map_err(invalid)?;
            let written = write_some(&mut self.stream, &cipher[..filled])?;
            if written < filled {
                self.unsent = cipher[written..filled].to_vec();
                return Ok(false);
            }
        }
    }

    /// Writes what the socket has not taken before. True: nothing is left of it.
    fn write_unsent(&mut self) -> io::Result<bool> {
        let written = write_some(&mut self.stream, &self.unsent[self.sent..])?;
        self.consume(written);
        Ok(self.unsent.is_empty())
    }

    fn consume(&mut self, written: usize) {
        self.sent += written;
        if self.sent >= self.unsent.len() {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Writes until the socket takes no more. Answers how much it took.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match Direct(&*stream).write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// One read call; a short read means that the socket is drained.
#[inline]
fn read_once(socket: &mut impl Read, out: &mut [u8]) -> io::Result<Taken> {
    loop {
        return match socket.read(out) {
            Ok(0) => Ok(Taken { len: 0, raw: 0, drained: true, end: true }),
            Ok(len) => Ok(Taken { len, raw: len, drained: len < out.len(), end: false }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Taken { len: 0, raw: 0, drained: true, end: false })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net;

    use mio::{Events, Interest, Poll, Token};

    use super::*;
    use crate::net::tls::session::testing::{client_config, localhost, server_config};

    /// A server and a client, each with what its thread has for all of its connections.
    struct Half<S: Side> {
        transport: Transport<S>,
        queue: WriteQueue,
        buffers: Buffers,
        cipher: Vec<u8>,
        plain: Vec<u8>,
        got: Vec<u8>,
        end: bool,
    }

    impl<S: Side> Half<S> {
        fn new(transport: Transport<S>) -> Half<S> {
            Half {
                transport,
                queue: WriteQueue::default(),
                buffers: Buffers::default(),
                cipher: vec![0; CIPHER],
                plain: vec![0; CIPHER],
                got: Vec::new(),
                end: false,
            }
        }

        fn put(&mut self, bytes: &[u8]) {
            self.queue.append(&mut self.buffers, bytes.len(), |out| out.extend_from_slice(bytes));
        }

        fn read(&mut self) {
            while !self.end {
                let taken = self.transport.read(&mut self.cipher, &mut self.plain).unwrap();
                self.got.extend_from_slice(&self.plain[..taken.len]);
                self.end = taken.end;
                if taken.raw == 0 {
                    return;
                }
            }
        }

        fn write(&mut self) -> bool {
            self.transport.write(&mut self.queue, &mut self.buffers, &mut self.cipher).unwrap()
        }

        fn memory(&self) -> usize {
            let Transport::Tls(tls) = &self.transport else { panic!("TLS was wanted") };
            tls.cut.capacity() + tls.unsent.capacity()
        }
    }

    struct Pair {
        poll: Poll,
        server: Half<UnbufferedServerConnection>,
        client: Half<UnbufferedClientConnection>,
    }

    impl Pair {
        fn new() -> Pair {
            let poll = Poll::new().unwrap();
            let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
            let ends =
                [net::TcpStream::connect(listener.local_addr().unwrap()), listener.accept().map(|end| end.0)];
            let [client, server] = ends.map(|end| {
                let end = end.unwrap();
                end.set_nonblocking(true).unwrap();
                let mut end = TcpStream::from_std(end);
                poll.registry()
                    .register(&mut end, Token(0), Interest::READABLE | Interest::WRITABLE)
                    .unwrap();
                end
            });
            let server = Transport::new(server, Some(&server_config())).unwrap();
            let client = Outgoing::outgoing(client, Some((client_config(), localhost()))).unwrap();
            Pair { poll, server: Half::new(server), client: Half::new(client) }
        }

        /// Both read and write until it is `enough`.
        fn until(&mut self, enough: impl Fn(&Pair) -> bool) {
            let mut events = Events::with_capacity(8);
            loop {
                self.client.write();
                self.server.read();
                self.server.write();
                self.client.read();
                if enough(self) {
                    return;
                }
                self.poll.poll(&mut events, Some(Duration::from_millis(50))).unwrap();
            }
        }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 31 % 251) as u8).collect()
    }

    #[test]
    fn an_idle_connection_owns_no_buffer() {
        let mut pair = Pair::new();
        // What waits for the handshake is sent after it.
        pair.client.put(&bytes(100_000));
        pair.server.put(&bytes(50_000));
        pair.until(|pair| pair.server.got.len() == 100_000 && pair.client.got.len() == 50_000);
        assert!(pair.server.got == bytes(100_000) && pair.client.got == bytes(50_000));
        assert_eq!((pair.server.memory(), pair.client.memory()), (0, 0));
        assert!(!pair.server.transport.wants_write() && !pair.server.transport.is_handshaking());
    }

    #[test]
    fn what_a_slow_reader_has_not_taken_goes_on_later() {
        let mut pair = Pair::new();
        pair.until(|pair| !pair.server.transport.is_handshaking() && !pair.client.transport.is_handshaking());
        let mut said = Vec::new();
        while pair.server.write() {
            said.extend(bytes(100_000));
            pair.server.put(&bytes(100_000));
        }
        assert!(pair.server.memory() <= CIPHER && pair.server.transport.wants_write());
        pair.until(|pair| pair.client.got.len() == said.len());
        assert!(pair.client.got == said);
        assert_eq!(pair.server.memory(), 0);
    }

    #[test]
    fn the_ticket_waits_for_the_first_data_and_fin_comes_after_goodbye() {
        let mut pair = Pair::new();
        pair.client.put(b"request");
        let mut turns = 0;
        while pair.server.got.is_empty() {
            pair.client.write();
            pair.server.read();
            // As a worker does, which writes at the end of its read: the ticket goes with the answer.
            if pair.server.transport.is_handshaking() {
                pair.server.write();
            }
            pair.client.read();
            turns += 1;
            assert!(turns < 1_000_000);
        }
        assert!(pair.server.transport.wants_write());
        pair.server.put(b"answer");
        assert!(pair.server.write() && !pair.server.transport.wants_write());
        pair.server.transport.shutdown_write();
        pair.until(|pair| pair.client.end);
        assert_eq!(pair.client.got, b"answer");
        // The other half is open.
        pair.client.put(b"goodbye");
        pair.until(|pair| pair.server.got.ends_with(b"goodbye"));
    }

    #[test]
    fn what_others_have_received_is_decrypted_wherever_it_is_cut() {
        for most in [1, 7, 1000, 16 * 1024] {
            let mut pair = Pair::new();
            pair.until(|pair| !pair.server.transport.is_handshaking());
            pair.client.put(&bytes(50_000));
            let Half { transport, cipher, plain, got, .. } = &mut pair.server;
            let mut received = vec![0; most];
            while got.len() < 50_000 {
                pair.client
                    .transport
                    .write(&mut pair.client.queue, &mut pair.client.buffers, cipher)
                    .unwrap();
                let Ok(len) = Direct(transport.socket()).read(&mut received) else { continue };
                let taken = transport.open(&mut received[..len], cipher, plain).unwrap();
                assert_eq!((taken.raw, taken.end), (len, false));
                got.extend_from_slice(&plain[..taken.len]);
            }
            assert!(*got == bytes(50_000));
            assert_eq!(pair.server.memory(), 0);
        }
    }

    #[test]
    fn what_others_write_is_encrypted_for_them_and_the_rest_goes_on_here() {
        let mut pair = Pair::new();
        pair.until(|pair| !pair.server.transport.is_handshaking() && !pair.client.transport.is_handshaking());
        // The ticket of the handshake goes with the first data.
        pair.server.put(b"first");
        assert!(pair.server.write());
        pair.server.put(&bytes(5_000));
        let Half { transport, queue, buffers, cipher, .. } = &mut pair.server;
        transport.seal(queue, buffers, cipher).unwrap();
        assert!(queue.is_empty() && transport.wants_write());
        let sent = Direct(transport.socket()).write(&transport.front(queue.front())[..2_000]).unwrap();
        transport.consume(sent);
        pair.server.put(b"last");
        assert!(pair.server.write());
        assert_eq!(pair.server.memory(), 0);
        pair.until(|pair| pair.client.got.len() == 5_009);
        assert!(pair.client.got == [&b"first"[..], &bytes(5_000), b"last"].concat());
    }
}
