//! The only door between Lua and the world: what can happen to a service, and what it can ask for.

use std::fmt;
use std::time::Duration;

use lapps_parser::close::CloseCode;
use lapps_parser::frame::OpCode;

/// The name of one connection, as services see it: a number that is never given to another connection.
///
/// The bits, from the highest: slot 23..19 | worker 8 | slot 18..0 | generation 21, together 53, so that a Lua number
/// holds every value exactly. LuaJIT prints numbers with 14 digits (`..`, `tostring`), so values from 10^14 on would be
/// printed rounded. The rarely needed bits therefore stand on top: for workers 0 to 88, for outgoing connections, and
/// for slots below 524,288 the text is exact at every generation. Beyond that the number itself is still exact (arithmetic, table keys,
/// `ws:send`), and its text differs from every other slot's except at the ends of the generation range.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId(u64);

const GENERATION_BITS: u32 = 21;
const SLOT_LOW_BITS: u32 = 19;
const SLOT_HIGH_BITS: u32 = 5;
const WORKER_BITS: u32 = 8;
const SLOT_LOW_AT: u32 = GENERATION_BITS;
const WORKER_AT: u32 = SLOT_LOW_AT + SLOT_LOW_BITS;
const SLOT_HIGH_AT: u32 = WORKER_AT + WORKER_BITS;
const END: u64 = 1 << (SLOT_HIGH_AT + SLOT_HIGH_BITS);

impl ConnId {
    /// Number of slots that one worker can name (2^24).
    pub const SLOTS: u32 = 1 << (SLOT_LOW_BITS + SLOT_HIGH_BITS);
    /// Number of generations of one slot (2^21).
    pub const GENERATIONS: u32 = 1 << GENERATION_BITS;

    /// The worker number of outgoing connections: no worker has it.
    pub const CLIENT: u8 = u8::MAX;

    /// Names the connection in `slot` of `worker`, or of [`ConnId::CLIENT`]. Slots are taken modulo [`ConnId::SLOTS`], generations modulo
    /// [`ConnId::GENERATIONS`].
    #[must_use]
    pub const fn new(worker: u8, slot: u32, generation: u32) -> ConnId {
        let slot = slot % Self::SLOTS;
        let low = slot & mask(SLOT_LOW_BITS);
        let high = slot >> SLOT_LOW_BITS;
        let generation = generation % Self::GENERATIONS;
        ConnId(
            (high as u64) << SLOT_HIGH_AT
                | (swapped(worker) as u64) << WORKER_AT
                | (low as u64) << SLOT_LOW_AT
                | generation as u64,
        )
    }

    /// The worker that owns the connection.
    #[must_use]
    pub const fn worker(self) -> u8 {
        swapped((self.0 >> WORKER_AT) as u8)
    }

    /// True for an outgoing connection, one that a service has made by `cws:new`.
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.worker() == Self::CLIENT
    }

    /// The place in its worker's slab.
    #[must_use]
    pub const fn slot(self) -> u32 {
        let low = (self.0 >> SLOT_LOW_AT) as u32 & mask(SLOT_LOW_BITS);
        let high = (self.0 >> SLOT_HIGH_AT) as u32;
        high << SLOT_LOW_BITS | low
    }

    /// How often the slot was given out before, modulo [`ConnId::GENERATIONS`].
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 as u32 & mask(GENERATION_BITS)
    }

    /// The number itself, below 2^53.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads a number that came from a service. `None` if no connection can have it: fractions, negative numbers,
    /// NaN, infinities and everything from 2^53 on.
    #[must_use]
    pub fn from_number(number: f64) -> Option<ConnId> {
        // `as` saturates and turns NaN into 0, so the comparison back settles every odd value.
        let value = number as u64;
        (value < END && value as f64 == number).then_some(ConnId(value))
    }

    /// The same as a Lua number, exact.
    #[must_use]
    pub const fn as_number(self) -> f64 {
        self.0 as f64
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a worker's number stands in the bits, and the other way round: that of outgoing connections has changed places with
/// the largest of those whose text is exact.
const fn swapped(worker: u8) -> u8 {
    match worker {
        ConnId::CLIENT => LAST_EXACT,
        LAST_EXACT => ConnId::CLIENT,
        other => other,
    }
}

/// The last worker for which all numbers have at most 14 digits.
const LAST_EXACT: u8 = 89;

const fn mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// The name of a channel of `bcast`: a whole number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Channel(i64);

impl Channel {
    /// Reads a number that came from a service. `None` for fractions, NaN, and everything beyond 2^53 on either side.
    #[must_use]
    pub fn from_number(number: f64) -> Option<Channel> {
        let value = number as i64;
        (value as f64 == number && value.unsigned_abs() <= 1 << 53).then_some(Channel(value))
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened and that a service hears of.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection has been upgraded: `onOpen(handler)`, where the service has it.
    Opened(ConnId),
    /// A whole message: `onMessage(handler, opcode, message)`.
    Message {
        /// Who sent it.
        conn: ConnId,
        /// [`OpCode::Text`] or [`OpCode::Binary`].
        opcode: OpCode,
        /// The unmasked bytes of all its fragments; valid UTF-8 if it is a text.
        payload: &'a [u8],
    },
    /// The connection has ended: `onDisconnect(handler)`.
    Disconnected(ConnId),
    /// The service stops: `onShutdown()`.
    Stop,
}

/// Something that happened to an outgoing connection. Its handlers hear of [`ClientEvent::Failed`] or
/// [`ClientEvent::Closed`], of exactly one of them, and of nothing after it.
#[derive(Clone, Copy, Debug)]
pub enum ClientEvent<'a> {
    /// It is open: `onopen(handler[, protocol])`.
    Opened {
        /// The subprotocol that the server has chosen.
        protocol: Option<&'a str>,
    },
    /// A whole message: `onmessage(handler, message, opcode)`.
    Message {
        /// [`OpCode::Text`] or [`OpCode::Binary`].
        opcode: OpCode,
        /// The bytes of all its fragments; valid UTF-8 if it is a text.
        payload: &'a [u8],
    },
    /// It could not be opened, or it broke: `onerror(handler, text)`.
    Failed(&'a str),
    /// It was closed: `onclose(handler, payload, code, reason)`.
    Closed {
        /// What the server's close frame says; 1005: nothing; 1006: none came (RFC 6455 section 7.4.1).
        code: u16,
        /// The server's reason; may be empty.
        reason: &'a str,
    },
}

/// What a service wants to connect to, and on which terms.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// `ws://` or `wss://`; not checked.
    pub uri: &'a str,
    /// Further fields of the request, names and values; valid ones, and none of the handshake's own.
    pub headers: &'a [(&'a str, &'a str)],
    /// The subprotocols that are offered, most wanted first; tokens.
    pub protocols: &'a [&'a str],
    /// A PEM file with the certificates to believe, instead of the configured ones.
    pub ca: Option<&'a str>,
    /// Limits and timeouts.
    pub terms: Terms,
}

/// Limits and timeouts of one outgoing connection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Terms {
    /// From the call until the TCP connection stands, all addresses of a name together.
    pub connect: Duration,
    /// From there until the upgrade is answered.
    pub handshake: Duration,
    /// Silence after which the server gets a ping.
    pub ping: Duration,
    /// Silence after which the connection is given up; longer than `ping`.
    pub idle: Duration,
    /// How long the server may take to answer a close frame.
    pub closing: Duration,
    /// Bytes of a message that may come.
    pub max_message: usize,
    /// Bytes that may wait to be sent before [`Answer::Full`].
    pub max_queue: usize,
}

/// Something that a service wants to be done.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// Send one message.
    Send {
        /// To whom.
        conn: ConnId,
        /// [`OpCode::Text`] or [`OpCode::Binary`].
        opcode: OpCode,
        /// The bytes. Those of a text are not checked: Lua strings are bytes.
        payload: &'a [u8],
    },
    /// Start the closing handshake.
    Close {
        /// Whom to close.
        conn: ConnId,
        /// What the close frame says.
        code: CloseCode,
        /// At most 123 bytes.
        reason: &'a str,
    },
    /// Make a channel; one that is there already stays as it is.
    CreateChannel(Channel),
    /// Let a connection hear a channel; twice is once.
    Subscribe {
        /// Who listens.
        conn: ConnId,
        /// To what.
        channel: Channel,
    },
    /// End a subscription.
    Unsubscribe {
        /// Who listened.
        conn: ConnId,
        /// To what.
        channel: Channel,
    },
    /// Send one binary message to all subscribers of a channel, those of other services and workers too.
    Publish {
        /// The channel.
        channel: Channel,
        /// The bytes.
        payload: &'a [u8],
    },
}

/// What became of a [`Command`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is done, or queued.
    Done,
    /// There is no such connection any more, or it is closing.
    Closed,
    /// A bounded queue on the way was full; nothing was sent.
    Full,
    /// The outgoing connection is not open yet; nothing was sent.
    Early,
    /// There is no such channel.
    NoChannel,
    /// The connection does not listen to that channel.
    NotSubscribed,
}

/// The world, as seen from one instance of a service. It is lent to Lua for the time of one event or one turn.
pub trait Port {
    /// Carries out one command. It must not call back into the service that asked.
    fn command(&mut self, command: Command<'_>) -> Answer;

    /// The monotonic clock: the time since some moment, which is the same for all calls of one instance.
    fn now(&mut self) -> Duration;

    /// True while `conn` is open and it is this instance that serves it.
    fn serves(&mut self, conn: ConnId) -> bool;

    /// True once the server stops.
    fn is_stopping(&mut self) -> bool;

    /// Begins to connect, and names the connection. When the TCP connection stands, or has failed, the instance is told by
    /// `connected`; nothing else happens before [`Port::begin`].
    ///
    /// # Errors
    /// What is wrong with the request, or why nothing can be connected here; a text for the service.
    fn connect(&mut self, request: &Connect<'_>) -> Result<ConnId, String> {
        let _ = request;
        Err("there are no outgoing connections here".to_owned())
    }

    /// Lets TLS and the upgrade of an outgoing connection that stands begin.
    fn begin(&mut self, conn: ConnId) {
        let _ = conn;
    }

    /// Nobody wants an outgoing connection any more that has not begun: it goes without a word.
    fn abandon(&mut self, conn: ConnId) {
        let _ = conn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_out() {
        for worker in [0, 1, 88, 89, 90, 254, 255] {
            for slot in [0, 1, 524_287, 524_288, ConnId::SLOTS - 1] {
                for generation in [0, 1, ConnId::GENERATIONS - 1] {
                    let id = ConnId::new(worker, slot, generation);
                    assert_eq!((id.worker(), id.slot(), id.generation()), (worker, slot, generation));
                    assert_eq!(ConnId::from_number(id.as_number()), Some(id));
                }
            }
        }
    }

    #[test]
    fn every_bit_is_used_once() {
        let all = ConnId::new(LAST_EXACT, ConnId::SLOTS - 1, ConnId::GENERATIONS - 1);
        assert_eq!(all.get(), (1 << 53) - 1);
        assert_eq!(ConnId::new(0, 0, 0).get(), 0);
        let parts = [
            ConnId::new(LAST_EXACT, 0, 0),
            ConnId::new(0, ConnId::SLOTS - 1, 0),
            ConnId::new(0, 0, u32::MAX),
        ];
        assert_eq!(parts.iter().map(|id| id.get()).sum::<u64>(), all.get());
    }

    #[test]
    fn common_values_have_at_most_14_digits() {
        for worker in [88, ConnId::CLIENT] {
            assert!(ConnId::new(worker, 524_287, u32::MAX).get() < 100_000_000_000_000);
        }
        assert!(ConnId::new(91, 0, 0).get() >= 100_000_000_000_000);
    }

    #[test]
    fn channels_are_whole_numbers() {
        for number in [0.0, -1.0, 1e6, 9_007_199_254_740_992.0] {
            assert_eq!(Channel::from_number(number).unwrap().to_string(), format!("{number}"));
        }
        for number in [0.5, 1e300, -1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(Channel::from_number(number), None, "{number}");
        }
    }

    #[test]
    fn numbers_that_no_connection_has() {
        for number in [-1.0, 0.5, 1e300, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        {
            assert_eq!(ConnId::from_number(number), None, "{number}");
        }
        assert_eq!(ConnId::from_number(-0.0), Some(ConnId(0)));
        assert_eq!(ConnId::from_number(9_007_199_254_740_991.0), Some(ConnId(END - 1)));
    }
}
