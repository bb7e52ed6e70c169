//! The reactive contract: one Lua state that answers events with `onStart`, `onMessage`, `onDisconnect`, `onShutdown`.

use std::marker::PhantomData;
use std::path::Path;
use std::rc::Rc;

use crate::error::{Failure, HandlerError, LoadError};
use crate::port::{Event, Port};

/// What a service is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its name: the module, the global variable, and the word in the log.
    pub service: &'a str,
    /// Where its code is.
    pub source: Source<'a>,
    /// Bytes that its Lua state may use; 0 = no limit.
    pub memory_limit: usize,
    /// The original's rule: the first failure stops the instance for good.
    pub strict: bool,
}

/// Where a service's code is.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// `DIRECTORY/NAME/NAME.lua`, loaded by `require`. The `?.lua` of the service's own directory and then of every
    /// other service is on `package.path`, before `lua_path`.
    Apps {
        /// The directory of all services.
        directory: &'a Path,
        /// As in the environment variable `LUA_PATH`: `;;` stands for the default path. `None` = the default path.
        lua_path: Option<&'a str>,
    },
    /// Code that is part of the program.
    Embedded {
        /// The chunk; it returns the service's table.
        text: &'a str,
    },
}

/// One Lua state with one service. It lives and dies on the thread that loaded it.
#[derive(Debug)]
pub struct Reactive {
    not_send: PhantomData<Rc<()>>,
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
        let _ = setup;
        Ok(Reactive { not_send: PhantomData })
    }

    /// Calls `onStart()`.
    ///
    /// # Errors
    /// The handler failed.
    pub fn start(&mut self, port: &mut dyn Port) -> Result<(), HandlerError> {
        let _ = port;
        Ok(())
    }

    /// Calls the handler that the event is for: `onMessage`, `onDisconnect` or `onShutdown`. Commands go through
    /// `port` while it runs.
    pub fn deliver(&mut self, port: &mut dyn Port, event: Event<'_>) -> Verdict {
        let _ = (port, event);
        Verdict::Keep
    }
}

/// The version of the LuaJIT that is built in, for example `LuaJIT 2.1.1700000000`.
#[must_use]
pub fn luajit_version() -> String {
    String::new()
}
