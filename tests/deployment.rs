//! Archives that are put into the deploy directory of a running server, and what comes of them.

mod common;

#[path = "deployment/files.rs"]
mod files;
#[path = "deployment/refusals.rs"]
mod refusals;
#[path = "deployment/saving.rs"]
mod saving;
#[path = "deployment/services.rs"]
mod services;
#[path = "deployment/start.rs"]
mod start;
#[path = "deployment/yard.rs"]
mod yard;
