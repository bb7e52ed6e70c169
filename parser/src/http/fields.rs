//! The header fields of a checked head, read in place.

use super::syntax::{first_control, list_members, token_len, trim};
use super::{HeadError, Version};
use memchr::memchr;

/// The header fields of one head, in the order in which they came. Lookups ignore the case of names.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// Checked field lines, each with its CRLF, without the empty line.
    lines: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Checks everything between the first line and the end of a head, `block` ending with the empty line.
    pub(super) fn parse(
        block: &'a [u8],
        max: usize,
        version: Version,
    ) -> Result<(Fields<'a>, Seen<'a>), HeadError> {
        let mut seen = Seen::default();
        let mut rest = block;
        let mut count = 0;
        while rest != b"\r\n" {
            if count == max {
                return Err(HeadError::TooManyFields);
            }
            count += 1;
            let ((name, value), after) = field_line(rest)?;
            seen.note(name, value)?;
            rest = after;
        }
        seen.check_framing(version)?;
        Ok((Fields { lines: &block[..block.len() - 2] }, seen))
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
        self.all(name).flat_map(list_members).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// All fields, names as bytes: spares the check that they are text.
    pub(crate) fn raw(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut lines = self.lines;
        core::iter::from_fn(move || next_line(&mut lines))
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

/// The fields that decide how a message is framed and routed, noted while the lines are checked.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), HeadError> {
        let (slot, twice) = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => (&mut self.host, HeadError::HostTwice),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                (&mut self.length, HeadError::ContentLengthTwice)
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                (&mut self.encoding, HeadError::TransferEncoding)
            }
            _ => return Ok(()),
        };
        if slot.replace(value).is_some() { Err(twice) } else { Ok(()) }
    }

    /// RFC 9112, 6: the length of the body must be beyond doubt, or two readers disagree where the next message starts.
    fn check_framing(&self, version: Version) -> Result<(), HeadError> {
        if let Some(length) = self.length
            && parse_length(length).is_none()
        {
            return Err(HeadError::ContentLength);
        }
        let Some(encoding) = self.encoding else { return Ok(()) };
        if self.length.is_some() {
            return Err(HeadError::LengthWithEncoding);
        }
        let chunked_last =
            list_members(encoding).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        if version == Version::Http10 || !chunked_last {
            return Err(HeadError::TransferEncoding);
        }
        Ok(())
    }
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

/// Checks the field line at the start of `rest`; also returns what follows it.
fn field_line(rest: &[u8]) -> Result<(Field<'_>, &[u8]), HeadError> {
    let colon = token_len(rest);
    match rest.get(colon) {
        Some(b':') if colon > 0 => {}
        Some(b' ' | b'\t') if colon == 0 => return Err(HeadError::Fold),
        Some(b' ' | b'\t') => return Err(HeadError::SpaceBeforeColon),
        Some(_) => return Err(HeadError::FieldName),
        None => return Err(HeadError::NotWhole),
    }
    let (value, after) = line_end(&rest[colon + 1..])?;
    Ok(((&rest[..colon], trim(value)), after))
}

/// Splits `rest` at its first CRLF, of which everything before must be free of control bytes.
pub(super) fn line_end(rest: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    let (text, end) = rest.split_at(first_control(rest));
    match end {
        [b'\r', b'\n', after @ ..] => Ok((text, after)),
        [] | [b'\r'] => Err(HeadError::NotWhole),
        [b'\r', ..] => Err(HeadError::BareCr),
        [b'\n', ..] => Err(HeadError::BareLf),
        [0, ..] => Err(HeadError::Nul),
        _ => Err(HeadError::Control),
    }
}

/// Takes one line off checked lines.
fn next_line<'a>(lines: &mut &'a [u8]) -> Option<Field<'a>> {
    let colon = memchr(b':', lines)?;
    let end = memchr(b'\r', lines)?;
    let (line, after) = lines.split_at_checked(end + 2)?;
    *lines = after;
    Some((&line[..colon], trim(&line[colon + 1..end])))
}
