//! One framing case: what a client sends, and what has to come back.

use crate::common::client::{Client, Got, MASK};

/// What comes back. The reason of a close frame is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame with this code, 0 for none, and then FIN. The last that is expected.
    Close(u16),
}

/// One case, for a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) section: &'static str,
    pub(crate) name: String,
    /// The service, without the ending of its placement.
    pub(crate) service: &'static str,
    /// Bytes by the write calls that send them.
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) expected: Vec<Expect>,
}

impl Case {
    /// A case that is sent at once, to the echo service.
    pub(crate) fn new(
        section: &'static str,
        name: impl Into<String>,
        bytes: Vec<u8>,
        expected: Vec<Expect>,
    ) -> Case {
        Case { section, name: name.into(), service: "echo", segments: vec![bytes], expected }
    }

    /// The same, sent in these segments.
    pub(crate) fn segments(mut self, segments: Vec<Vec<u8>>) -> Case {
        self.segments = segments;
        self
    }

    /// The same, for this service.
    pub(crate) fn service(mut self, service: &'static str) -> Case {
        self.service = service;
        self
    }

    /// The same with a segment for each byte; `None` if those are too many.
    pub(crate) fn byte_by_byte(&self) -> Option<Case> {
        let bytes = self.segments.concat();
        if bytes.len() > 2000 {
            return None;
        }
        let segments = bytes.iter().map(|&byte| vec![byte]).collect();
        Some(self.clone().segments(segments))
    }

    /// Section and name, for messages.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.section, self.name)
    }

    /// Runs the case. In `order` all that is expected comes in this order; else pongs may overtake messages, as they do where
    /// an instance on another thread answers.
    pub(crate) fn check(&self, client: &mut Client, order: bool) {
        for segment in &self.segments {
            if client.try_write(segment).is_err() {
                // The server has closed; what it said is still to be read.
                break;
            }
        }
        let closes = matches!(self.expected.last(), Some(Expect::Close(_)));
        let mut got: Vec<Expect> = Vec::new();
        let mut expected = self.expected.clone();
        if !closes {
            // Whoever is still served answers this, after all that came before.
            client.write(&[frame(0x89, b"end?"), frame(0x82, b"end?")].concat());
            expected.push(Expect::Pong(b"end?".into()));
            expected.push(Expect::Binary(b"end?".into()));
        }
        while got.len() < expected.len() {
            got.push(match client.get() {
                Got::Text(text) => Expect::Text(text.into_bytes()),
                Got::Binary(bytes) => Expect::Binary(bytes),
                Got::Pong(bytes) => Expect::Pong(bytes),
                Got::Close(code, _) => Expect::Close(code),
                other => panic!("{other:?} after {}", told(&got)),
            });
        }
        if closes {
            assert_eq!(client.get(), Got::Eof, "after {}", told(&got));
        }
        if !order {
            let pongs_first = |all: &mut Vec<Expect>| all.sort_by_key(|one| !matches!(one, Expect::Pong(_)));
            pongs_first(&mut got);
            pongs_first(&mut expected);
        }
        assert!(got == expected, "got {}, expected {}", told(&got), told(&expected));
    }
}

/// Short words for what came.
fn told(all: &[Expect]) -> String {
    let short = |kind: &str, bytes: &[u8]| {
        let start = bytes[..bytes.len().min(24)].escape_ascii();
        format!("{kind} of {} \"{start}\"", bytes.len())
    };
    let words: Vec<String> = all
        .iter()
        .map(|one| match one {
            Expect::Text(bytes) => short("text", bytes),
            Expect::Binary(bytes) => short("binary", bytes),
            Expect::Pong(bytes) => short("pong", bytes),
            Expect::Close(code) => format!("close {code}"),
        })
        .collect();
    format!("[{}]", words.join(", "))
}

/// Bytes 2 and further of a frame's header: the mask bit and the length in this form.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Seven,
    Sixteen,
    SixtyFour,
}

/// The shortest form of a length (RFC 6455 5.2).
pub(crate) fn shortest(len: usize) -> Form {
    match len {
        0..=125 => Form::Seven,
        126..=65_535 => Form::Sixteen,
        _ => Form::SixtyFour,
    }
}

/// A header up to its key, for a masked frame.
pub(crate) fn header(first: u8, form: Form, len: u64) -> Vec<u8> {
    match form {
        Form::Seven => vec![first, 0x80 | len as u8],
        Form::Sixteen => [&[first, 0x80 | 126][..], &(len as u16).to_be_bytes()].concat(),
        Form::SixtyFour => [&[first, 0x80 | 127][..], &len.to_be_bytes()].concat(),
    }
}

/// A masked frame with this first byte and key.
pub(crate) fn keyed(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut bytes = header(first, shortest(payload.len()), payload.len() as u64);
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A masked frame with this first byte: FIN, RSV bits, opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    keyed(first, payload, MASK)
}

/// The beginning of a masked frame that announces `len` bytes and brings only `payload`.
pub(crate) fn unfinished(first: u8, len: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, shortest(len), len as u64);
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A frame without a mask.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, shortest(payload.len()), payload.len() as u64);
    bytes[1] &= 0x7f;
    bytes.extend_from_slice(payload);
    bytes
}

/// A message in fragments: `first` is the opcode.
pub(crate) fn fragments(opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    parts
        .iter()
        .enumerate()
        .flat_map(|(nth, part)| {
            let fin = if nth == last { 0x80 } else { 0 };
            frame(fin | if nth == 0 { opcode } else { 0 }, part)
        })
        .collect()
}
