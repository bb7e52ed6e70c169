//! Where a head ends: remembers what it has looked at, so that a head in many pieces costs no more than one in one piece.

use super::{HeadError, HeadLimits};
use memchr::memchr2;

/// Room in a request line beside the target: method, two spaces, version and line end.
const BESIDE_TARGET: usize = 64;

/// The search for the end of one head. Make a new one for each head.
#[derive(Debug, Clone, Default)]
pub struct HeadScan {
    /// Bytes before this one hold no line end that was not looked at.
    seen: usize,
    /// Where the current line starts; never behind `seen`.
    line: usize,
    /// The first line that is not empty has ended.
    started: bool,
}

impl HeadScan {
    /// A scan that has seen nothing.
    pub const fn new() -> HeadScan {
        HeadScan { seen: 0, line: 0, started: false }
    }

    /// Looks for the end of the head in `bytes`, which are all bytes received so far, from the first one on.
    ///
    /// `Some(n)`: the head is `bytes[..n]`, its empty line included. Empty lines before the first line are skipped but
    /// count (RFC 9112, 2.2). `None`: more bytes are needed.
    ///
    /// # Errors
    /// At the first byte that makes the head unacceptable whatever follows: a bare LF, a NUL, a first line that holds
    /// more than a target of the limit can need (414), or no end within the limit of the head (431).
    pub fn find_end(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        loop {
            let (bound, breach) = self.bound(limits);
            let window = bytes.get(self.seen..bytes.len().min(bound)).unwrap_or_default();
            let Some(offset) = memchr2(b'\n', 0, window) else {
                self.seen += window.len();
                return if self.seen < bound { Ok(None) } else { Err(breach) };
            };
            let at = self.seen + offset;
            if bytes[at] == 0 {
                return Err(HeadError::Nul);
            }
            let content = match bytes[self.line..at] {
                [ref content @ .., b'\r'] => content,
                _ => return Err(HeadError::BareLf),
            };
            if content.is_empty() && self.started {
                return Ok(Some(at + 1));
            }
            self.started |= !content.is_empty();
            self.line = at + 1;
            self.seen = at + 1;
        }
    }

    /// The end of the current line must lie before this offset, and the error if it does not.
    fn bound(&self, limits: &HeadLimits) -> (usize, HeadError) {
        let line = self.line.saturating_add(limits.target).saturating_add(BESIDE_TARGET);
        if !self.started && line < limits.head {
            (line, HeadError::TargetTooLong)
        } else {
            (limits.head, HeadError::HeadTooLong)
        }
    }
}
