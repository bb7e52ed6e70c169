//! Echoes through a handler that never waits, as many as the argument says: to be run under a counter of instructions.
//!
//! `bench/instructions` runs it twice and takes the difference, so that the start does not count.

use std::env;
use std::hint::black_box;
use std::time::Duration;

use lapps_lua::{Answer, Command, ConnId, Event, Port, Progress, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::OpCode;

const SERVICE: &str = "
local function nothing() end
return {
    onStart = nothing, onDisconnect = nothing, onShutdown = nothing,
    onMessage = function(h, op, msg) return ws:send(h, op, msg) end,
}";

/// Takes every command and does nothing with it.
struct Nowhere;

impl Port for Nowhere {
    fn command(&mut self, command: Command<'_>) -> Answer {
        black_box(command);
        Answer::Done
    }

    fn now(&mut self) -> Duration {
        Duration::ZERO
    }

    fn serves(&mut self, _: ConnId) -> bool {
        true
    }

    fn is_stopping(&mut self) -> bool {
        false
    }
}

fn main() {
    let count = env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1000u32);
    let source = Source::Embedded { text: SERVICE };
    let setup = Setup { memory_limit: 256 << 20, ..Setup::new("bench", source) };
    let mut service = Reactive::load(&setup).expect("the service loads");
    assert_eq!(service.start(&mut Nowhere).expect("the service starts"), Progress::Done);
    let mut payload = [b'x'; 128];
    for n in 0..count {
        // Every message differs, as on a real wire: LuaJIT keeps one copy of equal strings.
        payload[..4].copy_from_slice(&n.to_le_bytes());
        let conn = ConnId::new(0, n % 240, 1);
        let event = Event::Message { conn, opcode: OpCode::Binary, payload: &payload };
        assert!(matches!(service.deliver(&mut Nowhere, event), Verdict::Keep));
    }
    println!("{count} echoes of {} bytes", payload.len());
}
