//! The reactive contract: one Lua state that answers events with `onStart`, `onMessage`, `onDisconnect`, `onShutdown`.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use mlua::{Lua, Table, Value};

use crate::clients::{self, Clients};
use crate::error::{Failure, FailureKind, HandlerError, LoadError};
use crate::port::{ClientEvent, ConnId, Event, Port};
use crate::raw::{Args, Called, Handler, Instance, Message, Note, Returned};
use crate::setup::{Concurrency, Protocol, Setup};
use crate::vm;
use crate::waiting::{Pending, Running, Waiting, weight};

/// Events that had waited and are handled in one turn.
pub(crate) const EVENTS_PER_TURN: usize = 1024;

/// The text of the error that an interruption raises.
pub(crate) const INTERRUPTED: &str = "the fiber was interrupted";

/// One Lua state with one service. It lives and dies on the thread that loaded it.
///
/// A handler may wait. Its fiber goes on in a later [`Reactive::turn`], and what comes of it is an [`Outcome`].
#[derive(Debug)]
pub struct Reactive {
    service: String,
    instance: Instance,
    strict: bool,
    protocol: Protocol,
    /// Strict, and a handler has failed: nothing is called any more.
    stopped: bool,
    /// The service has `onOpen`.
    opens: bool,
    waiting: Waiting,
    clients: Clients,
    outcomes: VecDeque<Outcome>,
    /// Behind the event of which connection others still have to start, because the last turn was long enough.
    unfinished: Vec<Option<ConnId>>,
    /// Everything was interrupted: handlers that end by that have not failed.
    winding_down: bool,
}

/// What the caller has to do with the connection after an event.
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// The handler waits, or the event waits for its turn: an [`Outcome`] follows. Until [`Outcome::Handled`] comes a
    /// message weighs `weight` bytes.
    Waits {
        /// Bytes; 0 for everything but a message.
        weight: usize,
    },
    /// Close it with 1011 and log the failure.
    Fail(Failure),
}

/// How far a contract's first handler came.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It has returned.
    Done,
    /// It waits: [`Outcome::Started`] follows.
    Waits,
}

/// What has come of something that had to wait.
#[derive(Debug)]
pub enum Outcome {
    /// `onStart`, or `init`, has ended. After an error the instance is not to be used.
    Started(Result<(), Failure>),
    /// A message is handled whose verdict was [`Verdict::Waits`].
    Handled {
        /// Whose message it was.
        conn: ConnId,
        /// What the verdict said.
        weight: usize,
    },
    /// A handler failed. To be logged; if it is one of a connection that is still open, close that with 1011.
    Failed(Failure),
    /// `onShutdown` has ended.
    Stopped,
    /// `run()` of a standalone service has ended; after that it may still have fibers.
    Ended(Result<(), Failure>),
    /// Something for the log, at error level: a detached fiber that failed, a deadlock.
    Report(String),
}

impl Reactive {
    /// Makes a Lua state and loads the service into it. Its code runs, but no handler.
    ///
    /// # Errors
    /// The code cannot be found, read or compiled, raises an error, or lacks handlers (all of them are named at once).
    pub fn load(setup: &Setup<'_>) -> Result<Reactive, LoadError> {
        let loading = vm::Loading::begin(setup, vm::Contract::Reactive)?;
        let service = contract(loading.run(setup)?).map_err(|message| vm::error(setup, message))?;
        let opens = matches!(service.get(Handler::Open.name()), Ok(Value::Function(_)));
        let default = if opens { Concurrency::Connection } else { Concurrency::Serial };
        Ok(Reactive {
            service: setup.service.to_owned(),
            instance: loading.finish(setup, &service)?,
            strict: setup.strict,
            protocol: setup.protocol,
            stopped: false,
            opens,
            waiting: Waiting::new(setup.concurrency.unwrap_or(default)),
            clients: Clients::new(),
            outcomes: VecDeque::new(),
            unfinished: Vec::new(),
            winding_down: false,
        })
    }

    /// Calls `onStart()`.
    ///
    /// # Errors
    /// The handler failed.
    pub fn start(&mut self, port: &mut dyn Port) -> Result<Progress, HandlerError> {
        let start = Running { handler: Handler::Start, conn: None, weight: 0 };
        match self.call(port, start, Args::None) {
            Ok(Some(_)) => Ok(Progress::Done),
            Ok(None) => Ok(Progress::Waits),
            Err(kind) => Err(self.failure(Handler::Start, None, kind)),
        }
    }

    /// Calls the handler that the event is for: `onOpen`, `onMessage`, `onDisconnect` or `onShutdown`. Commands go
    /// through `port` while it runs.
    ///
    /// A stopped instance (see [`Setup::strict`]) fails every message and ignores the other events.
    pub fn deliver(&mut self, port: &mut dyn Port, event: Event<'_>) -> Verdict {
        if let Event::Disconnected(conn) = event {
            self.instance.conn_ended(conn);
        }
        if matches!(event, Event::Opened(_)) && !self.opens {
            return Verdict::Keep;
        }
        if !self.waiting.is_empty() {
            let (conn, weight) = match event {
                Event::Message { conn, payload, .. } => (Some(conn), weight(payload.len())),
                Event::Opened(conn) | Event::Disconnected(conn) => (Some(conn), 0),
                Event::Stop => (None, 0),
            };
            if !self.waiting.may_start(conn) {
                self.waiting.push(conn, Pending::new(event));
                self.instance.watch_closed(true);
                return Verdict::Waits { weight };
            }
        }
        self.handle(port, event)
    }

    /// Calls `onMessage` for messages in order, as [`Reactive::deliver`] would one after the other: up to the first that is
    /// not simply kept, or behind which it is time to look what became of its connection. Tells how many these were,
    /// and the verdict on the last of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn deliver_batch(&mut self, port: &mut dyn Port, batch: &[Message<'_>]) -> (usize, Verdict) {
        let compiled = self.instance.is_compiled() && !self.stopped;
        let ready = if !compiled {
            0
        } else if self.waiting.is_empty() {
            batch.len()
        } else {
            batch.iter().take_while(|message| self.waiting.may_start(Some(message.conn()))).count()
        };
        if ready == 0 {
            return (1, self.deliver(port, batch[0].event()));
        }
        self.handle_batch(port, &batch[..ready])
    }

    /// Handles messages that may start now by compiled code.
    fn handle_batch(&mut self, port: &mut dyn Port, batch: &[Message<'_>]) -> (usize, Verdict) {
        let (at, result) = self.instance.call_batch(port, batch);
        let (handler, conn) = (Handler::Message, batch[at].conn());
        let weight = weight(batch[at].payload().len());
        let verdict = match result {
            Ok(Called::Returned(Returned::True)) => Verdict::Keep,
            Ok(Called::Returned(returned)) => self.verdict(handler, Some(conn), Ok(returned)),
            Ok(Called::Waits) => {
                self.wait(Running { handler, conn: Some(conn), weight });
                Verdict::Waits { weight }
            }
            Err(kind) => self.verdict(handler, Some(conn), Err(kind)),
        };
        (at + 1, verdict)
    }

    /// Calls the handler of something that happened to an outgoing connection. Of one connection they are called in order,
    /// each when the one before has ended; what else the instance does goes on meanwhile.
    pub fn deliver_client(&mut self, port: &mut dyn Port, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        if self.stopped {
            return Verdict::Keep;
        }
        let (clients, host) = self.clients();
        clients.deliver(host, port, conn, event)
    }

    /// The TCP connection for which `cws:new` waits stands; or it has failed, and why. The fiber goes on in the next turn.
    pub fn connected(&mut self, conn: ConnId, result: Result<(), String>) {
        self.instance.client_connected(conn, result);
    }

    /// Runs the fibers that are ready or due. To be called when [`Reactive::is_ready`] or past [`Reactive::deadline`].
    pub fn turn(&mut self, port: &mut dyn Port) {
        self.instance.turn(port);
        let mut left = EVENTS_PER_TURN;
        for conn in mem::take(&mut self.unfinished) {
            self.go_on(port, conn, &mut left);
        }
        let (clients, host) = self.clients();
        clients.turn(host, port, &mut left);
        for note in self.instance.take_notes() {
            match note {
                Note::Done { event, .. } if Waiting::is_of_clients(event) => {
                    self.end_client(port, event, Ok(()), &mut left);
                }
                Note::Failed { event, message, traceback } if Waiting::is_of_clients(event) => {
                    let kind = FailureKind::raised(message, traceback, self.instance.memory_limit());
                    self.end_client(port, event, Err(kind), &mut left);
                }
                Note::Done { event, returned } => self.end(port, event, Ok(returned), &mut left),
                Note::Failed { event, message, traceback } => {
                    let kind = FailureKind::raised(message, traceback, self.instance.memory_limit());
                    self.end(port, event, Err(kind), &mut left);
                }
                Note::Report(text) => self.report(&text),
                Note::InitDone | Note::MainEnded(_) => {}
            }
        }
    }

    /// The next thing that has come of something that waited; to be asked until there is none, after each call of the
    /// instance.
    pub fn next_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// True when there are fibers that want to run now, or for which something has come from another thread.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.instance.is_ready() || !self.unfinished.is_empty() || self.clients.is_ready()
    }

    /// Whether the next collection is so near that a thread with nothing else to do had better begin it.
    pub fn wants_collecting(&mut self) -> bool {
        self.instance.wants_collecting()
    }

    /// Makes one short step of a collection. True: with it the collection is over.
    pub fn collect_a_little(&mut self) -> bool {
        self.instance.collect_a_little()
    }

    /// Bytes of the Lua heap when [`Reactive::wants_collecting`] was last asked.
    #[must_use]
    pub fn heap(&self) -> usize {
        self.instance.heap()
    }

    /// When the next timer is due, on the port's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.instance.deadline()
    }

    /// True while a fiber waits for what is sure to come from another thread, such as the answer to a question: no deadline
    /// says when.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.instance.is_owed()
    }

    /// True while an event of `conn` waits or is being handled.
    #[must_use]
    pub fn is_waiting(&self, conn: ConnId) -> bool {
        self.waiting.has(conn)
    }

    /// True when no event waits or is being handled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.clients.is_idle()
    }

    /// Fibers that have not ended, those of events that wait among them.
    #[must_use]
    pub fn fibers(&self) -> usize {
        self.instance.fibers()
    }

    /// The same as far as it is known without asking Lua: as of the last turn.
    #[must_use]
    pub fn counted_fibers(&self) -> usize {
        self.instance.counted_fibers()
    }

    /// How many of those were ready when the last turn was over.
    #[must_use]
    pub fn ready_fibers(&self) -> usize {
        self.instance.ready_fibers()
    }

    /// How many collections of garbage have ended.
    #[must_use]
    pub fn collections(&self) -> u64 {
        self.instance.collections()
    }

    /// Interrupts every fiber, cancels every timer, and drops messages that wait. Turns let the cleanup handlers run.
    pub fn wind_down(&mut self, port: &mut dyn Port) {
        self.winding_down = true;
        self.drop_messages(None);
        self.clients.drop_messages(&mut self.outcomes, None);
        self.instance.wind_down(port);
    }

    /// What still waits, with tracebacks, for the log; `None` if nothing does.
    pub fn deadlock(&mut self) -> Option<String> {
        self.instance.deadlock()
    }

    /// Handles an event that may start now.
    fn handle(&mut self, port: &mut dyn Port, event: Event<'_>) -> Verdict {
        if let Event::Message { conn, opcode, payload } = event
            && self.instance.is_compiled()
            && !self.stopped
            && let Some(message) = Message::new(conn, opcode, payload)
        {
            return self.handle_batch(port, &[message]).1;
        }
        let (handler, conn, weight, args) = match event {
            Event::Message { conn, opcode, payload } => {
                let weight = weight(payload.len());
                let args = match self.protocol {
                    Protocol::Raw => Args::Message(conn, opcode.bits(), payload),
                    Protocol::Lapps if self.stopped => Args::None,
                    Protocol::Lapps => match self.instance.lay_down(opcode, payload) {
                        Ok(msg_type) => Args::Value(conn, msg_type),
                        Err(kind) => return self.verdict(Handler::Message, Some(conn), Err(kind)),
                    },
                };
                (Handler::Message, Some(conn), weight, args)
            }
            Event::Opened(conn) => (Handler::Open, Some(conn), 0, Args::Conn(conn)),
            Event::Disconnected(conn) => (Handler::Disconnect, Some(conn), 0, Args::Conn(conn)),
            Event::Stop => (Handler::Shutdown, None, 0, Args::None),
        };
        let result = if self.stopped {
            match (handler, conn) {
                (Handler::Message, _) => Err(FailureKind::Stopped),
                (Handler::Disconnect, Some(conn)) => {
                    self.instance.conn_forgotten(conn);
                    return Verdict::Keep;
                }
                _ => return Verdict::Keep,
            }
        } else {
            self.call(port, Running { handler, conn, weight }, args)
        };
        match result {
            Ok(Some(Returned::True)) if handler == Handler::Message => Verdict::Keep,
            Ok(None) => Verdict::Waits { weight },
            Ok(Some(returned)) => self.verdict(handler, conn, Ok(returned)),
            Err(kind) => self.verdict(handler, conn, Err(kind)),
        }
    }

    /// Calls a handler; `None`: it waits, and is noted.
    fn call(
        &mut self,
        port: &mut dyn Port,
        event: Running,
        args: Args<'_>,
    ) -> Result<Option<Returned>, FailureKind> {
        match self.instance.call(port, event.handler, args)? {
            Called::Returned(returned) => Ok(Some(returned)),
            Called::Waits => {
                self.wait(event);
                Ok(None)
            }
        }
    }

    /// The handler that was just called waits.
    fn wait(&mut self, event: Running) {
        let number = self.waiting.begin(event);
        self.instance.adopt(number);
    }

    /// What a handler that has ended means for its connection.
    fn verdict(
        &mut self,
        handler: Handler,
        conn: Option<ConnId>,
        result: Result<Returned, FailureKind>,
    ) -> Verdict {
        if handler == Handler::Disconnect
            && let Some(conn) = conn
        {
            self.instance.conn_forgotten(conn);
        }
        let kind = match result {
            Ok(Returned::Other(returned)) if handler == Handler::Message => FailureKind::Refused { returned },
            Ok(_) => return Verdict::Keep,
            Err(FailureKind::Raised { message, .. }) if self.winding_down && message == INTERRUPTED => {
                return Verdict::Keep;
            }
            Err(kind) => kind,
        };
        self.stopped = self.strict;
        Verdict::Fail(self.failure(handler, conn, kind))
    }

    /// The handler of an event that has waited has ended; what was behind it may start.
    fn end(
        &mut self,
        port: &mut dyn Port,
        number: u32,
        result: Result<Returned, FailureKind>,
        left: &mut usize,
    ) {
        let Some(Running { handler, conn, weight }) = self.waiting.end(number) else { return };
        match (handler, self.verdict(handler, conn, result)) {
            (Handler::Start, Verdict::Fail(failure)) => {
                self.outcomes.push_back(Outcome::Started(Err(failure)));
            }
            (Handler::Start, _) => self.outcomes.push_back(Outcome::Started(Ok(()))),
            (_, Verdict::Fail(failure)) => self.fail(conn, failure),
            _ => {}
        }
        self.handled(handler, conn, weight);
        self.go_on(port, conn, left);
    }

    /// Starts what waited behind an event of `conn`, as far as it may.
    fn go_on(&mut self, port: &mut dyn Port, conn: Option<ConnId>, left: &mut usize) {
        self.drop_closed();
        while let Some(pending) = self.waiting.next(conn) {
            if *left == 0 {
                self.waiting.put_back(pending);
                self.unfinished.push(conn);
                return;
            }
            *left -= 1;
            let Some(event) = pending.event() else { continue };
            let (handler, of, weight) = match event {
                Event::Opened(conn) => (Handler::Open, Some(conn), 0),
                Event::Message { conn, payload, .. } => (Handler::Message, Some(conn), weight(payload.len())),
                Event::Disconnected(conn) => (Handler::Disconnect, Some(conn), 0),
                Event::Stop => (Handler::Shutdown, None, 0),
            };
            match self.handle(port, event) {
                Verdict::Keep => self.handled(handler, of, weight),
                Verdict::Waits { .. } => {}
                Verdict::Fail(failure) => {
                    self.fail(of, failure);
                    self.handled(handler, of, weight);
                }
            }
        }
        self.instance.watch_closed(self.waiting.has_pending() || self.clients.has_pending());
    }

    /// Drops what waits of connections that the service has closed: they have sent their close frame, and nothing of the
    /// peer's is delivered after that.
    fn drop_closed(&mut self) {
        for conn in self.instance.take_closed() {
            if conn.is_client() {
                self.clients.drop_messages(&mut self.outcomes, Some(conn));
            } else {
                self.drop_messages(Some(conn));
            }
        }
    }

    /// The handler of an event of an outgoing connection that has waited has ended.
    fn end_client(
        &mut self,
        port: &mut dyn Port,
        number: u32,
        result: Result<(), FailureKind>,
        left: &mut usize,
    ) {
        self.drop_closed();
        let (clients, host) = self.clients();
        clients.end(host, port, number, result, left);
    }

    fn clients(&mut self) -> (&mut Clients, clients::Host<'_>) {
        let host = clients::Host {
            service: &self.service,
            instance: &mut self.instance,
            outcomes: &mut self.outcomes,
            winding_down: self.winding_down,
            others_wait: self.waiting.has_pending(),
        };
        (&mut self.clients, host)
    }

    /// A handler that had waited, or whose event had, failed. Its connection will be closed: nothing of the peer's is
    /// delivered any more.
    fn fail(&mut self, conn: Option<ConnId>, failure: Failure) {
        self.outcomes.push_back(Outcome::Failed(failure));
        if conn.is_some() {
            self.drop_messages(conn);
        }
    }

    fn handled(&mut self, handler: Handler, conn: Option<ConnId>, weight: usize) {
        match (handler, conn) {
            (Handler::Message, Some(conn)) => self.outcomes.push_back(Outcome::Handled { conn, weight }),
            (Handler::Shutdown, _) => self.outcomes.push_back(Outcome::Stopped),
            _ => {}
        }
    }

    fn drop_messages(&mut self, conn: Option<ConnId>) {
        for (conn, weight) in self.waiting.drop_messages(conn) {
            self.outcomes.push_back(Outcome::Handled { conn, weight });
        }
    }

    fn report(&mut self, text: &str) {
        self.outcomes.push_back(Outcome::Report(format!("service '{}': {text}", self.service)));
    }

    fn failure(&self, handler: Handler, conn: Option<ConnId>, kind: FailureKind) -> Failure {
        Failure::new(&self.service, handler.name(), conn, kind)
    }
}

/// The version of the LuaJIT that is built in, for example `LuaJIT 2.1.1700000000`.
#[must_use]
pub fn luajit_version() -> String {
    let version = Lua::new().globals().get::<Table>("jit").and_then(|jit| jit.get("version"));
    version.unwrap_or_else(|_| "LuaJIT".to_owned())
}

/// Checks that the service has what it must have; `Err` says all that is missing.
fn contract(service: Value) -> Result<Table, String> {
    const RULE: &str = "a reactive service is a table with the functions onStart(), \
        onMessage(handler, opcode, message), onDisconnect(handler) and onShutdown()";
    let Value::Table(service) = service else {
        let given = match service {
            // What `require` makes of a file without a result.
            Value::Nil | Value::Boolean(true) => "nothing",
            other => type_name(&other),
        };
        return Err(format!(
            "the file returns {given}, but {RULE}; end the file with `return` and that table"
        ));
    };
    let mut wrong = Vec::new();
    for handler in Handler::REQUIRED {
        match service.get(handler.name()) {
            Ok(Value::Function(_)) => {}
            Ok(Value::Nil) | Err(_) => wrong.push(format!("{} is missing", handler.name())),
            Ok(other) => wrong.push(format!("{} is a {}", handler.name(), type_name(&other))),
        }
    }
    if wrong.is_empty() { Ok(service) } else { Err(format!("{}: {RULE}", wrong.join(", "))) }
}

/// Lua's own name of a value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}
