//! The small grammar that heads are made of: tokens, field values, lists, hosts.

use core::net::Ipv6Addr;

/// Is this a token (RFC 9110, 5.6.2): the form of field names, methods and subprotocols?
pub fn is_token(text: &str) -> bool {
    is_token_bytes(text.as_bytes())
}

/// May this be written as a field value (RFC 9110, 5.5): no control bytes but tabs, no white space at its
/// ends?
pub fn is_field_value(value: &[u8]) -> bool {
    !value.iter().any(|&b| is_control(b)) && trim(value).len() == value.len()
}

/// Is this a host with an optional port (RFC 9110, 7.2): a name, an IPv4 address or an IPv6 address in
/// brackets? The empty host of a `Host` without authority is not one.
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&b| b == b']') else { return false };
            if !is_ip_literal(&rest[..end]) {
                return false;
            }
            (&rest[..end], &rest[end + 1..])
        }
        _ => value.split_at(reg_name_len(value)),
    };
    !host.is_empty() && is_port_suffix(port)
}

/// Is this a token, as bytes?
pub(super) fn is_token_bytes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
}

/// Is this a control byte that may not stand in a line? All but the tab are.
pub(super) const fn is_control(b: u8) -> bool {
    ((b < 0x20) & (b != b'\t')) | (b == 0x7f)
}

/// How many bytes at the start of `bytes` are token characters.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| !TOKEN[usize::from(b)]).unwrap_or(bytes.len())
}

/// `bytes` without spaces and tabs at its ends (OWS; RFC 9110, 5.6.3).
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => trim_ends(bytes),
        _ => bytes,
    }
}

#[cold]
fn trim_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, without the empty ones (RFC 9110, 5.6.1.2).
pub(crate) fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// What stands between the brackets (RFC 3986, 3.2.2): an IPv6 address, or `v`, hex digits, a dot and a later
/// form.
fn is_ip_literal(inner: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = inner {
        let Some(dot) = future.iter().position(|&b| b == b'.') else { return false };
        let (version, address) = (&future[..dot], &future[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|&b| b == b':' || REG_NAME[usize::from(b)]);
    }
    core::str::from_utf8(inner).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// How many bytes at the start of `bytes` make up a registered name or an IPv4 address (RFC 3986, 3.2.2).
fn reg_name_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    loop {
        match bytes[len..] {
            [b, ..] if REG_NAME[usize::from(b)] => len += 1,
            [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => len += 3,
            _ => return len,
        }
    }
}

/// Nothing, or a colon and a port number, which may be missing (RFC 3986, 3.2.3).
fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b':', digits @ ..] => {
            digits.iter().all(u8::is_ascii_digit)
                && digits.iter().fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0')))
                    <= 65_535
        }
        _ => false,
    }
}

/// tchar (RFC 9110, 5.6.2).
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// unreserved / sub-delims (RFC 3986, 2.2 and 2.3).
const REG_NAME: [bool; 256] = table(b"-._~!$&'()*+,;=");

/// The letters, the digits and `others`.
const fn table(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
}
