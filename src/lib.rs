//! LAppS: a Lua application server over WebSockets.
//!
//! [`arguments`] says what may be typed, [`config`] reads what is configured, [`server`] starts and stops it. The rest is the engine; `ARCHITECTURE.md` has
//! the map.

pub mod arguments;
pub mod config;
pub mod dev_cert;
mod engine;
mod net;
mod ops;
pub mod server;
pub mod services;
mod sys;

use std::path::Path;

pub use sys::allocator::Allocator;

/// Tests take their memory from where the program does.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// One line that says which build this is: version, CPU, LuaJIT.
pub fn build() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("lapps {version} ({} build, {})", sys::cpu::built_for(), lapps_lua::reactive::luajit_version())
}

/// Whether this processor can run this build; if it cannot, a line on standard error says so and names the package that it can
/// run. To be called first of all: what comes before it must not use instructions of the build's level.
pub fn fits_cpu() -> bool {
    sys::cpu::fits()
}

/// Sets the environment variable by which services find the directory of all services. To be called before any thread is
/// started.
pub fn export_apps_dir(directory: &Path) {
    sys::environment::set_apps_dir(directory);
}

/// Starts the log of the process; `filter`, what the environment says, goes before what is configured. To be called once.
///
/// # Errors
/// Its file cannot be opened.
pub fn start_log(log: &config::Log, filter: Option<&str>) -> Result<(), String> {
    ops::log::start(log, filter)
}

/// Opens the file of the log again, if it has one. One that cannot be opened leaves the one from before.
pub fn reopen_log() {
    ops::log::reopen();
}

/// Writes what is left to be said of lines that were left out. To be called when the process ends.
pub fn end_log() {
    ops::log::end();
}
