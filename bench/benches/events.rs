//! Echoes through a handler that never waits, as many as the first argument says, so many at a time as the second: to be run
//! under a counter of instructions.
//!
//! `bench/instructions` runs it twice and takes the difference, so that the start does not count.

mod nowhere;

use std::env;

use lapps_lua::{ConnId, Message, Progress, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::OpCode;
use nowhere::Nowhere;

/// The server's.
#[global_allocator]
static ALLOCATOR: lapps::Allocator = lapps::Allocator;

const SERVICE: &str = "
local function nothing() end
return {
    onStart = nothing, onDisconnect = nothing, onShutdown = nothing,
    onMessage = function(h, op, msg) return ws:send(h, op, msg) end,
}";

fn main() {
    let mut numbers = env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let count = numbers.next().unwrap_or(1000u32);
    let size = numbers.next().unwrap_or(1);
    let source = Source::Embedded { text: SERVICE };
    let setup = Setup { memory_limit: 256 << 20, ..Setup::new("bench", source) };
    let mut service = Reactive::load(&setup).expect("the service loads");
    assert_eq!(service.start(&mut Nowhere).expect("the service starts"), Progress::Done);
    let mut payloads = vec![[b'x'; 128]; size as usize];
    for n in 0..count / size {
        // Every message differs, as on a real wire: LuaJIT keeps one copy of equal strings.
        for (at, payload) in (0..size).zip(&mut payloads) {
            payload[..4].copy_from_slice(&(n * size + at).to_le_bytes());
        }
        let conn = ConnId::new(0, n % 240, 1);
        let message = |payload| Message::new(conn, OpCode::Binary, payload).expect("it is small");
        let batch: Vec<_> = payloads.iter().map(|payload| message(payload)).collect();
        let mut at = 0;
        while at < batch.len() {
            let (handled, verdict) = service.deliver_batch(&mut Nowhere, &batch[at..]);
            assert!(matches!(verdict, Verdict::Keep));
            at += handled;
        }
    }
    println!("{count} echoes of 128 bytes, {size} at a time");
}
