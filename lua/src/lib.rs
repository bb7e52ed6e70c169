//! Lua services: events go in, commands come out. Knows LuaJIT, but no socket and no thread.

pub mod error;
pub mod port;
pub mod reactive;

mod modules;
mod pace;
mod raw;
mod vm;

pub use error::{Failure, FailureKind, HandlerError, LoadError};
pub use port::{Answer, Command, ConnId, Event, Port};
pub use reactive::{Reactive, Setup, Source, Verdict, luajit_version};
