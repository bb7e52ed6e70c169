//! LAppS: a Lua application server over WebSockets.
//!
//! [`config`] reads what is configured, [`server`] starts and stops it. The rest is the engine; `ARCHITECTURE.md` has
//! the map.

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

/// One line that says which build this is: version, CPU, LuaJIT.
pub fn build() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("lapps {version} ({} build, {})", sys::cpu::built_for(), lapps_lua::reactive::luajit_version())
}

/// Sets the environment variable by which services find the directory of all services. To be called before any thread is
/// started.
pub fn export_apps_dir(directory: &Path) {
    sys::environment::set_apps_dir(directory);
}

/// Says how what is logged is changed while a server runs: `change` gets a filter as `LAPPS_LOG` has it, and takes it or says
/// what is wrong with it. To be called once.
pub fn on_log_filter(change: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) {
    ops::logging::on_change(change);
}
