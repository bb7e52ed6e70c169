//! A worker's line to one dedicated instance: letters out, and who waits for room.

use std::collections::VecDeque;

use lapps_lua::port::ConnId;
use lapps_parser::frame::OpCode;

use super::mail::Letter;
use super::mailbox::Postbox;
use super::slab::Key;
use super::spsc::{Payload, SMALL};
use crate::sys::APART;

/// For so many letters of room one more connection goes on: about as many as a busy one has waiting.
const SHARE: usize = 16;

/// The worker's end of the ring to one instance.
pub(crate) struct Link {
    post: Postbox<Letter>,
    /// Beginnings and ends of connections that found no room: at most one of each per connection, and no message passes
    /// them.
    news: VecDeque<News>,
    /// Connections that are not read because the ring is full.
    waiting: VecDeque<Key>,
    /// Those that went on at the last turn.
    went_on: Vec<Key>,
    /// How many of them are at the front of `waiting` again.
    came_back: usize,
    /// Whose the last message since the last turn was.
    last: Option<ConnId>,
}

#[derive(Clone, Copy)]
enum News {
    Opened(ConnId),
    Disconnected(ConnId),
}

impl Link {
    pub(crate) fn new(post: Postbox<Letter>) -> Link {
        Link {
            post,
            news: VecDeque::new(),
            waiting: VecDeque::new(),
            went_on: Vec::new(),
            came_back: 0,
            last: None,
        }
    }

    /// True when the next message will be taken.
    pub(crate) fn has_room(&mut self) -> bool {
        self.news.is_empty() && self.post.has_room()
    }

    /// Passes on a message; [`Link::has_room`] was true.
    pub(crate) fn message(&mut self, conn: ConnId, opcode: OpCode, payload: &[u8]) {
        if payload.len() <= SMALL {
            return self.put(conn, opcode, Payload::Copied([payload, &[]]));
        }
        // Half a page off the place that it will have in Lua: see `APART`.
        let mut bytes = Vec::with_capacity(APART + payload.len());
        bytes.resize(APART, 0);
        bytes.extend_from_slice(payload);
        self.put(conn, opcode, Payload::Owned(bytes, APART));
    }

    /// Passes on a message that has memory of its own; [`Link::has_room`] was true.
    pub(crate) fn put(&mut self, conn: ConnId, opcode: OpCode, payload: Payload<'_>) {
        let put = self.post.put_with(Letter::Message { conn, opcode }, payload);
        debug_assert!(put.is_ok(), "has_room was asked");
        self.last = Some(conn);
    }

    /// Asks to be told when the instance has handled what `conn` has sent so far; [`Link::has_room`] was true.
    pub(crate) fn mark(&mut self, conn: ConnId) {
        let put = self.post.put(Letter::Mark(conn));
        debug_assert!(put.is_ok(), "has_room was asked");
    }

    /// Passes on, now or later, that a connection has been upgraded.
    pub(crate) fn opened(&mut self, conn: ConnId) {
        self.news.push_back(News::Opened(conn));
        self.deliver_news();
    }

    /// Passes on, now or later, that a connection has ended.
    pub(crate) fn disconnected(&mut self, conn: ConnId) {
        self.news.push_back(News::Disconnected(conn));
        self.deliver_news();
    }

    /// Remembers a connection that found the ring full. One that went on, and found it full again because those before
    /// it took all, keeps its place.
    pub(crate) fn wait(&mut self, key: Key) {
        let sent = self.last.is_some_and(|last| last.slot() == key.slot);
        if !sent && self.went_on.contains(&key) {
            self.waiting.insert(self.came_back, key);
            self.came_back += 1;
        } else {
            self.waiting.push_back(key);
        }
    }

    /// To be called once a turn: passes on what waits, moves connections that may be read again to `ready`, as many as
    /// there is room for, and wakes the instance if there is something new for it.
    pub(crate) fn turn(&mut self, ready: &mut Vec<Key>) {
        self.deliver_news();
        self.went_on.clear();
        (self.came_back, self.last) = (0, None);
        // Again when room came back while we asked to be told.
        while !(self.news.is_empty() && self.waiting.is_empty()) {
            if self.has_room() {
                let count = (1 + self.post.room() / SHARE).min(self.waiting.len());
                self.went_on.extend(self.waiting.drain(..count));
                ready.extend(&self.went_on);
                break;
            }
            if self.post.starve() {
                break;
            }
            self.deliver_news();
        }
        self.notify();
    }

    /// Wakes the instance if there is something new for it.
    pub(crate) fn notify(&mut self) {
        self.post.notify();
    }

    /// True when the instance has been told of every ended connection.
    pub(crate) fn is_settled(&self) -> bool {
        self.news.is_empty()
    }

    fn deliver_news(&mut self) {
        while let Some(news) = self.news.front() {
            let letter = match *news {
                News::Opened(conn) => Letter::Opened(conn),
                News::Disconnected(conn) => Letter::Disconnected(conn),
            };
            if self.post.put(letter).is_err() {
                break;
            }
            self.news.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::mailbox::{Mailbox, RING_LETTERS};
    use crate::engine::wake::Wake;

    #[test]
    fn an_ended_connection_is_told_once_and_after_its_messages_even_when_the_ring_is_full() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let conn = ConnId::new(0, 1, 1);
        let mut ready = Vec::new();
        while link.has_room() {
            link.message(conn, OpCode::Text, b"x");
        }
        link.disconnected(conn);
        link.wait(Key { slot: 2, generation: 1 });
        link.turn(&mut ready);
        assert!(ready.is_empty() && !link.is_settled());
        for _ in 0..RING_LETTERS {
            assert!(matches!(mailbox.take(0), Some(Letter::Message { .. })));
        }
        link.turn(&mut ready);
        assert_eq!(ready.len(), 1);
        assert!(link.is_settled());
        assert!(matches!(mailbox.take(0), Some(Letter::Disconnected(ended)) if ended == conn));
        assert!(mailbox.take(0).is_none());
    }

    #[test]
    fn the_beginning_of_a_connection_comes_before_its_messages_even_when_the_ring_is_full() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let [old, new] = [1, 2].map(|slot| ConnId::new(0, slot, 1));
        while link.has_room() {
            link.message(old, OpCode::Text, b"x");
        }
        link.opened(new);
        mailbox.take(0);
        mailbox.take(0);
        assert!(!link.has_room(), "no message passes it");
        link.turn(&mut Vec::new());
        assert!(link.has_room());
        link.message(new, OpCode::Text, b"x");
        for _ in 2..RING_LETTERS {
            assert!(matches!(mailbox.take(0), Some(Letter::Message { conn, .. }) if conn == old));
        }
        assert!(matches!(mailbox.take(0), Some(Letter::Opened(conn)) if conn == new));
        assert!(matches!(mailbox.take(0), Some(Letter::Message { conn, .. }) if conn == new));
    }

    #[test]
    fn many_go_on_at_once_and_who_finds_no_room_keeps_its_place() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let keys: Vec<Key> = (1..=40).map(|slot| Key { slot, generation: 1 }).collect();
        let message = |link: &mut Link, key: Key| {
            link.message(ConnId::new(0, key.slot, 1), OpCode::Text, b"x");
        };
        for key in &keys {
            link.wait(*key);
        }
        let mut ready = Vec::new();
        link.turn(&mut ready);
        assert_eq!(ready, keys);
        // The first takes all the room, the second has nothing to say, the others have.
        while link.has_room() {
            message(&mut link, keys[0]);
        }
        link.wait(keys[0]);
        for key in &keys[2..] {
            link.wait(*key);
        }
        let order: Vec<Key> = keys[2..].iter().chain([&keys[0]]).copied().collect();
        assert_eq!(link.waiting, order);
        for _ in 0..SHARE {
            mailbox.take(0);
        }
        ready.clear();
        link.turn(&mut ready);
        assert_eq!(ready, &order[..2]);
    }

    #[test]
    fn who_waits_goes_on_in_turn_even_if_the_first_fills_the_ring_again() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let [flood, other] = [1, 2].map(|slot| Key { slot, generation: 1 });
        let mut served = Vec::new();
        link.wait(flood);
        link.wait(other);
        for _ in 0..10 {
            let mut ready = Vec::new();
            link.turn(&mut ready);
            for key in ready {
                if !link.has_room() {
                    link.wait(key);
                    continue;
                }
                served.push(key);
                while key == flood && link.has_room() {
                    link.message(ConnId::new(0, key.slot, 1), OpCode::Text, b"x");
                }
                if key == flood {
                    link.wait(key);
                }
            }
            while mailbox.take(0).is_some() {}
        }
        assert!(served.contains(&other), "{served:?}");
    }
}
