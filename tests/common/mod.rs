//! What end-to-end tests share: a home in a temporary directory, the server as a process, a client that sends bytes.
//!
//! Nothing waits by sleeping: reads have a deadline and fail with what they wanted.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of it")]

pub mod client;
pub mod home;
pub mod process;
pub mod table;

use std::time::Duration;

/// How long a test waits for something that must come. Generous: it only passes when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);
