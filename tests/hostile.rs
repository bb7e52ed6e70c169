//! Hostile and broken clients, slow services, scarce resources: what one of them costs, nobody else pays.

mod common;

#[path = "hostile/connections.rs"]
mod connections;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/readers.rs"]
mod readers;
#[path = "hostile/silence.rs"]
mod silence;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/tls.rs"]
mod tls;

/// The endings of targets: in the workers, and on a thread of its own.
const PLACEMENTS: [&str; 2] = ["", "-dedicated"];

/// The code of an echo service for `Home::on_both`.
fn echo() -> String {
    common::home::ECHO.replace("echo", "NAME")
}
