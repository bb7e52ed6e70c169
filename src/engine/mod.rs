//! The threads and what passes between them.

pub(crate) mod balancer;
pub(crate) mod dedicated;
mod link;
pub(crate) mod listener;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod outbox;
pub(crate) mod presence;
pub(crate) mod report;
pub(crate) mod settings;
mod slab;
mod spsc;
mod turned_away;
pub(crate) mod wake;
mod wheel;
pub(crate) mod worker;

pub(crate) use link::Link;

use lapps_lua::error::{Failure, FailureKind};
use lapps_lua::port::Port;
use lapps_lua::reactive::Reactive;
use lapps_lua::setup::{Setup, Source};

use crate::config::{self, Service};
use settings::Settings;

/// Loads one instance of `service` and calls its `onStart`. The error is a text for the log.
pub(crate) fn load_instance(
    service: &Service,
    settings: &Settings,
    port: &mut dyn Port,
) -> Result<Reactive, String> {
    let source = match service.source {
        config::Source::Apps => {
            Source::Apps { directory: &settings.applications, lua_path: settings.lua_path.as_deref() }
        }
        config::Source::Embedded(text) => Source::Embedded { text },
    };
    let setup = Setup {
        service: &service.name,
        source,
        memory_limit: service.max_lua_memory,
        strict: service.lapps_strict,
    };
    let mut instance = Reactive::load(&setup).map_err(|error| error.to_string())?;
    instance.start(port).map_err(|failure| failure.to_string())?;
    Ok(instance)
}

/// Logs what a handler did wrong. `gone`: its connection is closed by now, and a handler that passes on the `false` of a
/// `ws:send` to it has done nothing wrong.
pub(crate) fn log_failure(failure: &Failure, gone: bool) {
    match failure.kind() {
        FailureKind::Refused { .. } if gone => tracing::debug!("{failure}"),
        FailureKind::Refused { .. } => tracing::warn!("{failure}"),
        _ => tracing::error!("{failure}"),
    }
}
