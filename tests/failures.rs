//! What goes wrong in services, files and surroundings: a stranger understands the message, and nobody else suffers.

mod common;

#[path = "failures/handlers.rs"]
mod handlers;
#[path = "failures/services.rs"]
mod services;
#[path = "failures/stale.rs"]
mod stale;
#[path = "failures/start.rs"]
mod start;
