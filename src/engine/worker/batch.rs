//! The whole messages of one read, delivered to their instance together.

use lapps_lua::Message;
use lapps_lua::reactive::Verdict;
use lapps_parser::decoder::{Limits, Violation};

use super::input::{OVERHEAD, link_to};
use super::instances::fail;
use super::{Conn, Worker};
use crate::engine::slab::Key;
use crate::net::connection::Connection;

/// Messages of one batch.
pub(super) const MESSAGES: usize = 64;

/// What delivering did.
pub(super) enum Delivered {
    /// So many bytes were eaten; none if no whole message is at the front.
    Eaten(usize),
    /// What follows the messages that were delivered is wrong.
    Wrong(Violation),
}

impl Worker {
    /// Decodes whole messages from the front of `bytes` and gives them to the dedicated instance, as many as come before the next
    /// mark, or before the connection has to wait. `frames` is how many it may eat.
    pub(super) fn post_whole(
        &mut self,
        key: Key,
        instance: u16,
        limits: &Limits,
        high_water: usize,
        frames: &mut u32,
        bytes: &mut [u8],
    ) -> Delivered {
        let Worker { conns, outbox, links, tally, .. } = self;
        let Some(Conn { protocol: Connection::Open(decoder), in_flight, marked, .. }) = conns.get_mut(key)
        else {
            return Delivered::Eaten(0);
        };
        let (id, link) = (outbox.id(key), link_to(links, instance));
        let room = high_water.saturating_sub(outbox.waiting(key));
        let most = if *marked == 0 { room.min(high_water / 4) } else { room };
        let (whole, allowed) = (bytes.len(), *frames);
        let mut rest = bytes;
        let mut wrong = None;
        while *frames > 0 && *in_flight <= most && link.has_room() {
            match decoder.take_whole(limits, &mut rest) {
                Ok(Some((opcode, payload))) => {
                    *frames -= 1;
                    *in_flight += payload.len() + OVERHEAD;
                    link.message(id, opcode, payload);
                }
                Ok(None) => break,
                Err(violation) => {
                    wrong = Some(violation);
                    break;
                }
            }
        }
        tally.messages_in.add(u64::from(allowed - *frames));
        wrong.map_or(Delivered::Eaten(whole - rest.len()), Delivered::Wrong)
    }

    /// Decodes and delivers whole messages from the front of `bytes`, as many as the connection's output allows: more than
    /// `high_water` bytes may not wait. `frames` is how many it may eat, and one at least.
    pub(super) fn deliver_whole(
        &mut self,
        key: Key,
        service: u16,
        limits: &Limits,
        high_water: usize,
        frames: &mut u32,
        bytes: &mut [u8],
    ) -> Delivered {
        let Worker { conns, outbox, instances, batch, tally, .. } = self;
        let Some(Conn { protocol: Connection::Open(decoder), in_flight, transport, .. }) = conns.get_mut(key)
        else {
            return Delivered::Eaten(0);
        };
        let Some(instance) = &mut instances[usize::from(service)] else { return Delivered::Eaten(0) };
        let (id, batch) = (outbox.id(key), batch.begin());
        let most = MESSAGES.min(*frames as usize);
        // An answer is taken to be as long as its message.
        let mut room = high_water.saturating_sub(outbox.waiting(key) + *in_flight);
        let whole = bytes.len();
        let mut rest = &mut *bytes;
        let mut wrong = None;
        while batch.len() < most {
            match decoder.take_whole(limits, &mut rest) {
                Ok(Some((opcode, payload))) => {
                    batch.extend(Message::new(id, opcode, payload));
                    room = match room.checked_sub(payload.len()) {
                        Some(room) => room,
                        None => break,
                    };
                }
                Ok(None) => break,
                Err(violation) => {
                    wrong = Some(violation);
                    break;
                }
            }
        }
        let eaten = whole - rest.len();
        let taken = batch.len();
        let mut handled = 0;
        while handled < taken {
            let mut port = outbox.port_for(service.into(), id, transport);
            let (count, verdict) = instance.deliver_batch(&mut port, &batch[handled..]);
            handled += count;
            match verdict {
                Verdict::Keep => {}
                Verdict::Waits { weight } => *in_flight += weight,
                Verdict::Fail(failure) => fail(outbox, &failure),
            }
            // After our close frame nothing is delivered any more.
            if !outbox.is_open(key) {
                handled = taken;
            } else if outbox.waiting(key) + *in_flight > high_water {
                break;
            }
        }
        *frames -= handled as u32;
        tally.messages_in.add(handled as u64);
        if handled < taken {
            return Delivered::Eaten(decoder.give_back(limits, &mut bytes[..eaten], handled));
        }
        wrong.map_or(Delivered::Eaten(eaten), Delivered::Wrong)
    }
}
