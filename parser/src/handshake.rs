//! The opening handshake of a WebSocket, both roles (RFC 6455, 4), on top of `http`.

use crate::http::{
    Fields, Known, RequestHead, ResponseHead, Version, is_token, list_members, push_encoded, push_field,
    reason,
};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use core::fmt;
use sha1::{Digest as _, Sha1};

/// What the accept key is made of beside the key (RFC 6455, 1.3).
const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` that answers `key`: base64 of the SHA-1 of key and GUID (RFC 6455, 4.2.2).
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    let written = BASE64.encode_slice(digest, &mut accept);
    debug_assert_eq!(written, Ok(28));
    accept
}

/// A request that may be answered with 101.
#[derive(Debug, Clone, Copy)]
pub struct Upgrade<'a> {
    /// The value of `Sec-WebSocket-Accept` in the answer.
    pub accept: [u8; 28],
    /// The path of the target, not decoded.
    pub path: &'a str,
    /// The query of the target, not decoded.
    pub query: Option<&'a str>,
    /// The value of the first `Origin` (browsers send exactly one).
    pub origin: Option<&'a [u8]>,
    fields: Fields<'a>,
}

impl<'a> Upgrade<'a> {
    /// The subprotocols that the client offers, most wanted first (RFC 6455, 4.1). Empty members and what is
    /// not a token are skipped.
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.fields
            .all("sec-websocket-protocol")
            .flat_map(list_members)
            .filter_map(|member| core::str::from_utf8(member).ok())
            .filter(|member| is_token(member))
    }
}

/// Why a request is not answered with 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The method is not GET.
    Method,
    /// The request announces a body, which would be taken for frames.
    Body,
    /// No `Upgrade` to `websocket` is asked for: a plain request.
    NotWebSocket,
    /// An upgrade in HTTP/1.0.
    Http10,
    /// `Connection` does not name `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Version` is not 13, exactly once.
    Version,
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes, exactly once.
    Key,
}

impl Refusal {
    /// The status of the answer: 400, 405 or 426.
    pub const fn status(self) -> u16 {
        match self {
            Refusal::Method => 405,
            Refusal::NotWebSocket | Refusal::Version => 426,
            Refusal::Body | Refusal::Http10 | Refusal::Connection | Refusal::Key => 400,
        }
    }

    /// The header fields that the answer must have beside the usual ones (RFC 9110, 15.5.6 and 15.5.22; RFC
    /// 6455, 4.4).
    pub const fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            405 => &[("Allow", "GET")],
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Method => "the method of a WebSocket handshake is GET",
            Refusal::Body => "a WebSocket handshake has no body",
            Refusal::NotWebSocket => {
                "this is a WebSocket endpoint: the request must ask for an upgrade to websocket"
            }
            Refusal::Http10 => "a WebSocket handshake needs HTTP/1.1",
            Refusal::Connection => "the Connection field does not name Upgrade",
            Refusal::Version => "Sec-WebSocket-Version must be 13, once",
            Refusal::Key => "Sec-WebSocket-Key must be the base64 of 16 bytes, once",
        })
    }
}

impl core::error::Error for Refusal {}

/// Is this request an opening handshake (RFC 6455, 4.2.1)? Extensions are not looked at: none is ever
/// accepted.
///
/// # Errors
/// The first thing that is missing, in the order of the variants of [`Refusal`].
pub fn read_upgrade<'a>(head: &RequestHead<'a>) -> Result<Upgrade<'a>, Refusal> {
    if head.method != "GET" {
        return Err(Refusal::Method);
    }
    let fields = &head.fields;
    let length = fields.first(Known::ContentLength);
    let no_length = length.is_none_or(|length| length.iter().all(|&digit| digit == b'0'));
    if !no_length || fields.first(Known::TransferEncoding).is_some() {
        return Err(Refusal::Body);
    }
    if !fields.lists(Known::Upgrade, "websocket") {
        return Err(Refusal::NotWebSocket);
    }
    if head.version < Version::Http11 {
        return Err(Refusal::Http10);
    }
    if !fields.lists(Known::Connection, "upgrade") {
        return Err(Refusal::Connection);
    }
    if !matches!(fields.only(Known::WebSocketVersion), Ok(Some(b"13"))) {
        return Err(Refusal::Version);
    }
    let key = match fields.only(Known::WebSocketKey) {
        Ok(Some(key)) if is_key(key) => key,
        _ => return Err(Refusal::Key),
    };
    Ok(Upgrade {
        accept: accept_key(key),
        path: head.path,
        query: head.query,
        origin: fields.first(Known::Origin),
        fields: head.fields,
    })
}

/// Appends the 101 that accepts `upgrade`. An empty `server` is not sent; `extra` fields that are not valid,
/// and a `protocol` that is not a token, are left out.
pub fn write_accept<'h>(
    out: &mut Vec<u8>,
    upgrade: &Upgrade<'_>,
    server: &str,
    extra: impl Iterator<Item = (&'h str, &'h str)>,
    protocol: Option<&str>,
) {
    out.extend_from_slice(b"HTTP/1.1 101 ");
    out.extend_from_slice(reason(101).as_bytes());
    out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    if !server.is_empty() {
        push_field(out, "Server", server);
    }
    for (name, value) in extra {
        push_field(out, name, value);
    }
    if let Some(protocol) = protocol
        && is_token(protocol)
    {
        push_field(out, "Sec-WebSocket-Protocol", protocol);
    }
    out.extend_from_slice(b"Sec-WebSocket-Accept: ");
    out.extend_from_slice(&upgrade.accept);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The `Sec-WebSocket-Key` made of 16 random bytes.
pub fn encode_key(random: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    let written = BASE64.encode_slice(random, &mut key);
    debug_assert_eq!(written, Ok(24));
    key
}

/// Appends a client's opening handshake (RFC 6455, 4.1). `host` is host and port as in the URI, `target` path
/// and query. Bytes that may not stand in them are percent-encoded, `extra` fields that are not valid are
/// left out.
pub fn write_request(out: &mut Vec<u8>, host: &str, target: &str, key: &[u8; 24], extra: &[(&str, &str)]) {
    out.extend_from_slice(b"GET ");
    push_encoded(out, if target.is_empty() { "/" } else { target });
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    push_encoded(out, host);
    out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    out.extend_from_slice(key);
    out.extend_from_slice(b"\r\nSec-WebSocket-Version: 13\r\n");
    for (name, value) in extra {
        push_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Why a client must not take a response for the acceptance of its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The status is not 101.
    Status(u16),
    /// A 101 in HTTP/1.0.
    Http10,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not name `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not answer the key.
    Accept,
    /// An extension is accepted that was not offered.
    Extension,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseError::Status(status) => match reason(*status) {
                "" => write!(f, "the server answered {status}"),
                reason => write!(f, "the server answered {status} {reason}"),
            },
            ResponseError::Http10 => f.write_str("the server switched protocols in HTTP/1.0"),
            ResponseError::Upgrade => f.write_str("the server did not upgrade to websocket"),
            ResponseError::Connection => {
                f.write_str("the Connection field of the answer does not name Upgrade")
            }
            ResponseError::Accept => f.write_str("Sec-WebSocket-Accept does not answer the key"),
            ResponseError::Extension => f.write_str("the server accepted an extension that was not offered"),
        }
    }
}

impl core::error::Error for ResponseError {}

/// Does this response accept the handshake that was sent with `key` (RFC 6455, 4.1)? Whether the subprotocol
/// in it is one of those offered is for the caller, who offered them.
///
/// # Errors
/// The first thing that is wrong, in the order of the variants of [`ResponseError`].
pub fn check_response(head: &ResponseHead<'_>, key: &[u8; 24]) -> Result<(), ResponseError> {
    if head.status != 101 {
        return Err(ResponseError::Status(head.status));
    }
    if head.version < Version::Http11 {
        return Err(ResponseError::Http10);
    }
    let only = |name| {
        let mut values = head.fields.all(name);
        values.next().filter(|_| values.next().is_none())
    };
    if !only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(ResponseError::Upgrade);
    }
    if !head.fields.has_token("connection", "upgrade") {
        return Err(ResponseError::Connection);
    }
    if only("sec-websocket-accept") != Some(&accept_key(key)) {
        return Err(ResponseError::Accept);
    }
    if head.fields.all("sec-websocket-extensions").flat_map(list_members).next().is_some() {
        return Err(ResponseError::Extension);
    }
    Ok(())
}

/// Is this the base64 of 16 bytes, in the one form that an encoder makes?
fn is_key(key: &[u8]) -> bool {
    let [symbols @ .., last, b'=', b'='] = key else { return false };
    // A key is random: a branch for each symbol would be guessed wrong half of the time.
    let is_symbol = |b: u8| b.is_ascii_alphanumeric() | (b == b'+') | (b == b'/');
    let Ok(symbols) = <&[u8; 21]>::try_from(symbols) else { return false };
    symbols.iter().fold(true, |all, &b| all & is_symbol(b))
        // The last symbol carries two bits; the other four must be zero.
        && matches!(last, b'A' | b'Q' | b'g' | b'w')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_base64_of_sixteen_bytes() {
        for random in [[0; 16], [0xff; 16], *b"the sample nonce"] {
            assert!(is_key(&encode_key(random)));
        }
        assert_eq!(&encode_key(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
        for last in 0..=u8::MAX {
            let mut key = *b"dGhlIHNhbXBsZSBub25jZQ==";
            key[21] = last;
            assert_eq!(is_key(&key), matches!(last, b'A' | b'Q' | b'g' | b'w'), "{last:#x}");
            for at in [0, 7, 20] {
                let mut key = *b"dGhlIHNhbXBsZSBub25jZQ==";
                key[at] = last;
                assert_eq!(is_key(&key), BASE64.decode(key).is_ok(), "{last:#x} at {at}");
            }
        }
        for key in
            ["", "==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==="]
        {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn accept_keys_of_the_rfc() {
        assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(&accept_key(b""), b"Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=");
    }
}
