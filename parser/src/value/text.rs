//! One text of a tree: a place in the document that it came in, or bytes of its own.

use alloc::boxed::Box;

/// One text. Its bytes are found only together with the tree's source.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Source { start: u32, len: u32 },
    Own(Box<[u8]>),
}

impl Text {
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Text::Source { start, len } => &source[*start as usize..][..*len as usize],
            Text::Own(bytes) => bytes,
        }
    }
}

impl Default for Text {
    /// No bytes.
    fn default() -> Text {
        Text::Source { start: 0, len: 0 }
    }
}
