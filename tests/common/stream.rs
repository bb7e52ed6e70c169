//! Numbered messages without end: what a client floods a server with, and checks when it comes back.

use lapps_parser::frame::{OpCode, write_masked_frame};

use super::client::{Client, Got, MASK};

/// A payload of `len` bytes with a number in it.
pub fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = vec![b'.'; len];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Numbered messages without end, in parts that are large enough for TCP not to be the bottleneck.
pub struct Stream {
    len: usize,
    per_part: u32,
}

impl Stream {
    /// Bytes after which a server that still reads has no bound.
    pub const MOST: usize = 256 << 20;

    /// Of messages of `len` bytes.
    pub fn new(len: usize) -> Stream {
        Stream { len, per_part: (16_384 / len).max(1) as u32 }
    }

    pub fn part(&self, number: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in number * self.per_part..(number + 1) * self.per_part {
            write_masked_frame(&mut bytes, true, OpCode::Binary, &numbered(n, self.len), MASK);
        }
        bytes
    }

    /// All of `count` parts come back in order, when the `rest` of the last one is sent.
    #[track_caller]
    pub fn is_echoed(&self, client: &mut Client, count: u32, rest: &[u8]) {
        let written = count as usize * self.per_part as usize * self.len;
        assert!(written < Stream::MOST, "the server reads without end");
        let all = count * self.per_part;
        for n in 0..all {
            if n == all - self.per_part {
                client.write(rest);
            }
            assert!(client.get() == Got::Binary(numbered(n, self.len)), "message {n} of {all}");
        }
    }
}
