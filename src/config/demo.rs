//! The built-in demo: the home `examples/demo`, compiled in, so that the server runs where nothing is configured.

use std::path::Path;

use super::load::from_texts;
use super::places::absolute;
use super::{Config, Source};

const WS: &str = include_str!("../../examples/demo/etc/conf/ws.json");
const LAPPS: &str = include_str!("../../examples/demo/etc/conf/lapps.json");
const ECHO: &str = include_str!("../../examples/demo/apps/echo/echo.lua");
const ECHO_DEDICATED: &str = include_str!("../../examples/demo/apps/echo_dedicated/echo_dedicated.lua");
const HELLO: &str = include_str!("../../examples/demo/apps/hello/hello.lua");

/// The configuration of the demo: three services on loopback, without TLS. Its home is the current directory, of which it
/// reads nothing.
///
/// # Panics
/// Never: the files are part of the program, and a test reads them.
pub fn demo() -> Config {
    let mut config = from_texts(&absolute(Path::new(".")), WS, LAPPS, &embedded)
        .unwrap_or_else(|mistakes| panic!("the built-in demo is wrong:\n{mistakes}"));
    config.demo = true;
    config
}

fn embedded(name: &str) -> Source {
    match name {
        "echo" => Source::Embedded(ECHO),
        "echo_dedicated" => Source::Embedded(ECHO_DEDICATED),
        "hello" => Source::Embedded(HELLO),
        _ => Source::Apps,
    }
}
