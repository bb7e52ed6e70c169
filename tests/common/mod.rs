//! What end-to-end tests share: a home in a temporary directory, the server as a process, a client that sends bytes.
//!
//! Nothing waits by sleeping: reads have a deadline and fail with what they wanted.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of it")]

pub mod browser;
pub mod cbor;
pub mod client;
pub mod home;
pub mod lua_blocks;
pub mod proc;
pub mod process;
pub mod stream;
pub mod table;
pub mod tls;

use std::time::{Duration, Instant};

/// How long a test waits for something that must come. Generous: it only passes when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so that no message tells.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to pass: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
