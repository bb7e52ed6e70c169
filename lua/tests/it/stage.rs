//! A world with a clock of its own: time passes only when nothing else can happen.

use std::collections::HashSet;
use std::time::Duration;

use lapps_lua::{
    Answer, Batch, ClientEvent, Command, Concurrency, ConnId, Connect, Event, Message, Outcome, Port,
    Progress, Reactive, Setup, Source, Standalone, Verdict,
};
use lapps_parser::frame::OpCode;

/// So many turns in a row with fibers that are always ready let a millisecond pass.
const BUSY: u32 = 20_000;

/// What an instance is lent.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) sent: Vec<(ConnId, String)>,
    /// Connections that the service closed.
    pub(crate) closed: Vec<ConnId>,
    pub(crate) open: HashSet<ConnId>,
    pub(crate) stopping: bool,
    /// Commands panic instead.
    pub(crate) panics: bool,
    /// What the service wanted to connect to: the URI, and further fields and subprotocols as they came.
    pub(crate) wanted: Vec<(String, String)>,
    /// Outgoing connections whose handshake may begin, and those that nobody wants any more.
    pub(crate) begun: Vec<ConnId>,
    pub(crate) abandoned: Vec<ConnId>,
}

impl Port for World {
    fn command(&mut self, command: Command<'_>) -> Answer {
        assert!(!self.panics, "the port is broken");
        match command {
            Command::Send { conn, .. } | Command::Close { conn, .. } if !self.open.contains(&conn) => {
                Answer::Closed
            }
            Command::Send { conn, payload, .. } => {
                self.sent.push((conn, String::from_utf8_lossy(payload).into_owned()));
                Answer::Done
            }
            Command::Close { conn, .. } => {
                self.open.remove(&conn);
                self.closed.push(conn);
                Answer::Done
            }
            Command::CreateChannel(_)
            | Command::Subscribe { .. }
            | Command::Unsubscribe { .. }
            | Command::Publish { .. } => Answer::Done,
        }
    }

    fn now(&mut self) -> Duration {
        self.now
    }

    fn serves(&mut self, conn: ConnId) -> bool {
        self.open.contains(&conn)
    }

    fn is_stopping(&mut self) -> bool {
        self.stopping
    }

    fn connect(&mut self, request: &Connect<'_>) -> Result<ConnId, String> {
        if request.uri == "bad" {
            return Err("a bad URI".to_owned());
        }
        let more = format!("{:?} {:?} {:?}", request.headers, request.protocols, request.ca);
        self.wanted.push((request.uri.to_owned(), more));
        Ok(client(self.wanted.len() as u32))
    }

    fn begin(&mut self, conn: ConnId) {
        self.open.insert(conn);
        self.begun.push(conn);
    }

    fn abandon(&mut self, conn: ConnId) {
        self.abandoned.push(conn);
    }
}

/// The outgoing connection that was asked for in this place, from 1.
pub(crate) const fn client(number: u32) -> ConnId {
    ConnId::new(ConnId::CLIENT, number, 1)
}

/// What both contracts have for their host's loop.
pub(crate) trait Contract {
    fn turn(&mut self, port: &mut dyn Port);
    fn next_outcome(&mut self) -> Option<Outcome>;
    fn is_ready(&self) -> bool;
    fn deadline(&self) -> Option<Duration>;
    fn fibers(&self) -> usize;
    fn wind_down(&mut self, port: &mut dyn Port);
    fn deliver_client(&mut self, port: &mut dyn Port, conn: ConnId, event: ClientEvent<'_>) -> Verdict;
    fn connected(&mut self, conn: ConnId, result: Result<(), String>);
}

macro_rules! contract {
    ($name:ident) => {
        impl Contract for $name {
            fn turn(&mut self, port: &mut dyn Port) {
                $name::turn(self, port);
            }
            fn next_outcome(&mut self) -> Option<Outcome> {
                $name::next_outcome(self)
            }
            fn is_ready(&self) -> bool {
                $name::is_ready(self)
            }
            fn deadline(&self) -> Option<Duration> {
                $name::deadline(self)
            }
            fn fibers(&self) -> usize {
                $name::fibers(self)
            }
            fn wind_down(&mut self, port: &mut dyn Port) {
                $name::wind_down(self, port);
            }
            fn deliver_client(
                &mut self,
                port: &mut dyn Port,
                conn: ConnId,
                event: ClientEvent<'_>,
            ) -> Verdict {
                $name::deliver_client(self, port, conn, event)
            }
            fn connected(&mut self, conn: ConnId, result: Result<(), String>) {
                $name::connected(self, conn, result);
            }
        }
    };
}

contract!(Reactive);
contract!(Standalone);

/// One instance, its world, and what has come of it so far.
pub(crate) struct Stage<I> {
    pub(crate) instance: I,
    pub(crate) world: World,
    pub(crate) outcomes: Vec<Outcome>,
    busy: u32,
}

impl<I: Contract> Stage<I> {
    pub(crate) fn of(instance: I) -> Stage<I> {
        Stage { instance, world: World::default(), outcomes: Vec::new(), busy: 0 }
    }

    /// Lets the instance do one turn, later if it has to be; false if there is nothing that it could do, ever.
    pub(crate) fn step(&mut self) -> bool {
        self.look();
        if self.instance.is_ready() {
            self.busy += 1;
            if self.busy.is_multiple_of(BUSY) {
                self.world.now += Duration::from_millis(1);
            }
        } else if let Some(deadline) = self.instance.deadline() {
            self.busy = 0;
            self.world.now = self.world.now.max(deadline);
        } else {
            return false;
        }
        self.instance.turn(&mut self.world);
        self.look();
        true
    }

    /// Goes on until there is nothing more to do, or the clock shows `limit`; false in the second case.
    pub(crate) fn run_to(&mut self, limit: Duration) -> bool {
        loop {
            self.look();
            let due = self.instance.deadline().is_some_and(|deadline| deadline > limit);
            if !self.instance.is_ready() && due || self.world.now > limit {
                return false;
            }
            if !self.step() {
                return true;
            }
        }
    }

    /// Goes on until there is nothing more to do.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        let limit = self.world.now + Duration::from_secs(1_000_000);
        assert!(self.run_to(limit), "it goes on for ever; {} fibers", self.instance.fibers());
    }

    /// Lets `ms` milliseconds pass, with everything that happens in them.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.world.now + Duration::from_millis(ms);
        while self.instance.is_ready() || self.instance.deadline().is_some_and(|deadline| deadline <= end) {
            self.step();
        }
        self.world.now = end;
    }

    /// The attempt to connect has come to this, and the fiber that waits for it goes on.
    pub(crate) fn connected(&mut self, conn: ConnId, result: Result<(), &str>) {
        self.instance.connected(conn, result.map_err(str::to_owned));
        self.pass(0);
    }

    /// Something happens to an outgoing connection.
    pub(crate) fn client(&mut self, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        let verdict = self.instance.deliver_client(&mut self.world, conn, event);
        self.look();
        verdict
    }

    pub(crate) fn wind_down(&mut self) {
        self.instance.wind_down(&mut self.world);
        self.look();
    }

    /// The texts of the reports since the last look.
    pub(crate) fn take_reports(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        self.outcomes.retain(|outcome| match outcome {
            Outcome::Report(text) => {
                reports.push(text.clone());
                false
            }
            _ => true,
        });
        reports
    }

    /// What was sent since the last look.
    pub(crate) fn take_sent(&mut self) -> Vec<String> {
        self.world.sent.drain(..).map(|(_, text)| text).collect()
    }

    fn look(&mut self) {
        while let Some(outcome) = self.instance.next_outcome() {
            self.outcomes.push(outcome);
        }
    }
}

impl Stage<Reactive> {
    /// The service `demo` with these lines, started.
    #[track_caller]
    pub(crate) fn reactive(lines: &str, concurrency: Option<Concurrency>) -> Stage<Reactive> {
        let mut stage = Stage::loaded(lines, concurrency, 0);
        assert_eq!(stage.start(), Progress::Done);
        stage
    }

    /// The same, not started.
    #[track_caller]
    pub(crate) fn loaded(
        lines: &str,
        concurrency: Option<Concurrency>,
        memory_limit: usize,
    ) -> Stage<Reactive> {
        let text = demo(lines);
        Stage::of(Reactive::load(&setup(&text, concurrency, memory_limit)).unwrap_or_else(|e| panic!("{e}")))
    }

    /// The same, with messages through LuaJIT's C API.
    #[track_caller]
    pub(crate) fn interpreted(lines: &str, concurrency: Option<Concurrency>) -> Stage<Reactive> {
        let text = demo(lines);
        let setup = Setup { compiled: false, ..setup(&text, concurrency, 0) };
        let mut stage = Stage::of(Reactive::load(&setup).unwrap_or_else(|e| panic!("{e}")));
        assert_eq!(stage.start(), Progress::Done);
        stage
    }

    /// Several messages at once; tells how many were handled, and the verdict on the last of them.
    pub(crate) fn batch(&mut self, texts: &[(ConnId, &str)]) -> (usize, Verdict) {
        let mut batch = Batch::default();
        let batch = batch.begin();
        batch.extend(
            texts.iter().filter_map(|(conn, text)| Message::new(*conn, OpCode::Text, text.as_bytes())),
        );
        let handled = self.instance.deliver_batch(&mut self.world, batch);
        self.look();
        handled
    }

    #[track_caller]
    pub(crate) fn start(&mut self) -> Progress {
        let progress = self.instance.start(&mut self.world).unwrap_or_else(|failure| panic!("{failure}"));
        self.look();
        progress
    }

    /// A new connection.
    pub(crate) fn open(&mut self, conn: ConnId) -> Verdict {
        self.world.open.insert(conn);
        self.deliver(Event::Opened(conn))
    }

    pub(crate) fn text(&mut self, conn: ConnId, payload: &str) -> Verdict {
        self.deliver(Event::Message { conn, opcode: OpCode::Text, payload: payload.as_bytes() })
    }

    /// The connection ends.
    pub(crate) fn end(&mut self, conn: ConnId) -> Verdict {
        self.world.open.remove(&conn);
        self.deliver(Event::Disconnected(conn))
    }

    pub(crate) fn stop(&mut self) -> Verdict {
        self.world.stopping = true;
        self.deliver(Event::Stop)
    }

    fn deliver(&mut self, event: Event<'_>) -> Verdict {
        let verdict = self.instance.deliver(&mut self.world, event);
        self.look();
        verdict
    }
}

impl Stage<Standalone> {
    /// The standalone service `demo`, that these lines make, begun.
    #[track_caller]
    pub(crate) fn standalone(lines: &str) -> Stage<Standalone> {
        let text = format!("demo = {{ init = function() end, run = function() end }} {lines}\nreturn demo");
        let instance = Standalone::load(&setup(&text, None, 0)).unwrap_or_else(|e| panic!("{e}"));
        let mut stage = Stage::of(instance);
        stage.instance.start(&mut stage.world);
        stage.look();
        stage
    }
}

fn demo(lines: &str) -> String {
    format!(
        "demo = {{ onStart = function() end, onMessage = function() return true end, \
         onDisconnect = function() end, onShutdown = function() end }} {lines}\nreturn demo"
    )
}

fn setup(text: &str, concurrency: Option<Concurrency>, memory_limit: usize) -> Setup<'_> {
    Setup { memory_limit, concurrency, ..Setup::new("demo", Source::Embedded { text }) }
}

/// A Lua literal of any text without `]=====]`.
pub(crate) fn quoted(text: &str) -> String {
    format!("[=====[\n{text}]=====]")
}

/// A connection.
pub(crate) const fn conn(slot: u32) -> ConnId {
    ConnId::new(0, slot, 1)
}
