//! The fuzz targets: each takes any bytes and panics if a reader breaks a promise.
//!
//! `fuzz/run` drives them by libFuzzer where a nightly toolchain is there; `cargo test` runs the same functions over
//! the committed seeds and over generated input.

mod archive;
mod cbor;
mod decoder;
mod events;
mod head;
mod json;
mod session;
mod utf8;

pub use archive::archive;
pub use cbor::cbor;
pub use decoder::decoder;
pub use head::head;
pub use json::json;
pub use session::session;
pub use utf8::utf8;
