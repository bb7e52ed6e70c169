//! Where a head ends: remembers what it has looked at, so that a head in many pieces costs no more than one
//! in one piece.

use super::{HeadError, HeadLimits};
use memchr::memchr2;

/// Room in a request line beside the target: method, two spaces, version and line end.
const BESIDE_TARGET: usize = 64;

/// The search for the end of one head. Make a new one for each head.
#[derive(Debug, Clone, Default)]
pub struct HeadScan {
    /// Every byte before this one has been looked at.
    seen: usize,
    /// Where the first line starts, once the empty lines before it are known. Never behind `seen`.
    start: usize,
    /// The first line has ended: at least three bytes have been seen.
    started: bool,
}

impl HeadScan {
    /// A scan that has seen nothing.
    pub const fn new() -> HeadScan {
        HeadScan { seen: 0, start: 0, started: false }
    }

    /// Looks for the end of the head in `bytes`, which are all bytes received so far, from the first one on.
    ///
    /// `Some(n)`: the head is `bytes[..n]`, its empty line included. Empty lines before the first line are
    /// skipped but count (RFC 9112, 2.2). `None`: more bytes are needed.
    ///
    /// # Errors
    /// At the first byte that makes the head unacceptable whatever follows: a bare LF, a NUL, a first line
    /// that holds more than a target of the limit can need (414), or no end within the limit of the head
    /// (431).
    pub fn find_end(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        while !self.started {
            if !self.eat_line(bytes, limits)? {
                return Ok(None);
            }
        }
        let window = &bytes[..bytes.len().min(limits.head)];
        match first_event(window, self.seen) {
            Some(at) => match window[at - 2..=at] {
                [.., 0] => Err(HeadError::Nul),
                [b'\n', b'\r', _] => Ok(Some(at + 1)),
                _ => Err(HeadError::BareLf),
            },
            None if bytes.len() < limits.head => {
                self.seen = bytes.len();
                Ok(None)
            }
            None => Err(HeadError::HeadTooLong),
        }
    }

    /// Goes over one line, empty or the first one. `false`: it does not end in `bytes`.
    fn eat_line(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<bool, HeadError> {
        let line = self.start.saturating_add(limits.target).saturating_add(BESIDE_TARGET);
        let (bound, breach) = if line < limits.head {
            (line, HeadError::TargetTooLong)
        } else {
            (limits.head, HeadError::HeadTooLong)
        };
        let window = &bytes[..bytes.len().min(bound)];
        let fresh = window.get(self.seen..).unwrap_or_default();
        let Some(at) = memchr2(b'\n', 0, fresh).map(|n| self.seen + n) else {
            self.seen = window.len();
            return if bytes.len() < bound { Ok(false) } else { Err(breach) };
        };
        if window[at] == 0 {
            return Err(HeadError::Nul);
        }
        let [content @ .., b'\r'] = &window[self.start..at] else { return Err(HeadError::BareLf) };
        if content.is_empty() {
            self.start = at + 1;
        } else {
            self.started = true;
        }
        self.seen = at + 1;
        Ok(true)
    }
}

/// Offset, not before `from`, of the first NUL, LF without CR, or LF that ends an empty line. Looks back two
/// bytes.
///
/// Sixteen bytes at a time and without a branch for each, so that it becomes vector code: line by line, half
/// of the time goes into the guess where a line ends.
fn first_event(bytes: &[u8], from: usize) -> Option<usize> {
    let is_event = |b: u8, before: u8, before_that: u8| {
        (b == 0) | ((b == b'\n') & ((before != b'\r') | (before_that == b'\n')))
    };
    let len = bytes.len();
    if len <= from {
        return None;
    }
    let (last, _) = bytes[from..].as_chunks::<16>();
    let (middle, _) = bytes[from - 1..len - 1].as_chunks::<16>();
    let (first, _) = bytes[from - 2..len - 2].as_chunks::<16>();
    let quiet = last.iter().zip(middle).zip(first).take_while(|((last, middle), first)| {
        let mut any = false;
        for i in 0..16 {
            any |= is_event(last[i], middle[i], first[i]);
        }
        !any
    });
    let at = from + 16 * quiet.count();
    (at..len).find(|&at| is_event(bytes[at], bytes[at - 1], bytes[at - 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same without a memory, one byte after the other.
    fn naive(bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let mut line = 0;
        let mut first_line = None;
        for at in 0.. {
            let line_bound = line + limits.target + BESIDE_TARGET;
            if first_line.is_none() && line_bound < limits.head && at == line_bound {
                return Err(HeadError::TargetTooLong);
            }
            if at == limits.head {
                return Err(HeadError::HeadTooLong);
            }
            match bytes.get(at) {
                None => return Ok(None),
                Some(0) => return Err(HeadError::Nul),
                Some(b'\n') if at == line || bytes[at - 1] != b'\r' => return Err(HeadError::BareLf),
                Some(b'\n') => {
                    let empty = at - line == 1;
                    if empty && first_line.is_some() {
                        return Ok(Some(at + 1));
                    }
                    if !empty {
                        first_line = Some(line);
                    }
                    line = at + 1;
                }
                Some(_) => {}
            }
        }
        unreachable!("the head limit ends the loop")
    }

    #[test]
    fn looks_at_no_byte_twice() {
        let head =
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n";
        let mut scan = HeadScan::new();
        for n in 0..head.len() {
            assert_eq!(scan.find_end(&head[..n], &HeadLimits::default()), Ok(None));
            assert_eq!(scan.seen, n, "the next call starts where this one ended");
        }
        assert_eq!(scan.find_end(head, &HeadLimits::default()), Ok(Some(head.len())));
        assert_eq!(scan.find_end(head, &HeadLimits::default()), Ok(Some(head.len())), "asked again");
    }

    #[test]
    fn fewer_bytes_than_before_are_no_panic() {
        for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n"[..], b"GET / HT", b"\r\n\r\n"] {
            let mut scan = HeadScan::new();
            assert_eq!(scan.find_end(bytes, &HeadLimits::default()), Ok(None));
            for n in (0..bytes.len()).rev() {
                assert_eq!(scan.clone().find_end(&bytes[..n], &HeadLimits::default()), Ok(None));
                let smaller = HeadLimits { head: n, ..HeadLimits::default() };
                assert_eq!(scan.clone().find_end(bytes, &smaller), Err(HeadError::HeadTooLong));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn equals_the_naive_scan(
            bytes in prop::collection::vec(
                prop_oneof![
                    4 => Just(b"\r\n".to_vec()),
                    6 => (0_usize..40).prop_map(|n| std::vec![b'x'; n]),
                    1 => prop::sample::select(&b"\r\n\0"[..]).prop_map(|b| std::vec![b]),
                ],
                0..20,
            ).prop_map(|pieces| pieces.concat()),
            head in 0_usize..400,
            target in 0_usize..60,
        ) {
            let limits = HeadLimits { head, target, ..HeadLimits::default() };
            prop_assert_eq!(HeadScan::new().find_end(&bytes, &limits), naive(&bytes, &limits));
        }
    }
}
