//! The texts of a tree: those that have come with its document, and those that were added since.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where a text is. Its bytes are found only together with the tree's [`Texts`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text {
    start: u32,
    /// With `OWN` if it was added.
    len: u32,
}

const OWN: u32 = 1 << 31;

/// The bytes of all texts of one tree.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    source: Arc<[u8]>,
    /// What was added, one behind the other.
    own: Vec<u8>,
    /// How many of these bytes belong to texts that are gone.
    lost: usize,
}

impl Text {
    /// One text has fewer bytes.
    pub(crate) const LONGEST: usize = OWN as usize;

    /// A text in the document.
    #[inline]
    pub(crate) fn in_source(start: usize, len: usize) -> Text {
        debug_assert!(start + len < Text::LONGEST);
        Text { start: start as u32, len: len as u32 }
    }

    #[inline]
    pub(crate) fn bytes(self, texts: &Texts) -> &[u8] {
        let all = if self.is_own() { &texts.own[..] } else { &texts.source[..] };
        &all[self.start as usize..][..self.len()]
    }

    #[inline]
    fn is_own(self) -> bool {
        self.len & OWN != 0
    }

    #[inline]
    fn len(self) -> usize {
        (self.len & !OWN) as usize
    }
}

impl Texts {
    pub(crate) fn new(source: Arc<[u8]>) -> Texts {
        Texts { source, own: Vec::new(), lost: 0 }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.source.len() + self.own.capacity()
    }

    /// Adds a text.
    ///
    /// # Panics
    /// The texts of one tree have 4 GiB.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Text {
        let text = self.next(bytes.len());
        if self.own.capacity() == 0 {
            self.own.reserve(FIRST);
        }
        self.own.extend_from_slice(bytes);
        text
    }

    /// A text of these or of another tree's, which is gone when this one is not: added if it is not in the document of both.
    pub(crate) fn adopt(&mut self, text: Text, from: Option<&Texts>) -> Text {
        match from {
            Some(from) if text.is_own() || !Arc::ptr_eq(&from.source, &self.source) => {
                self.add(text.bytes(from))
            }
            None if text.is_own() => {
                let copy = self.next(text.len());
                let start = text.start as usize;
                self.own.extend_from_within(start..start + text.len());
                copy
            }
            _ => text,
        }
    }

    /// A text is gone.
    #[inline]
    pub(crate) fn forget(&mut self, text: Text) {
        if text.is_own() {
            self.lost += text.len();
        }
    }

    /// Whether so much is lost that it is worth going through a tree of so many bytes.
    #[inline]
    pub(crate) fn is_wasteful(&self, heap: usize) -> bool {
        self.lost > WASTE && self.lost > self.own.len() / 2 && self.lost > heap / 8
    }

    /// Begins to move the texts together: each that is still there is to be given to what this returns.
    pub(crate) fn gather(&mut self) -> impl FnMut(&mut Text) + '_ {
        let old = core::mem::take(&mut self.own);
        self.own.reserve_exact(old.len() - self.lost);
        self.lost = 0;
        move |text| {
            if text.is_own() {
                let bytes = &old[text.start as usize..][..text.len()];
                *text = self.add(bytes);
            }
        }
    }

    fn next(&self, len: usize) -> Text {
        assert!(len < Text::LONGEST, "a text of less than 2 GiB");
        let start = u32::try_from(self.own.len()).expect("texts of less than 4 GiB");
        Text { start, len: len as u32 | OWN }
    }
}

/// Room for the first few texts.
const FIRST: usize = 64;
/// Less is not worth it.
const WASTE: usize = 1024;
