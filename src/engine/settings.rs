//! What all threads share: the configuration in the units they use, and the server's life.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::clients::Names;
use super::helper::Helper;
use super::life::Life;
use super::wheel::TICK_MS;
use crate::config::{self, Config};
use crate::net::client::tls::Trust;
use crate::net::tls::Identity;
use crate::ops::ledger::Ledger;
use crate::services::acl::Acl;
use crate::services::current::Current;
use lapps_lua::login::Logins;
use lapps_lua::queue::{Bounds, Queues};
use lapps_parser::decoder::Limits;
use lapps_parser::http::HeadLimits;

/// Settings of the engine; what is not [`Current`] does not change while the server runs.
pub(crate) struct Settings {
    pub(crate) life: Arc<Life>,
    /// Where the threads count.
    pub(crate) ledger: Arc<Ledger>,
    /// What the server's end of TLS shows; there is always one, or never.
    pub(crate) tls: Option<Current<Identity>>,
    /// Who may connect at all.
    pub(crate) acl: Arc<Current<Acl>>,
    pub(crate) heads: HeadLimits,
    /// For connections that have no service: nothing is a message there.
    pub(crate) no_messages: Limits,
    pub(crate) read_buffer: usize,
    pub(crate) max_poll_events: usize,
    pub(crate) max_poll_wait: Option<Duration>,
    pub(crate) timeouts: Timeouts,
    /// The queues of all services.
    pub(crate) queues: Arc<Queues>,
    /// Who checks passwords for them.
    pub(crate) logins: Arc<dyn Logins>,
    /// Who looks up names for outgoing connections, and reads the certificates that they believe.
    pub(crate) names: Arc<Names>,
    /// The directory of the services' code.
    pub(crate) applications: PathBuf,
    /// The environment's `LUA_PATH`.
    pub(crate) lua_path: Option<String>,
}

/// Timeouts of connections, in ticks of the wheel.
pub(crate) struct Timeouts {
    pub(crate) handshake: u32,
    pub(crate) ping: u32,
    pub(crate) idle: u32,
    pub(crate) stalled: u32,
    pub(crate) closing: u32,
}

impl Settings {
    pub(crate) fn new(config: &Config, tls: Option<Identity>, lua_path: Option<String>) -> Settings {
        Settings {
            life: Arc::new(Life::new()),
            ledger: Arc::default(),
            tls: tls.map(Current::new),
            acl: Arc::new(Current::new(config.acl.clone())),
            heads: HeadLimits::default(),
            no_messages: Limits { max_message: 0, max_fragments: 0 },
            read_buffer: config.workers.read_buffer,
            max_poll_events: config.workers.max_poll_events,
            max_poll_wait: config.workers.max_poll_wait,
            timeouts: Timeouts::new(&config.timeouts),
            logins: Arc::new(Helper::default()),
            queues: Queues::new(Bounds { messages: config.queues.messages, bytes: config.queues.bytes }),
            names: Arc::new(Names::new(Trust::new(&config.client_tls))),
            applications: config.directories.applications.clone(),
            lua_path,
        }
    }
}

impl Timeouts {
    fn new(timeouts: &config::Timeouts) -> Timeouts {
        // Rounded up, and one more because the tick in which it begins is partly over: never early. A century at most.
        let ticks = |wait: Duration| {
            let ticks = wait.as_millis().div_ceil(u128::from(TICK_MS)) + 1;
            u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
        };
        Timeouts {
            handshake: ticks(timeouts.handshake),
            ping: ticks(timeouts.ping),
            idle: ticks(timeouts.idle),
            stalled: ticks(timeouts.stalled),
            closing: ticks(timeouts.closing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_never_early() {
        let wait = Duration::from_millis(250);
        let all = config::Timeouts {
            shutdown_grace: wait,
            handshake: wait,
            ping: Duration::from_millis(1),
            idle: Duration::from_millis(200),
            stalled: Duration::MAX,
            closing: wait,
        };
        let timeouts = Timeouts::new(&all);
        // A tick that has just ended when the time began leaves that much.
        let least = |ticks: u32| u64::from(ticks - 1) * TICK_MS;
        assert_eq!(least(timeouts.handshake), 300);
        assert_eq!(least(timeouts.ping), 100);
        assert_eq!(least(timeouts.idle), 200);
        assert_eq!(timeouts.stalled, u32::MAX / 2);
    }
}
