//! Events that wait: those whose handler does, and those that may not start before.

use std::collections::{HashMap, VecDeque};

use lapps_parser::frame::OpCode;

use crate::port::{ClientEvent, ConnId, Event};
use crate::raw::Handler;
use crate::setup::Concurrency;

/// What a message weighs besides its bytes while it waits: the fiber, the entry in a queue.
const OVERHEAD: usize = 128;

/// An event that owns its bytes.
#[derive(Debug)]
pub(crate) enum Pending {
    Opened(ConnId),
    Message { conn: ConnId, opcode: OpCode, payload: Box<[u8]> },
    Disconnected(ConnId),
    Stop,
    Client(ConnId, ClientPending),
}

/// What happened to an outgoing connection, with its bytes.
#[derive(Debug)]
pub(crate) enum ClientPending {
    Opened(Option<Box<str>>),
    Message(OpCode, Box<[u8]>),
    Failed(Box<str>),
    Closed(u16, Box<str>),
}

/// An event whose handler has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) handler: Handler,
    pub(crate) conn: Option<ConnId>,
    /// See [`weight`]; 0 for everything but a message.
    pub(crate) weight: usize,
}

/// The events of one instance that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    concurrency: Concurrency,
    running: HashMap<u32, Running>,
    next_number: u32,
    /// In all numbers of events: see [`Waiting::of_clients`].
    tag: u32,
    /// Per connection: how many of its events are being handled, and those behind them. Empty lanes are not kept.
    lanes: HashMap<ConnId, Lane>,
    /// Of a serial instance: all that waits, in order.
    queue: VecDeque<Pending>,
    /// In all lanes, and in the queue.
    pending: usize,
}

#[derive(Default, Debug)]
struct Lane {
    running: usize,
    queue: VecDeque<Pending>,
    /// Of this connection in the queue of a serial instance.
    queued: usize,
}

/// The bit by which the numbers of events of outgoing connections differ from the others.
const CLIENT_TAG: u32 = 1 << 31;

/// What a message of so many bytes weighs while it waits.
pub(crate) const fn weight(payload: usize) -> usize {
    payload + OVERHEAD
}

impl Pending {
    pub(crate) fn new(event: Event<'_>) -> Pending {
        match event {
            Event::Opened(conn) => Pending::Opened(conn),
            Event::Message { conn, opcode, payload } => {
                Pending::Message { conn, opcode, payload: payload.into() }
            }
            Event::Disconnected(conn) => Pending::Disconnected(conn),
            Event::Stop => Pending::Stop,
        }
    }

    /// The event itself; `None` for one of an outgoing connection.
    pub(crate) fn event(&self) -> Option<Event<'_>> {
        Some(match self {
            Pending::Opened(conn) => Event::Opened(*conn),
            Pending::Message { conn, opcode, payload } => {
                Event::Message { conn: *conn, opcode: *opcode, payload }
            }
            Pending::Disconnected(conn) => Event::Disconnected(*conn),
            Pending::Stop => Event::Stop,
            Pending::Client(..) => return None,
        })
    }
}

impl ClientPending {
    pub(crate) fn new(event: ClientEvent<'_>) -> ClientPending {
        match event {
            ClientEvent::Opened { protocol } => ClientPending::Opened(protocol.map(Into::into)),
            ClientEvent::Message { opcode, payload } => ClientPending::Message(opcode, payload.into()),
            ClientEvent::Failed(text) => ClientPending::Failed(text.into()),
            ClientEvent::Closed { code, reason } => ClientPending::Closed(code, reason.into()),
        }
    }

    pub(crate) fn event(&self) -> ClientEvent<'_> {
        match self {
            ClientPending::Opened(protocol) => ClientEvent::Opened { protocol: protocol.as_deref() },
            ClientPending::Message(opcode, payload) => ClientEvent::Message { opcode: *opcode, payload },
            ClientPending::Failed(text) => ClientEvent::Failed(text),
            ClientPending::Closed(code, reason) => ClientEvent::Closed { code: *code, reason },
        }
    }
}

impl Waiting {
    pub(crate) fn new(concurrency: Concurrency) -> Waiting {
        Waiting {
            concurrency,
            running: HashMap::new(),
            next_number: 0,
            tag: 0,
            lanes: HashMap::new(),
            queue: VecDeque::new(),
            pending: 0,
        }
    }

    /// For the events of outgoing connections: those of one come one after the other, and whatever else the instance does
    /// goes on meanwhile. Their numbers are [`Waiting::is_of_clients`].
    pub(crate) fn of_clients() -> Waiting {
        Waiting { tag: CLIENT_TAG, ..Waiting::new(Concurrency::Connection) }
    }

    /// True for the numbers of events of outgoing connections.
    pub(crate) const fn is_of_clients(number: u32) -> bool {
        number & CLIENT_TAG != 0
    }

    /// True when nothing waits, and any event may start.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.pending == 0
    }

    /// True when events wait for others.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// True while an event of `conn` waits.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.lanes.contains_key(&conn)
    }

    /// Whether an event of this connection, `None` for those of the whole instance, may start now.
    pub(crate) fn may_start(&self, conn: Option<ConnId>) -> bool {
        match (self.concurrency, conn) {
            _ if self.is_empty() => true,
            (Concurrency::Serial, _) => false,
            (Concurrency::Connection, Some(conn)) => !self.has(conn),
            (Concurrency::Connection, None) | (Concurrency::Free, _) => true,
        }
    }

    /// Keeps an event that may not start.
    pub(crate) fn push(&mut self, conn: Option<ConnId>, event: Pending) {
        self.pending += 1;
        match (self.concurrency, conn) {
            (Concurrency::Connection, Some(conn)) => {
                self.lanes.entry(conn).or_default().queue.push_back(event);
            }
            _ => {
                if let Some(conn) = conn {
                    self.lanes.entry(conn).or_default().queued += 1;
                }
                self.queue.push_back(event);
            }
        }
    }

    /// Notes an event whose handler waits, and gives it a number.
    pub(crate) fn begin(&mut self, event: Running) -> u32 {
        // Numbers come round after two thousand million events.
        let next = |number: u32| (number.wrapping_add(1) & !CLIENT_TAG) | self.tag;
        let mut number = next(self.next_number);
        while self.running.contains_key(&number) {
            number = next(number);
        }
        self.next_number = number;
        self.running.insert(number, event);
        if let Some(conn) = event.conn {
            self.lanes.entry(conn).or_default().running += 1;
        }
        number
    }

    /// Takes out an event whose handler has ended.
    pub(crate) fn end(&mut self, number: u32) -> Option<Running> {
        let event = self.running.remove(&number)?;
        if let Some(conn) = event.conn {
            self.change(conn, |lane| lane.running -= 1);
        }
        Some(event)
    }

    /// The next event that may start now that one of `conn` has ended.
    pub(crate) fn next(&mut self, conn: Option<ConnId>) -> Option<Pending> {
        let event = match (self.concurrency, conn) {
            (Concurrency::Serial, _) if self.running.is_empty() => {
                let event = self.queue.pop_front()?;
                if let Some(conn) = conn_of(&event) {
                    self.change(conn, |lane| lane.queued -= 1);
                }
                event
            }
            (Concurrency::Connection, Some(conn)) => {
                let lane = self.lanes.get_mut(&conn).filter(|lane| lane.running == 0)?;
                let event = lane.queue.pop_front()?;
                self.change(conn, |_| ());
                event
            }
            _ => return None,
        };
        self.pending -= 1;
        Some(event)
    }

    /// Puts back what [`Waiting::next`] gave, at its place.
    pub(crate) fn put_back(&mut self, event: Pending) {
        self.pending += 1;
        match (self.concurrency, conn_of(&event)) {
            (Concurrency::Connection, Some(conn)) => {
                self.lanes.entry(conn).or_default().queue.push_front(event);
            }
            (_, conn) => {
                if let Some(conn) = conn {
                    self.lanes.entry(conn).or_default().queued += 1;
                }
                self.queue.push_front(event);
            }
        }
    }

    /// Takes out the messages of `conn`, or of all connections, that have not started. Returns what each weighs.
    pub(crate) fn drop_messages(&mut self, conn: Option<ConnId>) -> Vec<(ConnId, usize)> {
        let mut dropped = Vec::new();
        let mut keep = |event: &Pending| match event {
            Pending::Message { conn: of, payload, .. }
            | Pending::Client(of, ClientPending::Message(_, payload))
                if conn.is_none_or(|conn| conn == *of) =>
            {
                dropped.push((*of, weight(payload.len())));
                false
            }
            _ => true,
        };
        self.queue.retain(&mut keep);
        match conn {
            Some(conn) => {
                if let Some(lane) = self.lanes.get_mut(&conn) {
                    lane.queue.retain(&mut keep);
                }
            }
            None => self.lanes.values_mut().for_each(|lane| lane.queue.retain(&mut keep)),
        }
        self.pending -= dropped.len();
        for (conn, _) in &dropped {
            let serial = self.concurrency == Concurrency::Serial;
            self.change(*conn, |lane| lane.queued -= usize::from(serial));
        }
        dropped
    }

    fn change(&mut self, conn: ConnId, change: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lanes.get_mut(&conn) {
            change(lane);
            if lane.running == 0 && lane.queued == 0 && lane.queue.is_empty() {
                self.lanes.remove(&conn);
            }
        }
    }
}

fn conn_of(event: &Pending) -> Option<ConnId> {
    match event {
        Pending::Opened(conn)
        | Pending::Message { conn, .. }
        | Pending::Disconnected(conn)
        | Pending::Client(conn, _) => Some(*conn),
        Pending::Stop => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId::new(0, 1, 1);
    const B: ConnId = ConnId::new(0, 2, 1);

    fn message(conn: ConnId) -> Pending {
        Pending::Message { conn, opcode: OpCode::Text, payload: Box::from(*b"abc") }
    }

    fn begin(waiting: &mut Waiting, conn: ConnId) -> u32 {
        waiting.begin(Running { handler: Handler::Message, conn: Some(conn), weight: 1 })
    }

    #[test]
    fn a_serial_instance_lets_nothing_start_while_a_handler_waits_and_keeps_the_order() {
        let mut waiting = Waiting::new(Concurrency::Serial);
        assert!(waiting.may_start(Some(A)));
        let first = begin(&mut waiting, A);
        assert!(!waiting.may_start(Some(B)) && !waiting.may_start(None));
        waiting.push(Some(B), message(B));
        waiting.push(None, Pending::Stop);
        waiting.push(Some(A), Pending::Disconnected(A));
        assert!(waiting.next(Some(A)).is_none(), "the handler has not ended");
        assert_eq!(waiting.end(first).unwrap().conn, Some(A));
        assert!(matches!(waiting.next(Some(A)), Some(Pending::Message { conn: B, .. })));
        assert!(!waiting.has(B));
        assert!(matches!(waiting.next(Some(B)), Some(Pending::Stop)));
        assert!(waiting.has(A));
        assert!(matches!(waiting.next(None), Some(Pending::Disconnected(A))));
        assert!(waiting.is_empty() && !waiting.has(A));
    }

    #[test]
    fn connections_interleave_but_each_in_its_order() {
        let mut waiting = Waiting::new(Concurrency::Connection);
        let first = begin(&mut waiting, A);
        assert!(!waiting.may_start(Some(A)) && waiting.may_start(Some(B)) && waiting.may_start(None));
        waiting.push(Some(A), message(A));
        waiting.push(Some(A), Pending::Disconnected(A));
        waiting.end(first);
        assert!(waiting.next(Some(B)).is_none());
        assert!(matches!(waiting.next(Some(A)), Some(Pending::Message { .. })));
        let second = begin(&mut waiting, A);
        assert!(waiting.next(Some(A)).is_none());
        waiting.end(second);
        assert!(matches!(waiting.next(Some(A)), Some(Pending::Disconnected(A))));
        assert!(waiting.is_empty() && !waiting.has(A));
    }

    #[test]
    fn dropped_messages_leave_the_rest_and_their_weight_is_told() {
        for concurrency in [Concurrency::Serial, Concurrency::Connection] {
            let mut waiting = Waiting::new(concurrency);
            let running = begin(&mut waiting, A);
            waiting.push(Some(A), message(A));
            waiting.push(Some(A), Pending::Disconnected(A));
            assert_eq!(waiting.drop_messages(Some(B)), []);
            assert_eq!(waiting.drop_messages(Some(A)), [(A, weight(3))]);
            waiting.end(running);
            assert!(matches!(waiting.next(Some(A)), Some(Pending::Disconnected(A))));
            assert!(waiting.is_empty() && !waiting.has(A), "{concurrency:?}");
        }
    }
}
