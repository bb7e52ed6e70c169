//! The message path into Lua and back: what one event costs on top of the socket.

mod nowhere;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lapps_lua::{ConnId, Event, Progress, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::OpCode;
use nowhere::Nowhere;

fn service(on_message: &str) -> Reactive {
    let text = format!(
        "local function nothing() end
         return {{ onStart = nothing, onDisconnect = nothing, onShutdown = nothing,
                   onMessage = function(h, op, msg) {on_message} end }}"
    );
    let source = Source::Embedded { text: &text };
    let setup = Setup { memory_limit: 256 << 20, ..Setup::new("bench", source) };
    let mut service = Reactive::load(&setup).expect("the service loads");
    assert_eq!(service.start(&mut Nowhere).expect("the service starts"), Progress::Done);
    service
}

fn deliver(criterion: &mut Criterion, name: &str, on_message: &str, sizes: &[usize]) {
    let mut group = criterion.benchmark_group(name);
    for &size in sizes {
        let mut service = service(on_message);
        let mut payload = vec![b'x'; size];
        let mut count = 0u32;
        group.throughput(Throughput::Elements(1));
        group.bench_function(size.to_string(), |bencher| {
            bencher.iter(|| {
                // Every message differs, as on a real wire: LuaJIT keeps one copy of equal strings.
                count = count.wrapping_add(1);
                payload[..4].copy_from_slice(&count.to_le_bytes());
                let conn = ConnId::new(0, count % 240, 1);
                let event = Event::Message { conn, opcode: OpCode::Binary, payload: &payload };
                match service.deliver(&mut Nowhere, event) {
                    Verdict::Keep | Verdict::Waits { .. } => {}
                    Verdict::Fail(failure) => panic!("{failure}"),
                }
            });
        });
    }
    group.finish();
}

fn lua(criterion: &mut Criterion) {
    deliver(criterion, "lua/ignore", "return true", &[128]);
    deliver(criterion, "lua/echo", "return ws:send(h, op, msg)", &[20, 128, 1024, 16384]);
}

criterion_group!(benches, lua);
criterion_main!(benches);
