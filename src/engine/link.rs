//! A worker's line to one dedicated instance: letters out, and who waits for room.

use std::collections::VecDeque;

use lapps_lua::port::ConnId;
use lapps_parser::frame::OpCode;

use super::mail::Letter;
use super::mailbox::Postbox;
use super::slab::Key;
use super::spsc::{Payload, SMALL};
use crate::sys::APART;

/// The worker's end of the ring to one instance.
pub(crate) struct Link {
    post: Postbox<Letter>,
    /// Beginnings and ends of connections that found no room: at most one of each per connection, and no message passes
    /// them.
    news: VecDeque<News>,
    /// Connections that are not read because the ring is full, or because others came before them.
    waiting: VecDeque<Key>,
    /// Who waited longest, and goes on now: the others are behind it.
    going_on: Option<Key>,
}

#[derive(Clone, Copy)]
enum News {
    Opened(ConnId),
    Disconnected(ConnId),
}

impl Link {
    pub(crate) fn new(post: Postbox<Letter>) -> Link {
        Link { post, news: VecDeque::new(), waiting: VecDeque::new(), going_on: None }
    }

    /// True when the next message will be taken.
    pub(crate) fn has_room(&mut self) -> bool {
        self.news.is_empty() && self.post.has_room()
    }

    /// True when the next message will be taken and it is the turn of this connection: nobody passes those that wait.
    pub(crate) fn has_room_for(&mut self, key: Key) -> bool {
        (self.waiting.is_empty() || self.going_on == Some(key)) && self.has_room()
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

    /// Remembers a connection for which there is no room, or whose turn it is not.
    pub(crate) fn wait(&mut self, key: Key) {
        self.waiting.push_back(key);
    }

    /// How many connections wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Who may go on, if there is room: who has waited longest.
    pub(crate) fn next(&mut self) -> Option<Key> {
        self.going_on = if self.has_room() { self.waiting.pop_front() } else { None };
        self.going_on
    }

    /// True when something waits for room, and there is some. To be looked at after the thread has said that it sleeps: who made room
    /// before that did not wake it.
    pub(crate) fn goes_on(&mut self) -> bool {
        !(self.news.is_empty() && self.waiting.is_empty()) && self.post.has_room()
    }

    /// To be called once a turn: passes on what waits, and wakes the instance if there is something new for it. True:
    /// there is room for connections that wait. Else the instance wakes the worker when there is.
    pub(crate) fn turn(&mut self) -> bool {
        self.going_on = None;
        self.deliver_news();
        let mut goes_on = false;
        // Again when room came back while we asked to be told.
        while !(self.news.is_empty() && self.waiting.is_empty()) {
            goes_on = self.has_room();
            if goes_on || self.post.starve() {
                break;
            }
            self.deliver_news();
        }
        self.notify();
        goes_on
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
        while link.has_room() {
            link.message(conn, OpCode::Text, b"x");
        }
        link.disconnected(conn);
        link.wait(Key { slot: 2, generation: 1 });
        assert!(!link.turn() && !link.is_settled());
        for _ in 0..RING_LETTERS {
            assert!(matches!(mailbox.take(0), Some(Letter::Message { .. })));
        }
        assert!(link.turn() && link.is_settled());
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
        link.turn();
        assert!(link.has_room());
        link.message(new, OpCode::Text, b"x");
        for _ in 2..RING_LETTERS {
            assert!(matches!(mailbox.take(0), Some(Letter::Message { conn, .. }) if conn == old));
        }
        assert!(matches!(mailbox.take(0), Some(Letter::Opened(conn)) if conn == new));
        assert!(matches!(mailbox.take(0), Some(Letter::Message { conn, .. }) if conn == new));
    }

    /// Lets those that wait go on as a worker does, each of them with so many messages as `of` says; tells who had room for one.
    fn go_on(link: &mut Link, of: impl Fn(Key) -> usize) -> Vec<Key> {
        let mut served = Vec::new();
        for _ in 0..link.waiting() {
            let Some(key) = link.next() else { break };
            served.push(key);
            if !put(link, key, of(key)) {
                link.wait(key);
            }
        }
        link.turn();
        served
    }

    /// What a worker does for a connection that has so many messages. False: it has to wait with what is left.
    fn put(link: &mut Link, key: Key, messages: usize) -> bool {
        (0..messages).all(|_| {
            let is_its_turn = link.has_room_for(key);
            if is_its_turn {
                link.message(ConnId::new(0, key.slot, 1), OpCode::Text, b"x");
            }
            is_its_turn
        })
    }

    fn keys(count: u32) -> Vec<Key> {
        (1..=count).map(|slot| Key { slot, generation: 1 }).collect()
    }

    #[test]
    fn who_comes_when_there_is_room_again_does_not_pass_those_that_wait_for_it() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let keys = keys(4);
        assert!(!put(&mut link, keys[0], RING_LETTERS + 1));
        for key in &keys[..3] {
            link.wait(*key);
        }
        assert!(!link.turn(), "there is no room");
        for _ in 0..3 {
            mailbox.take(0);
        }
        // With room for three, the one that had an answer and sends again comes first, before those that wait.
        assert!(!put(&mut link, keys[3], 1));
        link.wait(keys[3]);
        assert_eq!(go_on(&mut link, |_| 1), keys[..3]);
        mailbox.take(0);
        assert_eq!(go_on(&mut link, |_| 1), keys[3..]);
        mailbox.take(0);
        assert!(put(&mut link, keys[0], 1), "nobody waits");
    }

    #[test]
    fn as_many_go_on_as_there_is_room_for() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let keys = keys(40);
        put(&mut link, keys[0], RING_LETTERS);
        for key in &keys {
            link.wait(*key);
        }
        assert_eq!(go_on(&mut link, |_| 1), []);
        for _ in 0..20 {
            mailbox.take(0);
        }
        assert_eq!(
            go_on(&mut link, |key| usize::from(key.slot % 2 == 0)),
            keys,
            "half of them have nothing to say"
        );
        assert_eq!(link.waiting(), 0);
        assert!(!link.has_room());
    }

    #[test]
    fn room_that_comes_before_the_worker_sleeps_is_seen() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let keys = keys(2);
        assert!(!link.turn(), "nobody waits");
        put(&mut link, keys[0], RING_LETTERS);
        link.wait(keys[1]);
        assert!(!link.turn() && !link.goes_on());
        mailbox.take(0);
        // The instance wakes who sleeps; a worker that does not yet has to look itself.
        mailbox.settle(0);
        assert!(link.goes_on() && link.turn());
        assert_eq!(link.next(), Some(keys[1]));
        assert!(!link.turn(), "nobody waits");
    }

    #[test]
    fn who_waits_goes_on_in_turn_even_if_the_first_fills_the_ring_again() {
        let mut mailbox = Mailbox::new(Arc::new(Wake::thread()));
        let mut link = Link::new(mailbox.sender(&Arc::new(Wake::thread())));
        let keys = keys(2);
        let mut served = Vec::new();
        for key in &keys {
            link.wait(*key);
        }
        for _ in 0..3 {
            served.extend(go_on(&mut link, |key| if key == keys[0] { 2 * RING_LETTERS } else { 1 }));
            while mailbox.take(0).is_some() {}
        }
        assert_eq!(served, [keys[0], keys[1], keys[0], keys[0]]);
    }
}
