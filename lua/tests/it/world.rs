//! A port that records what it is told, and services made from a few lines of Lua.

use std::time::Duration;

use lapps_lua::{
    Answer, Channel, Command, ConnId, Event, Failure, Port, Progress, Reactive, Setup, Source, Verdict,
};
use lapps_parser::frame::OpCode;

/// A command that came through the port.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Done {
    Sent(ConnId, OpCode, Vec<u8>),
    Closed(ConnId, u16, String),
    Created(Channel),
    Subscribed(ConnId, Channel),
    Unsubscribed(ConnId, Channel),
    Published(Channel, Vec<u8>),
}

pub(crate) struct World {
    pub(crate) done: Vec<Done>,
    /// What every command is answered with.
    pub(crate) answer: Answer,
    /// Commands panic instead.
    pub(crate) panics: bool,
    /// What the clock shows.
    pub(crate) now: Duration,
}

impl World {
    pub(crate) fn new() -> World {
        World { done: Vec::new(), answer: Answer::Done, panics: false, now: Duration::ZERO }
    }

    /// The texts and binaries sent since the last look.
    pub(crate) fn take_sent(&mut self) -> Vec<String> {
        let texts = self.done.drain(..).filter_map(|done| match done {
            Done::Sent(_, _, payload) => Some(String::from_utf8(payload).unwrap()),
            _ => None,
        });
        texts.collect()
    }
}

impl Port for World {
    fn command(&mut self, command: Command<'_>) -> Answer {
        assert!(!self.panics, "the port is broken");
        self.done.push(match command {
            Command::Send { conn, opcode, payload } => Done::Sent(conn, opcode, payload.to_vec()),
            Command::Close { conn, code, reason } => Done::Closed(conn, code.get(), reason.to_owned()),
            Command::CreateChannel(channel) => Done::Created(channel),
            Command::Subscribe { conn, channel } => Done::Subscribed(conn, channel),
            Command::Unsubscribe { conn, channel } => Done::Unsubscribed(conn, channel),
            Command::Publish { channel, payload } => Done::Published(channel, payload.to_vec()),
        });
        self.answer
    }

    fn now(&mut self) -> Duration {
        self.now
    }

    fn serves(&mut self, _: ConnId) -> bool {
        self.answer != Answer::Closed
    }

    fn is_stopping(&mut self) -> bool {
        false
    }
}

/// A service `demo` with these lines as body of `onMessage(h, op, msg)`; the other handlers do nothing.
pub(crate) fn on_message(body: &str) -> Reactive {
    service(&format!("demo.onMessage = function(h, op, msg)\n{body}\nend"))
}

/// A service `demo` whose handlers all do nothing but what `lines` change in them.
pub(crate) fn service(lines: &str) -> Reactive {
    load(lines, 0, false).start_quietly()
}

pub(crate) fn load(lines: &str, memory_limit: usize, strict: bool) -> Reactive {
    let text = format!(
        "demo = {{ onStart = function() end, onMessage = function() return true end, \
         onDisconnect = function() end, onShutdown = function() end }} {lines}\nreturn demo"
    );
    let source = Source::Embedded { text: &text };
    Reactive::load(&Setup { memory_limit, strict, ..Setup::new("demo", source) }).unwrap()
}

pub(crate) trait Quietly {
    fn start_quietly(self) -> Self;
    fn text(&mut self, world: &mut World, conn: ConnId, payload: &str) -> Verdict;
}

impl Quietly for Reactive {
    fn start_quietly(mut self) -> Reactive {
        assert_eq!(self.start(&mut World::new()).unwrap(), Progress::Done);
        self
    }

    fn text(&mut self, world: &mut World, conn: ConnId, payload: &str) -> Verdict {
        self.deliver(world, Event::Message { conn, opcode: OpCode::Text, payload: payload.as_bytes() })
    }
}

pub(crate) const ONE: ConnId = ConnId::new(0, 1, 7);

#[track_caller]
pub(crate) fn kept(verdict: Verdict) {
    if let Verdict::Fail(failure) = verdict {
        panic!("{failure}");
    }
}

#[track_caller]
pub(crate) fn failed(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Fail(failure) => failure,
        Verdict::Keep | Verdict::Waits { .. } => panic!("the handler should have failed"),
    }
}
