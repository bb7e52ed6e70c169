//! What somebody in charge wants to know of a worker's connections, and do to one of them.

use lapps_lua::port::ConnId;
use lapps_parser::close::CloseCode;

use super::{Home, Worker};
use crate::engine::mail::Seen;
use crate::engine::slab::Key;
use crate::engine::wheel::TICK_MS;
use crate::ops::causes::Cause;

impl Worker {
    /// Connections of the service with this name, or of all; at most so many.
    pub(super) fn list(&self, service: Option<&str>, limit: usize) -> Vec<Seen> {
        let keys = self.conns.keys().into_iter();
        keys.filter_map(|key| self.seen(key))
            .filter(|seen| service.is_none() || service == seen.service.as_deref())
            .take(limit)
            .collect()
    }

    fn seen(&self, key: Key) -> Option<Seen> {
        let conn = self.conns.get(key)?;
        let service = match conn.home {
            Home::None => None,
            Home::Here { service } | Home::Dedicated { service, .. } => {
                Some(self.registry.get(usize::from(service))?.service.name.clone())
            }
        };
        Some(Seen {
            conn: self.outbox.id(key),
            service,
            peer: conn.peer(),
            state: if conn.protocol.is_upgrading() {
                "upgrading"
            } else if conn.protocol.is_open() && self.outbox.is_open(key) {
                "open"
            } else {
                "closing"
            },
            queued: self.outbox.waiting(key),
            in_flight: conn.in_flight,
            silent_ms: self.now.saturating_sub(u64::from(conn.heard)) * TICK_MS,
        })
    }

    /// Closes a connection, or cuts it where there is no WebSocket yet. False: it is not there, or is being closed.
    pub(super) fn kick(&mut self, conn: ConnId) -> bool {
        let key = Key { slot: conn.slot(), generation: conn.generation() };
        let Some(conn) = self.conns.get(key) else { return false };
        if conn.protocol.is_upgrading() {
            self.tally.ended.count(Cause::ByService);
            self.remove(key);
            return true;
        }
        let open = self.outbox.is_open(key);
        if open {
            self.outbox.close(key, Some(CloseCode::POLICY), "closed by the operator");
        }
        open
    }
}
