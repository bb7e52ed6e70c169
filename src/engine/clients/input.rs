//! Bytes from servers to services: reading, decoding, delivering, pausing.

use lapps_lua::port::ClientEvent;
use lapps_lua::reactive::Verdict;
use lapps_parser::close::CloseCode;

use super::calls::{Calls, id};
use super::ending::End;
use super::{Host, Pause, Phase, Set};
use crate::engine::log_failure;
use crate::engine::slab::Key;
use crate::net::client::Happening;
use crate::sys::APART;

/// Bytes read from one connection per turn.
const BYTES_PER_TURN: usize = 256 * 1024;

/// Frames taken from one connection per turn.
const FRAMES_PER_TURN: u32 = 1000;

/// How far decoding came.
enum Flow {
    /// All bytes were eaten.
    Eaten,
    /// The connection must wait; the bytes from here on are left.
    Paused(usize, Pause),
    /// The connection has ended, and this was the last that counts.
    Ended,
}

impl Set {
    /// Goes on with a connection that was paused.
    pub(super) fn resume(&mut self, key: Key, host: &mut impl Host) {
        if let Some(conn) = self.get(key) {
            conn.pause = Pause::No;
            self.read(key, true, host);
        }
    }

    /// Reads a connection until its socket is drained, its budget is used up, or it must wait. `thorough`: a short read
    /// does not prove that the socket is drained.
    pub(super) fn read(&mut self, key: Key, thorough: bool, host: &mut impl Host) {
        let Some(conn) = self.get(key).filter(|conn| conn.pause == Pause::No) else { return };
        let mut frames = FRAMES_PER_TURN;
        if !conn.held.is_empty() {
            let mut held = std::mem::take(&mut conn.held);
            if !self.digest(key, &mut held, &mut frames, host) {
                return self.flush(key, host);
            }
        }
        let mut input = std::mem::take(&mut self.input);
        self.read_socket(key, thorough, &mut input[APART..], &mut frames, host);
        self.input = input;
        self.flush(key, host);
    }

    fn read_socket(
        &mut self,
        key: Key,
        thorough: bool,
        input: &mut [u8],
        frames: &mut u32,
        host: &mut impl Host,
    ) {
        let mut budget = BYTES_PER_TURN;
        loop {
            let (now, cipher) = (self.now as u32, &mut self.cipher);
            let conn = self.conns.get_mut(key.slot as usize).and_then(Option::as_mut);
            let Some(conn) = conn.filter(|conn| conn.generation == key.generation) else { return };
            let Some(transport) = &mut conn.transport else { return };
            if conn.eof {
                return self.end_of_stream(key, host);
            }
            let taken = match transport.read(cipher, input) {
                Ok(taken) => taken,
                Err(error) => return self.broken(key, &error, host),
            };
            conn.eof = taken.end;
            if taken.len > 0 {
                conn.heard = now;
                conn.pinged = false;
                if !self.digest(key, &mut input[..taken.len], frames, host) {
                    return;
                }
            }
            if taken.drained && !taken.end && (!thorough || taken.raw == 0) {
                return;
            }
            budget = budget.saturating_sub(taken.raw);
            if budget == 0 && !taken.end {
                return self.pause(key, Pause::Budget);
            }
        }
    }

    /// Decodes and delivers `bytes`. False: the connection is paused (and holds what is left).
    fn digest(&mut self, key: Key, bytes: &mut [u8], frames: &mut u32, host: &mut impl Host) -> bool {
        let upgrading = self.get(key).is_some_and(|conn| conn.phase == Phase::Upgrading);
        let flow = self.decode(key, bytes, frames, host);
        if upgrading {
            // An open connection may be due earlier than its handshake was.
            self.schedule(key);
        }
        match flow {
            Flow::Eaten => true,
            Flow::Paused(at, pause) => {
                if let Some(conn) = self.get(key) {
                    conn.held = bytes[at..].to_vec();
                }
                self.pause(key, pause);
                false
            }
            // What follows the end is thrown away, also what comes later.
            Flow::Ended => self.get(key).is_some(),
        }
    }

    fn decode(&mut self, key: Key, bytes: &mut [u8], frames: &mut u32, host: &mut impl Host) -> Flow {
        let mut at = 0;
        let Some(conn) = self.get(key) else { return Flow::Eaten };
        let (owner, conn_id) = (conn.owner, id(key));
        while at < bytes.len() {
            if conn.phase == Phase::Open {
                if *frames == 0 {
                    return Flow::Paused(at, Pause::Budget);
                }
                if host.calls().waiting(key) + conn.in_flight > conn.pact.high_water {
                    return Flow::Paused(at, Pause::Full);
                }
            }
            let step = match conn.protocol.step(&conn.pact.limits, &mut bytes[at..]) {
                Ok(step) => step,
                Err(fault) => {
                    self.end(key, End::Failed(&fault.to_string(), fault.close_code()), host);
                    return Flow::Ended;
                }
            };
            at += step.consumed;
            *frames = frames.saturating_sub(1);
            let (event, message) = match step.happening {
                None => break,
                Some(Happening::Message { opcode, payload }) => {
                    // After our close frame nothing is delivered any more.
                    if !host.calls().is_open(key) {
                        continue;
                    }
                    (ClientEvent::Message { opcode, payload }, true)
                }
                Some(Happening::Ping(payload)) => {
                    host.calls().pong(key, payload);
                    continue;
                }
                Some(Happening::Pong) => continue,
                Some(Happening::Close { code, reason }) => {
                    let reason = reason.to_owned();
                    self.end(key, End::Closed(code, &reason), host);
                    return Flow::Ended;
                }
                Some(Happening::Opened(protocol)) => {
                    conn.phase = Phase::Open;
                    if host.calls().is_recalled(key) {
                        // The service has closed it before; there is nobody to tell.
                        continue;
                    }
                    host.calls().open(key);
                    let event = ClientEvent::Opened { protocol: protocol.as_deref() };
                    see_to(host.deliver(owner, conn_id, event), key, host.calls());
                    continue;
                }
            };
            match host.deliver(owner, conn_id, event) {
                Verdict::Keep => {}
                Verdict::Waits { weight } if message => conn.in_flight += weight,
                verdict => see_to(verdict, key, host.calls()),
            }
        }
        conn.protocol.release();
        Flow::Eaten
    }

    /// Stops reading a connection until [`Set::resume`].
    fn pause(&mut self, key: Key, pause: Pause) {
        let Some(conn) = self.get(key) else { return };
        conn.pause = pause;
        if pause == Pause::Budget {
            self.ready.push(key);
        }
    }

    /// Lets a connection be read again when what waits, for the socket and for handlers, has fallen below half of the
    /// high-water mark; or when nothing more is delivered anyway, because the server's close frame is still to be read.
    pub(super) fn let_go_on(&mut self, key: Key, calls: &Calls) {
        let Some(conn) = self.get(key).filter(|conn| conn.pause == Pause::Full) else { return };
        let waits = calls.waiting(key) + conn.in_flight;
        if waits <= conn.pact.high_water / 2 || conn.phase != Phase::Open {
            conn.pause = Pause::Budget;
            self.ready.push(key);
        }
    }

    /// The instance has handled a message that waited.
    pub(super) fn on_handled(&mut self, key: Key, weight: usize, calls: &Calls) {
        if let Some(conn) = self.get(key) {
            conn.in_flight = conn.in_flight.saturating_sub(weight);
            self.let_go_on(key, calls);
        }
    }
}

/// Closes a connection whose handler has failed, with 1011.
pub(super) fn see_to(verdict: Verdict, key: Key, calls: &mut Calls) {
    if let Verdict::Fail(failure) = verdict {
        log_failure(&failure, false);
        if calls.is_open(key) {
            calls.close(key, Some(CloseCode::INTERNAL), "");
        }
    }
}
