//! The reader: what `serde_json` finds goes straight into the tree.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::DecodeError;
use crate::value::{Builder, Entry, Excess, Limits, Slot, Text, Tree};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Tree, DecodeError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.len() > Builder::LONGEST {
        return Err(DecodeError::nowhere("the input is longer than 2 GiB", None));
    }
    let text = simdutf8::compat::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let mut builder =
        Builder::new(bytes, limits).map_err(|excess| DecodeError::nowhere(excess, Some(excess)))?;
    let mut source = serde_json::Deserializer::from_str(text);
    // The seed counts the levels, as `limits` has them.
    source.disable_recursion_limit();
    let seed = Seed { builder: &mut builder, start: bytes.as_ptr().addr(), levels: limits.depth };
    let root = seed.deserialize(&mut source).and_then(|root| source.end().map(|()| root));
    match root {
        Ok(root) => builder.finish(root).map_err(|excess| DecodeError::nowhere(excess, Some(excess))),
        Err(error) => Err(translated(&error, builder.excess())),
    }
}

fn not_utf8(bytes: &[u8], at: usize) -> DecodeError {
    let before = &bytes[..at];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    DecodeError {
        line: 1 + memchr::memchr_iter(b'\n', before).count(),
        column: at - line_start + 1,
        message: String::from("a byte that is not UTF-8"),
        excess: None,
    }
}

fn translated(error: &serde_json::Error, excess: Option<Excess>) -> DecodeError {
    let (line, column) = (error.line(), error.column());
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ").filter(|_| line > 0) {
        message.truncate(end);
    }
    DecodeError { line, column, message, excess }
}

/// Takes one value.
struct Seed<'a> {
    builder: &'a mut Builder,
    /// The address of the document.
    start: usize,
    /// So many there may be in it.
    levels: usize,
}

impl Seed<'_> {
    /// One for a member.
    fn inner(&mut self, levels: usize) -> Seed<'_> {
        Seed { builder: self.builder, start: self.start, levels }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Slot, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Slot, E> {
        Ok(Slot::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Slot, E> {
        Ok(Slot::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Slot, E> {
        Ok(Slot::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Slot, E> {
        Ok(i64::try_from(value).map_or(Slot::UInt(value), Slot::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Slot, E> {
        Ok(Slot::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Slot, E> {
        Ok(Slot::Text(borrowed(self.start, text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Slot, E> {
        self.builder.own(text.as_bytes()).map(Slot::Text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut source: A) -> Result<Slot, A::Error> {
        let levels = self.builder.descend(self.levels).map_err(A::Error::custom)?;
        let mut items = Vec::new();
        while let Some(item) = source.next_element_seed(self.inner(levels))? {
            self.builder.extend(&mut items, usize::MAX).map_err(A::Error::custom)?;
            items.push(item);
        }
        self.builder.array(items).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut source: A) -> Result<Slot, A::Error> {
        let levels = self.builder.descend(self.levels).map_err(A::Error::custom)?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = source.next_key_seed(Key(self.inner(levels)))? {
            self.builder.extend(&mut entries, usize::MAX).map_err(A::Error::custom)?;
            let value = source.next_value_seed(self.inner(levels))?;
            entries.push((key, value));
        }
        self.builder.object(entries).map_err(A::Error::custom)
    }
}

/// Takes one key.
struct Key<'a>(Seed<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Text;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Text, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text, E> {
        Ok(borrowed(self.0.start, text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        self.0.builder.own(text.as_bytes()).map_err(E::custom)
    }
}

/// Where in the document a piece of it stands.
fn borrowed(document: usize, text: &str) -> Text {
    Text::in_source(text.as_ptr().addr() - document, text.len())
}
