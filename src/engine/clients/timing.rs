//! What is due when: deadlines of outgoing connections, looked at when the wheel says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapps_lua::port::Terms;
use lapps_parser::decoder::Limits;

use super::ending::End;
use super::{Conn, HIGH_WATER, Host, Pact, Pause, Phase, Set};
use crate::engine::slab::Key;
use crate::engine::wheel::TICK_MS;

/// The moment at which a tick begins.
pub(super) fn time_of(started: Instant, tick: u64) -> Instant {
    started + Duration::from_millis(tick * TICK_MS)
}

pub(super) fn ticks_since(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64 / TICK_MS
}

/// So long a wait in ticks. Rounded up, and one more because the tick in which it begins is partly over: never early.
pub(super) fn ticks(wait: Duration) -> u32 {
    let ticks = wait.as_millis().div_ceil(u128::from(TICK_MS)) + 1;
    u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

impl Pact {
    /// The pact for these terms; the last one, if they are the same.
    pub(super) fn on(terms: &Terms, last: &mut Option<Arc<Pact>>) -> Arc<Pact> {
        if let Some(last) = last
            && last.terms == *terms
        {
            return Arc::clone(last);
        }
        let most_fragments = (terms.max_message / 64).max(16_384);
        let pact = Arc::new(Pact {
            terms: *terms,
            limits: Limits { max_message: terms.max_message, max_fragments: most_fragments as u32 },
            high_water: terms.max_queue.min(HIGH_WATER),
            handshake: ticks(terms.handshake),
            ping: ticks(terms.ping),
            idle: ticks(terms.idle),
            closing: ticks(terms.closing),
        });
        *last = Some(Arc::clone(&pact));
        pact
    }
}

impl Set {
    /// Asks the wheel to look at a connection when its next deadline comes, unless it does so earlier anyway.
    pub(super) fn schedule(&mut self, key: Key) {
        let Some(conn) = self.get(key) else { return };
        let tick = conn.next_due();
        if tick < u64::from(conn.scheduled) {
            // Earlier than asked for, where that is beyond the wheel's horizon.
            let scheduled = self.wheel.insert(tick, key).min(tick) as u32;
            if let Some(conn) = self.get(key) {
                conn.scheduled = scheduled;
            }
        }
    }

    /// Does what is due.
    pub(super) fn take_due(&mut self, host: &mut impl Host) {
        let mut due = Vec::new();
        let now = self.now;
        self.wheel.take(now, &mut due);
        for key in due {
            let Some(conn) = self.get(key) else { continue };
            if u64::from(conn.scheduled) > now {
                // Another entry comes later.
                continue;
            }
            conn.scheduled = u32::MAX;
            if conn.next_due() <= now {
                self.on_due(key, host);
            }
            self.schedule(key);
        }
    }

    fn on_due(&mut self, key: Key, host: &mut impl Host) {
        let now = self.now as u32;
        let Some(conn) = self.get(key) else { return };
        match conn.phase {
            Phase::Naming | Phase::Connecting => self.attempt_is_late(key, host),
            Phase::Standing | Phase::Upgrading => {
                self.end(key, End::Failed("the server did not answer the handshake in time", None), host);
            }
            Phase::Open if conn.pause != Pause::No => {
                // It is we who do not read; what it says may be there already.
                conn.heard = now;
                conn.pinged = false;
            }
            Phase::Open if conn.pinged => {
                // Its answer may be here already, unread because this thread was busy.
                self.read(key, true, host);
                if self.get(key).is_some_and(|conn| conn.pinged && conn.phase == Phase::Open) {
                    let code = lapps_parser::close::CloseCode::GOING_AWAY;
                    self.end(
                        key,
                        End::Failed("the server is silent and does not answer a ping", Some(code)),
                        host,
                    );
                }
            }
            Phase::Open => {
                conn.pinged = true;
                // A busy thread asks late; the time to answer is the same.
                conn.heard = conn.heard.max(now.saturating_sub(conn.pact.ping));
                host.calls().ping(key);
            }
            Phase::Closing => self.end(key, End::Unanswered, host),
            Phase::Ended => self.remove(key, host.calls()),
        }
    }
}

impl Conn {
    /// The tick at which something happens if nothing else does.
    fn next_due(&self) -> u64 {
        let after = |base: u32, wait: u32| u64::from(base) + u64::from(wait);
        match self.phase {
            Phase::Naming => self.attempt.as_ref().map_or(0, |attempt| u64::from(attempt.deadline)),
            // `since` is when the time of the address at hand is over.
            Phase::Connecting => u64::from(self.since),
            Phase::Standing | Phase::Upgrading => after(self.since, self.pact.handshake),
            Phase::Open if self.pinged => after(self.heard, self.pact.idle),
            Phase::Open => after(self.heard, self.pact.ping),
            Phase::Closing | Phase::Ended => after(self.since, self.pact.closing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_early_and_never_wraps() {
        for ms in [1, 99, 100, 101, 250] {
            assert!(u64::from(ticks(Duration::from_millis(ms)) - 1) * TICK_MS >= ms);
        }
        assert_eq!(ticks(Duration::MAX), u32::MAX / 2);
    }
}
