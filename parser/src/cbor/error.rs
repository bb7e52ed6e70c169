//! Why CBOR is refused, and where.

use core::fmt;

use crate::value::Excess;

/// What is wrong with a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// How many bytes stand before the item that is wrong.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong with an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The input ends in it.
    Incomplete,
    /// It follows the one item that there may be.
    Trailing,
    /// Its first byte has no meaning (RFC 8949 section 3).
    Undefined(u8),
    /// It is a tag.
    Tag(u64),
    /// It is a simple value that means nothing to us.
    Simple(u8),
    /// It is a key and not a string.
    Key,
    /// It ends something of indefinite length, where nothing of that kind is to be ended.
    Break,
    /// It is part of a string of indefinite length, and not a string of the same kind and definite length.
    Chunk,
    /// The input is longer than 2 GiB.
    TooLong,
    /// The value is nested too deep or too big.
    Excess(Excess),
}

impl From<Excess> for Fault {
    fn from(excess: Excess) -> Fault {
        Fault::Excess(excess)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.fault, self.offset)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Incomplete => f.write_str("the input ends in the middle of an item"),
            Fault::Trailing => f.write_str("something follows the item"),
            Fault::Undefined(byte) => write!(f, "no item begins with {byte:#04x}"),
            Fault::Tag(tag) => write!(f, "tag {tag} is not supported"),
            Fault::Simple(value) => write!(f, "simple value {value} is not supported"),
            Fault::Key => f.write_str("a key is not a string"),
            Fault::Break => f.write_str("there is nothing to end"),
            Fault::Chunk => f.write_str("a string has a part that is no string of its kind"),
            Fault::TooLong => f.write_str("the input is longer than 2 GiB"),
            Fault::Excess(excess) => excess.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}
