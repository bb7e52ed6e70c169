//! The header fields of a checked head, read in place.

use super::lines::split_line;
use super::syntax::{list_members, token_len, trim};
use super::{HeadError, Version};
use memchr::memchr;

/// The header fields of one head, in the order in which they came. Lookups ignore the case of names.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// Checked field lines, each with its CRLF, without the empty line.
    lines: &'a [u8],
    known: KnownFields<'a>,
}

impl<'a> Fields<'a> {
    /// Checks `block`: everything behind the first line of a head.
    pub(super) fn parse(block: &'a [u8], max: usize, version: Version) -> Result<Fields<'a>, HeadError> {
        let mut known = KnownFields::default();
        let mut rest = block;
        for _ in 0..=max {
            if let [b'\r', b'\n', after @ ..] = rest {
                if !after.is_empty() {
                    return Err(HeadError::NotWhole);
                }
                known.check_framing(version)?;
                return Ok(Fields { lines: &block[..block.len() - 2], known });
            }
            let ((name, value), after) = split_field(rest)?;
            if let Some(name) = Known::of(name) {
                known.note(name, value);
            }
            rest = after;
        }
        Err(HeadError::TooManyFields)
    }

    /// All fields: name as sent, value without the white space around it.
    pub fn iter(&self) -> Iter<'a> {
        Iter { lines: self.lines }
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all fields of this name.
    pub fn all<'n>(&self, name: &'n str) -> Values<'a, 'n> {
        Values { lines: self.lines, name }
    }

    /// How many fields have this name.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// Is `token` a member of the comma-separated list that all fields of this name make up? Ignores case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|list| has_member(list, token))
    }

    /// The value of the only field of this name.
    ///
    /// # Errors
    /// There is more than one.
    pub(crate) fn only(&self, name: Known) -> Result<Option<&'a [u8]>, Repeated> {
        if self.known.repeated(name) { Err(Repeated) } else { Ok(self.known.first(name)) }
    }

    /// [`get`](Fields::get) without a search.
    pub(crate) fn first(&self, name: Known) -> Option<&'a [u8]> {
        self.known.first(name)
    }

    /// [`has_token`](Fields::has_token) without a search, as long as one field of this name holds the whole
    /// list.
    pub(crate) fn lists(&self, name: Known, token: &str) -> bool {
        match self.only(name) {
            Ok(value) => value.is_some_and(|list| has_member(list, token)),
            Err(Repeated) => self.has_token(name.as_str(), token),
        }
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterator over all fields; see [`Fields::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    lines: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = next_line(&mut self.lines)?;
        Some((core::str::from_utf8(name).unwrap_or_default(), value))
    }
}

/// Iterator over the values of one name; see [`Fields::all`].
#[derive(Debug, Clone)]
pub struct Values<'a, 'n> {
    lines: &'a [u8],
    name: &'n str,
}

impl<'a> Iterator for Values<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (name, value) = next_line(&mut self.lines)?;
            if name.eq_ignore_ascii_case(self.name.as_bytes()) {
                return Some(value);
            }
        }
    }
}

/// More than one field of a name that may come once.
pub(crate) struct Repeated;

/// The fields that decide how a message is framed, routed and upgraded: found while the lines are checked,
/// not again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Host,
    Origin,
    Upgrade,
    Connection,
    ContentLength,
    TransferEncoding,
    WebSocketKey,
    WebSocketVersion,
}

impl Known {
    const COUNT: usize = 8;

    /// Recognizes a field name, which must be a token.
    fn of(name: &[u8]) -> Option<Known> {
        match name.len() {
            4 if same(name, b"host") => Some(Known::Host),
            6 if same(name, b"origin") => Some(Known::Origin),
            7 if same(name, b"upgrade") => Some(Known::Upgrade),
            10 if same(name, b"connection") => Some(Known::Connection),
            14 if same(name, b"content-length") => Some(Known::ContentLength),
            17 if same(name, b"transfer-encoding") => Some(Known::TransferEncoding),
            17 if same(name, b"sec-websocket-key") => Some(Known::WebSocketKey),
            21 if same(name, b"sec-websocket-version") => Some(Known::WebSocketVersion),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Known::Host => "host",
            Known::Origin => "origin",
            Known::Upgrade => "upgrade",
            Known::Connection => "connection",
            Known::ContentLength => "content-length",
            Known::TransferEncoding => "transfer-encoding",
            Known::WebSocketKey => "sec-websocket-key",
            Known::WebSocketVersion => "sec-websocket-version",
        }
    }
}

/// Compares a token with a lower-case name of letters and hyphens. Among the bytes of tokens, setting bit 5
/// makes nothing equal to those but letters that differ in case.
fn same<const N: usize>(token: &[u8], name: &[u8; N]) -> bool {
    let Ok(token) = <&[u8; N]>::try_from(token) else { return false };
    token.iter().zip(name).fold(0, |difference, (t, n)| difference | ((t | 0x20) ^ n)) == 0
}

/// The first value of each [`Known`] field, and which came again.
#[derive(Debug, Clone, Copy, Default)]
struct KnownFields<'a> {
    first: [Option<&'a [u8]>; Known::COUNT],
    repeated: u8,
}

impl<'a> KnownFields<'a> {
    fn note(&mut self, name: Known, value: &'a [u8]) {
        match &mut self.first[name as usize] {
            first @ None => *first = Some(value),
            Some(_) => self.repeated |= 1 << name as u8,
        }
    }

    fn first(&self, name: Known) -> Option<&'a [u8]> {
        self.first[name as usize]
    }

    fn repeated(&self, name: Known) -> bool {
        self.repeated & (1 << name as u8) != 0
    }

    /// RFC 9112, 6: the length of the body must be beyond doubt, or two readers disagree where the next
    /// message starts.
    fn check_framing(&self, version: Version) -> Result<(), HeadError> {
        if self.repeated(Known::ContentLength) {
            return Err(HeadError::ContentLengthTwice);
        }
        let length = self.first(Known::ContentLength);
        if length.is_some_and(|length| parse_length(length).is_none()) {
            return Err(HeadError::ContentLength);
        }
        let Some(encoding) = self.first(Known::TransferEncoding) else { return Ok(()) };
        if length.is_some() {
            return Err(HeadError::LengthWithEncoding);
        }
        // Without `chunked` as the last coding the body would have no end; with it twice no one knows what to
        // undo.
        let mut chunked = list_members(encoding).map(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        let only_last = chunked.any(|chunked| chunked) && chunked.next().is_none();
        if version == Version::Http10 || self.repeated(Known::TransferEncoding) || !only_last {
            return Err(HeadError::TransferEncoding);
        }
        Ok(())
    }
}

fn has_member(list: &[u8], token: &str) -> bool {
    let is_it = |member: &[u8]| member.eq_ignore_ascii_case(token.as_bytes());
    // Nearly always the list is that one member.
    (!list.is_empty() && is_it(list)) || list_members(list).any(is_it)
}

/// A whole number in decimal digits and nothing else (RFC 9110, 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |n, &b| {
        if !b.is_ascii_digit() {
            return None;
        }
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// Name and trimmed value of a field line.
type Field<'a> = (&'a [u8], &'a [u8]);

/// Checks the field line at the start of `rest` and splits it off; also returns what follows it.
fn split_field(rest: &[u8]) -> Result<(Field<'_>, &[u8]), HeadError> {
    let colon = token_len(rest);
    match rest.get(colon) {
        Some(b':') if colon > 0 => {}
        Some(b' ' | b'\t') if colon == 0 => return Err(HeadError::Fold),
        Some(b' ' | b'\t') => return Err(HeadError::SpaceBeforeColon),
        Some(_) => return Err(HeadError::FieldName),
        None => return Err(HeadError::NotWhole),
    }
    let (name, rest) = (&rest[..colon], &rest[colon + 1..]);
    // One space before the value is the rule; `trim` is for the exceptions.
    let (value, after) = split_line(rest.strip_prefix(b" ").unwrap_or(rest))?;
    Ok(((name, trim(value)), after))
}

/// Takes one line off checked lines.
fn next_line<'a>(lines: &mut &'a [u8]) -> Option<Field<'a>> {
    let colon = memchr(b':', lines)?;
    let end = memchr(b'\r', lines)?;
    let (line, after) = lines.split_at_checked(end + 2)?;
    *lines = after;
    let value = &line[colon + 1..end];
    Some((&line[..colon], trim(value.strip_prefix(b" ").unwrap_or(value))))
}
