//! Lua services: events go in, commands come out. Knows LuaJIT, but no socket and no thread.

pub mod error;
pub mod port;
pub mod reactive;
pub mod setup;

mod commands;
mod modules;
mod pace;
mod raw;
mod vm;

pub use error::{Failure, FailureKind, HandlerError, LoadError};
pub use port::{Answer, Command, ConnId, Event, Port};
pub use reactive::{Reactive, Verdict, luajit_version};
pub use setup::{Setup, Source};
