//! Tells the supervisor that has started this process how it is, as systemd wants to be told; without one nobody is told.

use std::time::Duration;

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping, Watchdog};

/// Clients are served; `status` is a line for people.
pub(crate) fn ready(status: &str) {
    tell(&[Ready, Status(status)]);
}

/// Files are read again; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[Reloading, now]),
        Err(error) => tracing::warn!("the supervisor cannot be told that files are read again: {error}"),
    }
}

/// The server comes to its end.
pub(crate) fn stopping() {
    tell(&[Stopping, Status("stopping: onShutdown, then connections are closed")]);
}

/// All is well at this moment; to be told more often than [`patience`] says.
pub(crate) fn alive() {
    tell(&[Watchdog]);
}

/// How long the supervisor waits for [`alive`] before it starts the server anew; `None`: it waits for nothing.
pub(crate) fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the supervisor cannot be told '{}': {error}", states[0]);
    }
}
