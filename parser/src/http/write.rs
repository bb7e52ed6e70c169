//! Heads going out: field lines that cannot be broken open, and complete responses.

use super::{is_field_value, is_token};
use alloc::string::ToString;
use alloc::vec::Vec;

/// The reason phrase of a status that this server sends; empty for others.
pub const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Appends a complete response after which the connection closes.
///
/// `extra` fields come last; one that is not a valid field is left out. With an `Upgrade` among them (426),
/// `Connection` names it too (RFC 9110, 7.8). An empty `server` or `content_type` is not sent. `head_only`
/// (the answer to HEAD) leaves out the body, but not its length.
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    server: &str,
    extra: &[(&str, &str)],
    content_type: &str,
    body: &[u8],
    head_only: bool,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in [("Server", server), ("Content-Type", content_type)] {
        if !value.is_empty() {
            push_field(out, name, value);
        }
    }
    push_field(out, "Content-Length", &body.len().to_string());
    let upgrade = extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
    push_field(out, "Connection", if upgrade { "close, Upgrade" } else { "close" });
    for (name, value) in extra {
        push_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    if !head_only {
        out.extend_from_slice(body);
    }
}

/// Appends one field line, unless name or value are such that a reader would see something else.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    if is_token(name) && is_field_value(value.as_bytes()) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends `text` with every byte that may not stand in a request target or host as `%XX`.
pub(crate) fn push_encoded(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in text.bytes() {
        if b.is_ascii_graphic() && b != b'#' {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}
