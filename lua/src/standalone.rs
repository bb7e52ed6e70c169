//! The standalone contract: one Lua state whose `init()` and `run()` are called once, in its main fiber.

use std::collections::VecDeque;
use std::time::Duration;

use mlua::{Table, Value};

use crate::clients::{self, Clients};
use crate::error::{Failure, FailureKind, LoadError};
use crate::port::{ClientEvent, ConnId, Port};
use crate::raw::{Instance, Note};
use crate::reactive::{EVENTS_PER_TURN, Outcome, Verdict, type_name};
use crate::setup::Setup;
use crate::vm;

/// One Lua state with one standalone service. It lives and dies on the thread that loaded it.
#[derive(Debug)]
pub struct Standalone {
    service: String,
    instance: Instance,
    /// `init` has returned.
    initialised: bool,
    clients: Clients,
    outcomes: VecDeque<Outcome>,
    /// Everything was interrupted: handlers that end by that have not failed.
    winding_down: bool,
}

impl Standalone {
    /// Makes a Lua state and loads the service into it. Its code runs, but neither `init` nor `run`.
    ///
    /// # Errors
    /// The code cannot be found, read or compiled, raises an error, or lacks `init` or `run`.
    pub fn load(setup: &Setup<'_>) -> Result<Standalone, LoadError> {
        let loading = vm::Loading::begin(setup, vm::Contract::Standalone)?;
        let service = contract(loading.run(setup)?).map_err(|message| vm::error(setup, message))?;
        Ok(Standalone {
            service: setup.service.to_owned(),
            instance: loading.finish(setup, &service)?,
            initialised: false,
            clients: Clients::new(),
            outcomes: VecDeque::new(),
            winding_down: false,
        })
    }

    /// Begins with `init()`; `run()` follows. Both may wait; what comes of them are [`Outcome::Started`] and
    /// [`Outcome::Ended`].
    pub fn start(&mut self, port: &mut dyn Port) {
        self.instance.start_main();
        self.turn(port);
    }

    /// As [`crate::Reactive::turn`].
    pub fn turn(&mut self, port: &mut dyn Port) {
        self.instance.turn(port);
        let mut left = EVENTS_PER_TURN;
        let (clients, host) = self.clients();
        clients.turn(host, port, &mut left);
        for note in self.instance.take_notes() {
            let outcome = match note {
                Note::InitDone => {
                    self.initialised = true;
                    Outcome::Started(Ok(()))
                }
                Note::MainEnded(result) => {
                    let limit = self.instance.memory_limit();
                    let result = result
                        .map_err(|(message, traceback)| FailureKind::raised(message, traceback, limit))
                        .map_err(|kind| Failure::new(&self.service, self.stage(), None, kind));
                    if self.initialised { Outcome::Ended(result) } else { Outcome::Started(result) }
                }
                Note::Report(text) => Outcome::Report(format!("service '{}': {text}", self.service)),
                // Its only events are those of outgoing connections.
                Note::Done { event, .. } => {
                    self.end_client(port, event, Ok(()), &mut left);
                    continue;
                }
                Note::Failed { event, message, traceback } => {
                    let kind = FailureKind::raised(message, traceback, self.instance.memory_limit());
                    self.end_client(port, event, Err(kind), &mut left);
                    continue;
                }
            };
            self.outcomes.push_back(outcome);
        }
    }

    /// As [`crate::Reactive::deliver_client`].
    pub fn deliver_client(&mut self, port: &mut dyn Port, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        let (clients, host) = self.clients();
        clients.deliver(host, port, conn, event)
    }

    /// As [`crate::Reactive::connected`].
    pub fn connected(&mut self, conn: ConnId, result: Result<(), String>) {
        self.instance.client_connected(conn, result);
    }

    /// As [`crate::Reactive::next_outcome`].
    pub fn next_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// As [`crate::Reactive::is_ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.instance.is_ready() || self.clients.is_ready()
    }

    /// As [`crate::Reactive::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.instance.deadline()
    }

    /// As [`crate::Reactive::is_owed`].
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.instance.is_owed()
    }

    /// As [`crate::Reactive::fibers`].
    #[must_use]
    pub fn fibers(&self) -> usize {
        self.instance.fibers()
    }

    /// As [`crate::Reactive::counted_fibers`].
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

    /// Bytes of the Lua heap.
    pub fn heap(&mut self) -> usize {
        self.instance.wants_collecting();
        self.instance.heap()
    }

    /// As [`crate::Reactive::wind_down`].
    pub fn wind_down(&mut self, port: &mut dyn Port) {
        self.winding_down = true;
        self.clients.drop_messages(&mut self.outcomes, None);
        self.instance.wind_down(port);
    }

    /// As [`crate::Reactive::deadlock`].
    pub fn deadlock(&mut self) -> Option<String> {
        self.instance.deadlock()
    }

    /// The handler of an event that has waited has ended.
    fn end_client(
        &mut self,
        port: &mut dyn Port,
        number: u32,
        result: Result<(), FailureKind>,
        left: &mut usize,
    ) {
        for conn in self.instance.take_closed() {
            self.clients.drop_messages(&mut self.outcomes, Some(conn));
        }
        let (clients, host) = self.clients();
        clients.end(host, port, number, result, left);
    }

    fn clients(&mut self) -> (&mut Clients, clients::Host<'_>) {
        let host = clients::Host {
            service: &self.service,
            instance: &mut self.instance,
            outcomes: &mut self.outcomes,
            winding_down: self.winding_down,
            others_wait: false,
        };
        (&mut self.clients, host)
    }

    fn stage(&self) -> &'static str {
        if self.initialised { "run" } else { "init" }
    }
}

/// Checks that the service has what it must have; `Err` says all that is missing.
fn contract(service: Value) -> Result<Table, String> {
    const RULE: &str = "a standalone service is a table with the functions init() and run()";
    let Value::Table(service) = service else {
        return Err(format!(
            "the file returns no table, but {RULE}; end the file with `return` and that table"
        ));
    };
    let mut wrong = Vec::new();
    for name in ["init", "run"] {
        match service.get(name) {
            Ok(Value::Function(_)) => {}
            Ok(Value::Nil) | Err(_) => wrong.push(format!("{name} is missing")),
            Ok(other) => wrong.push(format!("{name} is a {}", type_name(&other))),
        }
    }
    if wrong.is_empty() { Ok(service) } else { Err(format!("{}: {RULE}", wrong.join(", "))) }
}
