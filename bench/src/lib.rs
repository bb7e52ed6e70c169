//! A load client for LAppS and for the bare echo it is compared with, and what reads a server's CPU and memory.
//!
//! The binary `lapps-bench` is a thin layer over these modules; tests use them directly.

pub mod bare;
pub mod bare_fan_out;
pub mod book;
pub mod compare;
pub mod connection;
pub mod descriptors;
mod drain;
pub mod echo;
pub mod envelope;
pub mod failure;
pub mod framer;
pub mod home;
pub mod idle;
pub mod machine;
pub mod meter;
pub mod pattern;
pub mod pool;
pub mod process;
pub mod queues;
pub mod random;
pub mod report;
pub mod samples;
pub mod schedule;
pub mod server;
pub mod table;
pub mod target;
pub mod tls;
pub mod transport;
pub mod url;
pub mod verifier;

pub use failure::Failure;
