//! The reactive contract: one Lua state that answers events with `onStart`, `onMessage`, `onDisconnect`, `onShutdown`.

use mlua::{Lua, Table, Value};

use crate::error::{Failure, FailureKind, HandlerError, LoadError};
use crate::modules;
use crate::port::{ConnId, Event, Port};
use crate::raw::{Args, Door, Handler, Instance, Returned};
use crate::setup::Setup;
use crate::vm;

/// One Lua state with one service. It lives and dies on the thread that loaded it.
#[derive(Debug)]
pub struct Reactive {
    service: String,
    instance: Instance,
    strict: bool,
    /// Strict, and a handler has failed: nothing is called any more.
    stopped: bool,
}

/// What the caller has to do with the connection after an event.
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// Close it with 1011 and log the failure.
    Fail(Failure),
}

impl Reactive {
    /// Makes a Lua state and loads the service into it. Its code runs, but no handler.
    ///
    /// # Errors
    /// The code cannot be found, read or compiled, raises an error, or lacks handlers (all of them are named at once).
    pub fn load(setup: &Setup<'_>) -> Result<Reactive, LoadError> {
        let error = |message: String| LoadError {
            service: setup.service.to_owned(),
            file: Some(vm::file(setup)),
            line: None,
            message,
        };
        let lua = vm::new(setup)?;
        let door = Door::new();
        modules::ws::install(&lua, &door).map_err(|cause| error(cause.to_string()))?;
        let service = contract(vm::load(&lua, setup)?).map_err(error)?;
        let instance = Instance::new(lua, door, &service, setup.memory_limit)
            .map_err(|cause| error(cause.to_string()))?;
        Ok(Reactive { service: setup.service.to_owned(), instance, strict: setup.strict, stopped: false })
    }

    /// Calls `onStart()`.
    ///
    /// # Errors
    /// The handler failed.
    pub fn start(&mut self, port: &mut dyn Port) -> Result<(), HandlerError> {
        match self.instance.call(port, Handler::Start, Args::None) {
            Ok(_) => Ok(()),
            Err(kind) => Err(self.failure(Handler::Start, None, kind)),
        }
    }

    /// Calls the handler that the event is for: `onMessage`, `onDisconnect` or `onShutdown`. Commands go through
    /// `port` while it runs.
    ///
    /// A stopped instance (see [`Setup::strict`]) fails every message and ignores the other events.
    pub fn deliver(&mut self, port: &mut dyn Port, event: Event<'_>) -> Verdict {
        let (handler, conn, args) = match event {
            Event::Message { conn, opcode, payload } => {
                (Handler::Message, Some(conn), Args::Message(conn, opcode.bits(), payload))
            }
            Event::Disconnected(conn) => (Handler::Disconnect, Some(conn), Args::Conn(conn)),
            Event::Stop => (Handler::Shutdown, None, Args::None),
        };
        let kind = if self.stopped {
            match handler {
                Handler::Message => FailureKind::Stopped,
                _ => return Verdict::Keep,
            }
        } else {
            match (handler, self.instance.call(port, handler, args)) {
                (Handler::Message, Ok(Returned::Other(returned))) => FailureKind::Refused { returned },
                (_, Ok(_)) => return Verdict::Keep,
                (_, Err(kind)) => kind,
            }
        };
        self.stopped = self.strict;
        Verdict::Fail(self.failure(handler, conn, kind))
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
    for handler in Handler::ALL {
        match service.get(handler.name()) {
            Ok(Value::Function(_)) => {}
            Ok(Value::Nil) | Err(_) => wrong.push(format!("{} is missing", handler.name())),
            Ok(other) => wrong.push(format!("{} is a {}", handler.name(), type_name(&other))),
        }
    }
    if wrong.is_empty() { Ok(service) } else { Err(format!("{}: {RULE}", wrong.join(", "))) }
}

/// Lua's own name of a value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}
