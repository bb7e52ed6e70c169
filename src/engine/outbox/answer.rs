//! Large answers to the connection whose message is being handled: written from where they lie.

use std::io::{IoSlice, Write};

use lapps_lua::port::{Answer, ConnId};
use lapps_parser::frame::{FrameHeader, OpCode};
use mio::net::TcpStream;

use super::{Outbox, ServicePort, row_of};
use crate::engine::slab::Key;
use crate::net::transport::Transport;
use crate::sys::direct::Direct;

/// From so many bytes on a message is written to the socket at once rather than copied and written together with others: the copy
/// costs more than the call.
pub(super) const LARGE: usize = 16 * 1024;

/// A connection and its socket, to which is written what is sent.
#[derive(Clone, Copy)]
pub(super) struct Asker<'o> {
    pub(super) conn: ConnId,
    socket: &'o TcpStream,
}

impl Outbox {
    /// The door for the instance of this service while it handles messages of the connection.
    pub(crate) fn port_for<'o>(
        &'o mut self,
        service: usize,
        conn: ConnId,
        transport: &'o Transport,
    ) -> ServicePort<'o> {
        let asker = transport.plain().map(|socket| Asker { conn, socket });
        ServicePort { asker, ..self.port(service) }
    }

    /// Sends a large message to a connection from where it lies, as far as its socket takes it; only the rest is copied.
    #[cold]
    pub(super) fn send_directly(&mut self, asker: Asker<'_>, opcode: OpCode, payload: &[u8]) -> Answer {
        let Asker { conn, socket } = asker;
        let key = Key { slot: conn.slot(), generation: conn.generation() };
        if !self.is_open(key) || self.framing.cuts(payload.len()) {
            return self.send(conn, opcode, payload);
        }
        let row = row_of(&mut self.chunks, key.slot);
        if row.blocked || !row.queue.is_empty() {
            return self.send(conn, opcode, payload);
        }
        let header = FrameHeader::unmasked(opcode, payload.len()).encode();
        let parts = [IoSlice::new(&header), IoSlice::new(payload)];
        // What is wrong with the socket is found when the rest is written.
        let Ok(written @ 1..) = Direct(socket).write_vectored(&parts) else {
            return self.send(conn, opcode, payload);
        };
        self.tally.bytes_out.add(written as u64);
        self.sent.messages += 1;
        self.sent.bytes += payload.len() as u64;
        let (header, payload) =
            (&header[written.min(header.len())..], &payload[written.saturating_sub(header.len())..]);
        if payload.is_empty() {
            return Answer::Done;
        }
        self.write(conn, header.len() + payload.len(), |out| {
            out.extend_from_slice(header);
            out.extend_from_slice(payload);
        })
    }
}

#[cfg(test)]
mod tests {
    use lapps_lua::port::{Command, Port};
    use lapps_parser::frame;

    use super::super::tests::{KEY, outbox, send};
    use super::*;

    /// What a client gets whose service answers one of its messages by these, after `before` was sent.
    #[track_caller]
    fn answers(before: &[u8], payloads: &[&[u8]]) -> Vec<u8> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        server.set_nonblocking(true).unwrap();
        let transport = Transport::Plain(TcpStream::from_std(server));
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        if !before.is_empty() {
            assert_eq!(send(&mut outbox, conn, before), Answer::Done);
        }
        outbox.row(KEY).limit = u32::MAX;
        let mut port = outbox.port_for(1, conn, &transport);
        for payload in payloads {
            let command = Command::Send { conn, opcode: OpCode::Binary, payload };
            assert_eq!(port.command(command), Answer::Done);
        }
        let (waits, sent) = (outbox.waiting(KEY) as u64, outbox.tally.bytes_out.get());
        outbox.count_sent();
        assert_eq!(outbox.tally.messages_out.get(), u64::from(!before.is_empty()) + payloads.len() as u64);
        let mut got = vec![0; sent as usize];
        std::io::Read::read_exact(&mut client, &mut got).unwrap();
        let (row, buffers) = outbox.row_and_buffers(KEY);
        let mut rest = Vec::new();
        assert!(row.queue.write_to(&mut rest, buffers).unwrap());
        assert_eq!(rest.len() as u64, waits);
        got.extend(rest);
        got
    }

    fn frames(payloads: &[&[u8]]) -> Vec<u8> {
        let mut frames = Vec::new();
        payloads.iter().for_each(|payload| frame::write_frame(&mut frames, true, OpCode::Binary, payload));
        frames
    }

    #[test]
    fn large_answers_are_written_at_once_and_in_order() {
        let pattern: Vec<u8> = (0..40_000_000_u32).map(|at| (at / 7 + at) as u8).collect();
        let (large, huge) = (&pattern[..LARGE], &pattern[..]);
        // One that the socket takes whole, one of which it takes a part, and those after it, which wait.
        for payloads in
            [&[large][..], &[huge], &[huge, large, b"small"], &[b"small", large], &[large, b"small", large]]
        {
            assert!(answers(b"", payloads) == frames(payloads));
            assert!(answers(b"before", payloads) == [frames(&[b"before"]), frames(payloads)].concat());
        }
    }

    #[test]
    fn a_large_answer_alone_is_not_copied() {
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let transport = Transport::Plain(TcpStream::from_std(listener.accept().unwrap().0));
        let payload = &[7; LARGE][..];
        let mut port = outbox.port_for(1, conn, &transport);
        port.command(Command::Send { conn, opcode: OpCode::Binary, payload });
        assert_eq!(outbox.waiting(KEY), 0);
        assert_eq!(outbox.tally.bytes_out.get(), LARGE as u64 + 4);
    }
}
