//! Services that are replaced while the server runs: theirs and only theirs end, and nothing of them is left.

mod common;

#[path = "replacement/failures.rs"]
mod failures;
#[path = "replacement/leaks.rs"]
mod leaks;
#[path = "replacement/running.rs"]
mod running;
#[path = "replacement/standalone.rs"]
mod standalone;
#[path = "replacement/stops.rs"]
mod stops;
#[path = "replacement/theatre.rs"]
mod theatre;
