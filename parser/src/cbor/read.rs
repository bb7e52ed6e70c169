//! The reader: one item after the other, straight into the tree.

use alloc::vec::Vec;

use super::{DecodeError, Fault};
use crate::value::{Builder, Entry, Limits, Slot, Text, Tree};

/// Says nothing but that this is CBOR.
const SELF_DESCRIBED: u64 = 55799;
const BREAK: u8 = 0xff;

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Tree, DecodeError> {
    let begin = |fault| DecodeError { offset: 0, fault };
    if bytes.len() > Builder::LONGEST {
        return Err(begin(Fault::TooLong));
    }
    let builder = Builder::new(bytes, limits).map_err(|excess| begin(excess.into()))?;
    let mut reader = Reader { bytes, at: 0, builder };
    let root = reader.item(limits.depth)?;
    if reader.at < bytes.len() {
        return Err(DecodeError { offset: reader.at, fault: Fault::Trailing });
    }
    reader.builder.finish(root).map_err(|excess| begin(excess.into()))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    builder: Builder,
}

impl Reader<'_> {
    /// One item, in which there may be so many levels.
    fn item(&mut self, levels: usize) -> Result<Slot, DecodeError> {
        let mut start = self.at;
        let mut initial = self.byte(start)?;
        while initial >> 5 == 6 {
            let tag = self.argument(start, initial)?;
            if tag != SELF_DESCRIBED {
                return self.wrong(start, Fault::Tag(tag));
            }
            start = self.at;
            initial = self.byte(start)?;
        }
        match initial >> 5 {
            0 => {
                let value = self.argument(start, initial)?;
                Ok(i64::try_from(value).map_or(Slot::UInt(value), Slot::Int))
            }
            1 => {
                let value = self.argument(start, initial)?;
                Ok(i64::try_from(value)
                    .map_or(Slot::Float(-1.0 - value as f64), |value| Slot::Int(-1 - value)))
            }
            2 | 3 => self.text(start, initial).map(Slot::Text),
            4 => self.array(start, initial, levels),
            5 => self.map(start, initial, levels),
            _ => self.simple(start, initial),
        }
    }

    fn array(&mut self, start: usize, initial: u8, levels: usize) -> Result<Slot, DecodeError> {
        let levels = self.builder.descend(levels).map_err(excess(start))?;
        let expected = self.length(start, initial, 1)?;
        let mut items = Vec::new();
        while !self.is_end(start, expected, items.len())? {
            self.builder.extend(&mut items, expected.unwrap_or(usize::MAX)).map_err(excess(start))?;
            let item = self.item(levels)?;
            items.push(item);
        }
        self.builder.array(items).map_err(excess(start))
    }

    fn map(&mut self, start: usize, initial: u8, levels: usize) -> Result<Slot, DecodeError> {
        let levels = self.builder.descend(levels).map_err(excess(start))?;
        let expected = self.length(start, initial, 2)?;
        let mut entries: Vec<Entry> = Vec::new();
        while !self.is_end(start, expected, entries.len())? {
            self.builder.extend(&mut entries, expected.unwrap_or(usize::MAX)).map_err(excess(start))?;
            let key_start = self.at;
            let initial = self.byte(key_start)?;
            if !matches!(initial >> 5, 2 | 3) {
                return self.wrong(key_start, Fault::Key);
            }
            let key = self.text(key_start, initial)?;
            let value = self.item(levels)?;
            entries.push((key, value));
        }
        self.builder.object(entries).map_err(excess(start))
    }

    /// How many members a container has; `None`: that is shown by its end. Each takes so many bytes at least.
    fn length(&mut self, start: usize, initial: u8, bytes: usize) -> Result<Option<usize>, DecodeError> {
        if initial & 31 == 31 {
            return Ok(None);
        }
        let length = self.argument(start, initial)?;
        match usize::try_from(length) {
            Ok(length) if length <= (self.bytes.len() - self.at) / bytes => Ok(Some(length)),
            _ => self.wrong(start, Fault::Incomplete),
        }
    }

    /// Whether the container has all its members.
    #[inline]
    fn is_end(&mut self, start: usize, expected: Option<usize>, len: usize) -> Result<bool, DecodeError> {
        match expected {
            Some(expected) => Ok(len == expected),
            None => match self.bytes.get(self.at) {
                Some(&BREAK) => {
                    self.at += 1;
                    Ok(true)
                }
                Some(_) => Ok(false),
                None => self.wrong(start, Fault::Incomplete),
            },
        }
    }

    fn text(&mut self, start: usize, initial: u8) -> Result<Text, DecodeError> {
        if initial & 31 == 31 {
            return self.chunks(start, initial);
        }
        let (start, len) = self.piece(start, initial)?;
        Ok(Text::in_source(start, len))
    }

    /// Where the bytes of a string of definite length are.
    fn piece(&mut self, start: usize, initial: u8) -> Result<(usize, usize), DecodeError> {
        let length = self.argument(start, initial)?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() - self.at => {
                let from = self.at;
                self.at += length;
                Ok((from, length))
            }
            _ => self.wrong(start, Fault::Incomplete),
        }
    }

    /// A string of indefinite length (section 3.2.3).
    fn chunks(&mut self, start: usize, initial: u8) -> Result<Text, DecodeError> {
        let mut text = Vec::new();
        loop {
            let chunk_start = self.at;
            let Some(&chunk) = self.bytes.get(chunk_start) else {
                return self.wrong(start, Fault::Incomplete);
            };
            self.at += 1;
            if chunk == BREAK {
                return self.builder.own(&text).map_err(excess(start));
            }
            if chunk >> 5 != initial >> 5 || chunk & 31 == 31 {
                return self.wrong(chunk_start, Fault::Chunk);
            }
            let (from, len) = self.piece(chunk_start, chunk)?;
            text.extend_from_slice(&self.bytes[from..from + len]);
        }
    }

    /// Section 3.3.
    fn simple(&mut self, start: usize, initial: u8) -> Result<Slot, DecodeError> {
        Ok(match initial & 31 {
            20 => Slot::Bool(false),
            21 => Slot::Bool(true),
            22 | 23 => Slot::Null,
            24 => {
                let value = self.byte(start)?;
                // Those below have a shorter form, which is the only one.
                let fault = if value < 32 { Fault::Undefined(initial) } else { Fault::Simple(value) };
                return self.wrong(start, fault);
            }
            25 => Slot::Float(half(u16::from_be_bytes(self.take(start)?))),
            26 => Slot::Float(f32::from_be_bytes(self.take(start)?).into()),
            27 => Slot::Float(f64::from_be_bytes(self.take(start)?)),
            31 => return self.wrong(start, Fault::Break),
            28..31 => return self.wrong(start, Fault::Undefined(initial)),
            value => return self.wrong(start, Fault::Simple(value)),
        })
    }

    /// The number in the head of an item (section 3).
    #[inline]
    fn argument(&mut self, start: usize, initial: u8) -> Result<u64, DecodeError> {
        Ok(match initial & 31 {
            value @ 0..24 => value.into(),
            24 => self.byte(start)?.into(),
            25 => u16::from_be_bytes(self.take(start)?).into(),
            26 => u32::from_be_bytes(self.take(start)?).into(),
            27 => u64::from_be_bytes(self.take(start)?),
            _ => return self.wrong(start, Fault::Undefined(initial)),
        })
    }

    #[inline]
    fn byte(&mut self, start: usize) -> Result<u8, DecodeError> {
        let [byte] = self.take(start)?;
        Ok(byte)
    }

    #[inline]
    fn take<const N: usize>(&mut self, start: usize) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.wrong(start, Fault::Incomplete),
        }
    }

    #[cold]
    fn wrong<T>(&self, offset: usize, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError { offset, fault })
    }
}

fn excess(offset: usize) -> impl Fn(crate::value::Excess) -> DecodeError {
    move |excess| DecodeError { offset, fault: excess.into() }
}

/// A float of 16 bits (appendix D).
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (bits >> 10 & 31, u64::from(bits & 0x3ff));
    let value = match exponent {
        // 2^-24 each.
        0 => mantissa as f64 / 16_777_216.0,
        31 => f64::from_bits(0x7ff << 52 | mantissa << 42),
        _ => f64::from_bits((u64::from(exponent) + 1023 - 15) << 52 | mantissa << 42),
    };
    if bits >> 15 == 1 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn halves() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0x3e00, 1.5),
            (0x7bff, 65504.0),
            (0x0001, 5.960464477539063e-8),
            (0x0400, 6.103515625e-5),
            (0xc400, -4.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
