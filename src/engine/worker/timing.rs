//! What is due when: deadlines of connections, looked at when the wheel says so.

use std::time::{Duration, Instant};

use super::{Conn, Pause, Worker};
use crate::engine::slab::Key;
use crate::engine::wheel::TICK_MS;
use crate::net::ended::Ended;

/// The moment at which a tick begins.
pub(super) fn time_of(started: Instant, tick: u64) -> Instant {
    started + Duration::from_millis(tick * TICK_MS)
}

/// What happens to a connection next if nothing else does.
enum Due {
    /// Upgrading for too long.
    Handshake,
    /// The close handshake, or the drain, takes too long.
    Closing { unanswered: bool },
    /// The peer takes nothing.
    Stalled,
    /// Silence: ask.
    Ping,
    /// Silence even after asking.
    Idle,
}

impl Worker {
    /// Reads the clock.
    pub(super) fn tick(&mut self) {
        self.now = self.started.elapsed().as_millis() as u64 / TICK_MS;
    }

    /// Asks the wheel to look at a connection when its next deadline comes, unless it does so earlier anyway.
    pub(super) fn schedule(&mut self, key: Key) {
        let Some((tick, _)) = self.next_due(key) else { return };
        let Some(conn) = self.conns.get_mut(key) else { return };
        if tick < u64::from(conn.scheduled) {
            // Earlier than asked for, where that is beyond the wheel's horizon.
            conn.scheduled = self.wheel.insert(tick, key).min(tick) as u32;
        }
    }

    /// Does what is due.
    pub(super) fn take_due(&mut self) {
        let mut due = Vec::new();
        self.wheel.take(self.now, &mut due);
        for key in due {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            if u64::from(conn.scheduled) > self.now {
                // Another entry comes later.
                continue;
            }
            conn.scheduled = u32::MAX;
            match self.next_due(key) {
                Some((tick, due)) if tick <= self.now => self.on_due(key, due),
                _ => {}
            }
            self.schedule(key);
        }
    }

    fn on_due(&mut self, key: Key, due: Due) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        match due {
            Due::Handshake if conn.protocol.has_partial_head() => self.end(key, Ended::LateHead),
            Due::Handshake => self.end(key, Ended::HandshakeTimeout),
            Due::Closing { unanswered: true } => self.end(key, Ended::CloseUnanswered),
            // The dedicated instance takes too long; the peer has waited enough.
            Due::Closing { .. } if conn.last_word.is_some() => self.say_last_word(key),
            Due::Closing { .. } => self.remove(key),
            Due::Stalled => self.end(key, Ended::Stalled),
            Due::Ping | Due::Idle if conn.pause != Pause::No => {
                // It is we who do not read; what it says may be there already.
                conn.heard = self.now as u32;
                conn.pinged = false;
            }
            Due::Idle => {
                // Its answer may be here already, unread because this worker was busy.
                if conn.ring.carries() {
                    if conn.transport.has_unread() {
                        conn.heard = self.now as u32;
                        conn.pinged = false;
                    }
                } else {
                    self.read(key, true);
                }
                let unread = |conn: &Conn| conn.pause != Pause::No;
                if self
                    .conns
                    .get(key)
                    .is_some_and(|conn| conn.pinged && conn.protocol.is_open() && !unread(conn))
                {
                    self.end(key, Ended::Idle);
                }
            }
            Due::Ping => {
                conn.pinged = true;
                // A busy worker asks late; the time to answer is the same.
                conn.heard = conn.heard.max((self.now as u32).saturating_sub(self.settings.timeouts.ping));
                self.outbox.ping(key);
            }
        }
    }

    fn next_due(&mut self, key: Key) -> Option<(u64, Due)> {
        let blocked = self.conns.get(key).is_some() && self.outbox.row(key).blocked;
        let conn = self.conns.get(key)?;
        let timeouts = &self.settings.timeouts;
        let after = |base: u32, wait: u32| u64::from(base) + u64::from(wait);
        if conn.protocol.is_upgrading() {
            return Some((after(conn.since, timeouts.handshake), Due::Handshake));
        }
        if conn.protocol.is_closing() || conn.awaits_close {
            let unanswered = conn.protocol.is_open();
            return Some((after(conn.since, timeouts.closing), Due::Closing { unanswered }));
        }
        let silence = next_of_silence(conn, timeouts.ping, timeouts.idle);
        if blocked {
            let stalled = after(conn.since, timeouts.stalled);
            if stalled < silence.0 {
                return Some((stalled, Due::Stalled));
            }
        }
        Some(silence)
    }
}

fn next_of_silence(conn: &Conn, ping: u32, idle: u32) -> (u64, Due) {
    if conn.pinged {
        (u64::from(conn.heard) + u64::from(idle), Due::Idle)
    } else {
        (u64::from(conn.heard) + u64::from(ping), Due::Ping)
    }
}
