//! Lua services: events go in, commands come out. Knows LuaJIT, but no socket and no thread.

pub mod bell;
pub mod error;
pub mod login;
pub mod port;
pub mod queue;
pub mod reactive;
pub mod setup;
pub mod standalone;

mod clients;
mod commands;
mod fiber;
mod inbound;
mod modules;
mod murmur;
mod outgoing;
mod pace;
mod raw;
mod value;
mod vm;
mod waiting;

pub use bell::Bell;
pub use error::{Failure, FailureKind, HandlerError, LoadError};
pub use port::{Answer, Channel, ClientEvent, Command, ConnId, Connect, Event, Port, Terms};
pub use queue::{Bounds, Queues};
pub use raw::{Batch, Message};
pub use reactive::{Outcome, Progress, Reactive, Verdict, luajit_version};
pub use setup::{Concurrency, Protocol, Setup, Source};
pub use standalone::Standalone;
pub use value::Shared;
