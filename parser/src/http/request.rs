//! A request head: request line and fields (RFC 9112, 3).

use super::fields::{Known, Repeated};
use super::lines::split_line;
use super::syntax::{is_host, is_token_bytes};
use super::{Fields, HeadError, HeadLimits, Version};
use memchr::memchr;

/// A checked request head, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, case-sensitive as sent.
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a str,
    /// The path of the target, not decoded. `/` if an absolute-form target has none; the whole target for
    /// `OPTIONS *` and `CONNECT host:port`.
    pub path: &'a str,
    /// What follows the first `?` of the target, not decoded.
    pub query: Option<&'a str>,
    /// The version of the request line.
    pub version: Version,
    /// The header fields.
    pub fields: Fields<'a>,
}

impl<'a> RequestHead<'a> {
    /// Reads a whole head: what [`HeadScan::find_end`](super::HeadScan::find_end) found.
    ///
    /// # Errors
    /// The first fault against RFC 9112 from the start of the head on, then those of the head as a whole
    /// (framing, `Host`). A head that is cut or goes on behind its empty line is refused: no field can be
    /// hidden.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<RequestHead<'a>, HeadError> {
        if head.len() > limits.head {
            return Err(HeadError::HeadTooLong);
        }
        let mut rest = head;
        while let [b'\r', b'\n', after @ ..] = rest {
            rest = after;
        }
        let (line, block) = split_line(rest)?;
        let (method, line) = split_space(line)?;
        let (target, version) = split_space(line)?;
        if !is_token_bytes(method) {
            return Err(HeadError::Method);
        }
        if target.len() > limits.target {
            return Err(HeadError::TargetTooLong);
        }
        let version = match Version::parse(version) {
            Err(_) if version.contains(&b' ') => return Err(HeadError::RequestLine),
            version => version?,
        };
        let (method, target) = (text(method)?, text(target)?);
        let (path, query) = split_target(method, target)?;
        let fields = Fields::parse(block, limits.fields, version)?;
        match fields.only(Known::Host) {
            Err(Repeated) => return Err(HeadError::HostTwice),
            Ok(None) if version == Version::Http10 => {}
            Ok(None) => return Err(HeadError::HostMissing),
            // A client whose target has no authority sends an empty Host (RFC 9110, 7.2).
            Ok(Some(host)) if host.is_empty() || is_host(host) => {}
            Ok(Some(_)) => return Err(HeadError::HostInvalid),
        }
        Ok(RequestHead { method, target, path, query, version, fields })
    }
}

fn split_space(line: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    let space = memchr(b' ', line).ok_or(HeadError::RequestLine)?;
    Ok((&line[..space], &line[space + 1..]))
}

fn text(bytes: &[u8]) -> Result<&str, HeadError> {
    core::str::from_utf8(bytes).map_err(|_| HeadError::Target)
}

/// Path and query of the target, in the form that the method asks for (RFC 9112, 3.2).
fn split_target<'a>(method: &str, target: &'a str) -> Result<(&'a str, Option<&'a str>), HeadError> {
    if target.bytes().fold(target.is_empty(), |bad, b| bad | !b.is_ascii_graphic() | (b == b'#')) {
        return Err(HeadError::Target);
    }
    let local = match target.as_bytes() {
        b"*" if method == "OPTIONS" => return Ok((target, None)),
        _ if method == "CONNECT" => {
            return if is_authority_form(target) { Ok((target, None)) } else { Err(HeadError::Target) };
        }
        [b'/', ..] => target,
        _ => strip_authority(target)?,
    };
    let (path, query) = match memchr(b'?', local.as_bytes()) {
        Some(mark) => (&local[..mark], Some(&local[mark + 1..])),
        None => (local, None),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// A host and a port, which must both be there (RFC 9112, 3.2.3).
fn is_authority_form(target: &str) -> bool {
    let port = target.rsplit_once(':').map_or("", |(_, port)| port);
    is_host(target.as_bytes()) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// What follows scheme and authority of an absolute-form target (RFC 9112, 3.2.2). The authority must be a
/// host without user information (RFC 9110, 4.2.1 and 4.2.4).
fn strip_authority(target: &str) -> Result<&str, HeadError> {
    let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(HeadError::Target);
    }
    let (authority, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if is_host(authority.as_bytes()) { Ok(local) } else { Err(HeadError::Target) }
}
