//! The parser by itself: mask, frames in and out, UTF-8, the upgrade's head. Data lie in the nearest caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lapps_bench::samples::{self, HEAD, LIMITS};
use lapps_parser::frame::{write_frame, write_masked_frame};
use lapps_parser::handshake::{read_upgrade, write_accept};
use lapps_parser::http::{HeadLimits, HeadScan, RequestHead};
use lapps_parser::utf8::{Utf8, is_valid};
use lapps_parser::{Decoder, Incoming, OpCode, Role, mask};

const SIZES: [usize; 4] = [20, 128, 1024, 16_384];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn masks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in SIZES {
        let source = vec![b'x'; size];
        let mut data = source.clone();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("apply", size), |bencher| {
            bencher.iter(|| mask::apply(black_box(&mut data), black_box(KEY), 0));
        });
        group.bench_function(BenchmarkId::new("apply_into", size), |bencher| {
            bencher.iter(|| mask::apply_into(black_box(&mut data), black_box(&source), black_box(KEY), 0));
        });
        group.bench_function(BenchmarkId::new("memcpy", size), |bencher| {
            bencher.iter(|| black_box(&mut data[..]).copy_from_slice(black_box(&source)));
        });
    }
}

/// One read's worth of frames, decoded again and again.
struct Input {
    bytes: Vec<u8>,
    frames: u64,
}

impl Input {
    fn new(opcode: OpCode, size: usize, frames: u64) -> Input {
        Input { bytes: samples::frames(opcode, size, frames), frames }
    }

    /// Decodes all of it, `times` times.
    fn decode(&mut self, decoder: &mut Decoder, times: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..times {
            let bytes = black_box(&mut self.bytes[..]);
            let mut at = 0;
            while at < bytes.len() {
                let step = decoder.decode(&LIMITS, &mut bytes[at..]).expect("well-formed frames");
                at += step.consumed;
                if let Some(Incoming::Message { payload, .. }) = step.incoming {
                    black_box(payload.as_mut_ptr());
                }
            }
        }
        start.elapsed()
    }
}

/// Time per read of one frame, or of 16 frames.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let mut decoder = Decoder::new(Role::Server);
    for (name, opcode) in [("binary", OpCode::Binary), ("text", OpCode::Text)] {
        for (size, frames) in SIZES.map(|size| (size, 1)).into_iter().chain([(20, 16), (128, 16)]) {
            let mut input = Input::new(opcode, size, frames);
            group.throughput(Throughput::Elements(input.frames));
            group.bench_function(BenchmarkId::new(name, format!("{size}x{frames}")), |bencher| {
                bencher.iter_custom(|times| input.decode(&mut decoder, times));
            });
        }
    }
    // A message of 64 KiB that comes in reads of 16 KiB.
    let mut input = Input::new(OpCode::Text, 65_536, 1);
    group.throughput(Throughput::Bytes(65_536));
    group.bench_function("text/65536 cut", |bencher| {
        bencher.iter(|| {
            for piece in input.bytes.chunks_mut(16_384) {
                black_box(decoder.decode(&LIMITS, piece).expect("well-formed frames").consumed);
            }
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for size in SIZES {
        let payload = vec![b'x'; size];
        let mut out = Vec::with_capacity(size + 16);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("plain", size), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_frame(black_box(&mut out), true, OpCode::Text, black_box(&payload));
            });
        });
        group.bench_function(BenchmarkId::new("masked", size), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_masked_frame(
                    black_box(&mut out),
                    true,
                    OpCode::Text,
                    black_box(&payload),
                    black_box(KEY),
                );
            });
        });
    }
}

fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    for size in SIZES {
        let mixed: Vec<u8> = "a\u{e9}\u{6f22}\u{1f980}b ".bytes().cycle().take(size / 12 * 12).collect();
        for (name, text) in [("ascii", vec![b'x'; size]), ("mixed", mixed)] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| is_valid(black_box(&text)));
            });
            group.bench_function(BenchmarkId::new(format!("{name} in two pieces"), size), |bencher| {
                let (first, second) = text.split_at(text.len() / 2 + 1);
                bencher.iter(|| {
                    let mut state = Utf8::new();
                    state.feed(black_box(first)).is_ok() && state.feed(black_box(second)).is_ok()
                });
            });
        }
    }
}

fn head(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let bytes = HEAD.as_bytes();
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| HeadScan::new().find_end(black_box(bytes), &limits));
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| RequestHead::parse(black_box(bytes), &limits).is_ok());
    });
    group.bench_function("scan, parse, read the upgrade", |bencher| {
        bencher.iter(|| {
            let end =
                HeadScan::new().find_end(black_box(bytes), &limits).expect("a head").expect("all of it");
            let head = RequestHead::parse(&bytes[..end], &limits).expect("a request");
            read_upgrade(&head).expect("an upgrade").accept
        });
    });
    let head = RequestHead::parse(bytes, &limits).expect("a request");
    let upgrade = read_upgrade(&head).expect("an upgrade");
    let mut out = Vec::with_capacity(512);
    group.bench_function("write the answer", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_accept(black_box(&mut out), &upgrade, "LAppS", [("X-Extra", "1")].into_iter(), None);
        });
    });
}

criterion_group!(benches, masks, decode, encode, utf8, head);
criterion_main!(benches);
