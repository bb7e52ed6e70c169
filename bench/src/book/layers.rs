//! The parser by itself, in this process: nanoseconds of each thing that the goals name, in cache.

use std::hint::black_box;
use std::time::{Duration, Instant};

use lapps_parser::http::{HeadLimits, HeadScan, RequestHead};
use lapps_parser::{Decoder, Incoming, OpCode, Role, mask};

use super::ledger::{Ledger, Run};
use crate::samples::{HEAD, LIMITS, frames};

/// Who is measured here.
pub const PARSER: &str = "lapps-parser";
/// What unmasking is compared with.
pub const MEMCPY: &str = "memcpy";
/// Shape: a payload of 16 KiB unmasked from one place to another.
pub const UNMASK: &str = "unmask-16k";
/// Shape: a frame of 20 bytes, one of 16 in a read, decoded and unmasked.
pub const DECODE_20: &str = "decode-20";
/// Shape: the same with 128 bytes.
pub const DECODE_128: &str = "decode-128";
/// Shape: the head of a browser's request, found and parsed.
pub const HEAD_500: &str = "head-500";

/// Length of one measurement. The least of several counts: nothing makes code faster than it is.
const SPAN: Duration = Duration::from_millis(4);
const TIMES: u32 = 9;
const FRAMES: u64 = 16;

/// Adds the figures of one pass to the ledger.
pub fn run(ledger: &mut Ledger) {
    let source = vec![b'x'; 16_384];
    let mut data = source.clone();
    let ns = least(|| mask::apply_into(black_box(&mut data), black_box(&source), black_box([1, 2, 3, 4]), 0));
    ledger.add(UNMASK, PARSER, Run::from([("ns", ns)]));
    let ns = least(|| black_box(&mut data[..]).copy_from_slice(black_box(&source)));
    ledger.add(UNMASK, MEMCPY, Run::from([("ns", ns)]));
    for (shape, size) in [(DECODE_20, 20), (DECODE_128, 128)] {
        let mut bytes = frames(OpCode::Binary, size, FRAMES);
        let mut decoder = Decoder::new(Role::Server);
        let ns = least(|| decode(&mut decoder, black_box(&mut bytes))) / FRAMES as f64;
        ledger.add(shape, PARSER, Run::from([("ns", ns)]));
    }
    let limits = HeadLimits::default();
    let ns = least(|| {
        let head = black_box(HEAD.as_bytes());
        let end = HeadScan::new().find_end(head, &limits).ok().flatten().unwrap_or(0);
        black_box(RequestHead::parse(&head[..end], &limits).is_ok());
    });
    ledger.add(HEAD_500, PARSER, Run::from([("ns", ns)]));
}

fn decode(decoder: &mut Decoder, bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let Ok(step) = decoder.decode(&LIMITS, rest) else { return };
        at += step.consumed;
        if let Some(Incoming::Message { payload, .. }) = step.incoming {
            black_box(payload.as_mut_ptr());
        }
    }
}

/// Nanoseconds of one call.
fn least(mut call: impl FnMut()) -> f64 {
    let mut calls = 1_u32;
    loop {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        if began.elapsed() >= SPAN {
            break;
        }
        calls *= 2;
    }
    let each = (0..TIMES).map(|_| {
        let began = Instant::now();
        (0..calls).for_each(|_| call());
        began.elapsed().as_nanos() as f64 / f64::from(calls)
    });
    each.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_figure_and_decoding_sees_all_frames() {
        let mut ledger = Ledger::default();
        run(&mut ledger);
        for (shape, server) in [
            (UNMASK, PARSER),
            (UNMASK, MEMCPY),
            (DECODE_20, PARSER),
            (DECODE_128, PARSER),
            (HEAD_500, PARSER),
        ] {
            assert!(ledger.median(shape, server, "ns").unwrap() > 0.0, "{shape} {server}");
        }
        let limits = HeadLimits::default();
        let end = HeadScan::new().find_end(HEAD.as_bytes(), &limits).unwrap().unwrap();
        assert_eq!(end, HEAD.len());
        assert!(RequestHead::parse(HEAD.as_bytes(), &limits).is_ok());
    }
}
