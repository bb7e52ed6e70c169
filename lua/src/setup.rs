//! What a service is made of, as its host tells it.

use std::path::Path;
use std::sync::Arc;

use crate::bell::Bell;
use crate::login::Logins;
use crate::queue::Queues;

/// What a service is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its name: the module, the global variable, and the word in the log.
    pub service: &'a str,
    /// Where its code is.
    pub source: Source<'a>,
    /// Bytes that its Lua state may use; 0 = no limit.
    pub memory_limit: usize,
    /// Percentage of the living heap at which a collection starts; `None`: 200. Near the memory limit there is no pause.
    pub pause: Option<u16>,
    /// Percentage of what is allocated meanwhile that a collection handles; `None`: 200. Near the memory limit it is 400.
    pub stepmul: Option<u16>,
    /// The original's rule: the first failure stops the instance for good.
    pub strict: bool,
    /// Messages of the raw protocol are taken and sent by code that LuaJIT compiles; else through its C API, with the same
    /// results: slower, but for where LuaJIT cannot compile.
    pub compiled: bool,
    /// Which events may interleave; `None`: as the service's handlers suggest, see [`Concurrency`].
    pub concurrency: Option<Concurrency>,
    /// The global `instance_id`: which of the service's instances this is, from 0.
    pub instance: usize,
    /// Modules that become globals.
    pub preload: &'a [String],
    /// What the messages of a reactive service are.
    pub protocol: Protocol,
    /// How other threads tell the instance that something has come for one of its fibers. `None`: its host looks after it all
    /// the time, and needs not be woken.
    pub bell: Option<&'a Arc<Bell>>,
    /// The queues that it shares with the other instances of its server. `None`: it has none in common with anybody.
    pub queues: Option<&'a Arc<Queues>>,
    /// Who checks passwords for it. `None`: nobody.
    pub logins: Option<&'a Arc<dyn Logins>>,
}

impl<'a> Setup<'a> {
    /// The first instance of a service that asks for nothing special: no limit, no modules, no neighbours.
    #[must_use]
    pub const fn new(service: &'a str, source: Source<'a>) -> Setup<'a> {
        Setup {
            service,
            source,
            memory_limit: 0,
            pause: None,
            stepmul: None,
            strict: false,
            compiled: true,
            concurrency: None,
            instance: 0,
            preload: &[],
            protocol: Protocol::Raw,
            bell: None,
            queues: None,
            logins: None,
        }
    }
}

/// What the messages of a service are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// Strings: `onMessage(handler, opcode, message)`.
    #[default]
    Raw,
    /// Messages of the LAppS protocol, CBOR in binary frames: `onMessage(handler, msg_type, message)`.
    Lapps,
}

/// Which events of one instance may interleave: what the others do while a handler waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Concurrency {
    /// All events one after the other: the default for a service that has only the original's handlers.
    Serial,
    /// Those of one connection one after the other, those of several interleave: the default otherwise.
    Connection,
    /// Every event starts at once.
    Free,
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
