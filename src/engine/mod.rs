//! The threads and what passes between them.

pub(crate) mod balancer;
pub(crate) mod channels;
pub(crate) mod clients;
pub(crate) mod dedicated;
pub(crate) mod frames;
mod helper;
mod instance;
pub(crate) mod life;
mod linger;
mod link;
pub(crate) mod listener;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod outbox;
mod outlet;
pub(crate) mod presence;
pub(crate) mod report;
pub(crate) mod settings;
mod slab;
mod spsc;
pub(crate) mod standalone;
mod turned_away;
pub(crate) mod wake;
mod wheel;
pub(crate) mod worker;

pub(crate) use link::Link;

use std::sync::Arc;

use lapps_lua::bell::Bell;
use lapps_lua::error::{Failure, FailureKind};
use lapps_lua::port::ConnId;
use lapps_lua::setup::{Concurrency, Protocol, Setup, Source};

use crate::config::{self, Service};
use settings::Settings;
use wake::Wake;

/// The bell of an instance on the thread that `wake` wakes.
fn bell(wake: &Arc<Wake>) -> Arc<Bell> {
    let wake = Arc::clone(wake);
    Bell::new(move || wake.notify())
}

/// What instance `number` of `service` is made of.
fn setup<'s>(service: &'s Service, number: usize, settings: &'s Settings, bell: &'s Arc<Bell>) -> Setup<'s> {
    let source = match service.source {
        config::Source::Apps => {
            Source::Apps { directory: &settings.applications, lua_path: settings.lua_path.as_deref() }
        }
        config::Source::Embedded(text) => Source::Embedded { text },
    };
    Setup {
        compiled: true,
        service: &service.name,
        source,
        memory_limit: service.max_lua_memory,
        pause: service.gc.pause,
        stepmul: service.gc.stepmul,
        strict: service.lapps_strict,
        concurrency: service.concurrency.map(|concurrency| match concurrency {
            config::Concurrency::Serial => Concurrency::Serial,
            config::Concurrency::Connection => Concurrency::Connection,
            config::Concurrency::Free => Concurrency::Free,
        }),
        instance: number,
        preload: &service.preload,
        protocol: match service.protocol {
            config::Protocol::Raw => Protocol::Raw,
            config::Protocol::Lapps => Protocol::Lapps,
        },
        bell: Some(bell),
        queues: Some(&settings.queues),
        logins: Some(&settings.logins),
    }
}

/// Logs what a handler did wrong. `gone`: its connection is closed by now, and a handler that passes on the `false` of a
/// `ws:send` to it has done nothing wrong.
pub(crate) fn log_failure(failure: &Failure, gone: bool) {
    let (service, conn) = (failure.service(), failure.conn().map(number));
    match failure.kind() {
        FailureKind::Refused { .. } if gone => tracing::debug!(service, conn, "{failure}"),
        FailureKind::Refused { .. } => tracing::warn!(service, conn, "{failure}"),
        // A client's mistake, of which it is told.
        FailureKind::Invalid { .. } => tracing::debug!(service, conn, "{failure}"),
        _ => tracing::error!(service, conn, "{failure}"),
    }
}

/// A connection as handlers, commands and the log have it.
pub(crate) fn number(conn: ConnId) -> u64 {
    conn.as_number() as u64
}
