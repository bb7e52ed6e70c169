//! A client's half of the opening handshake: the request goes out, the answer is checked (RFC 6455 section 4.1).

use std::fmt;

use lapps_parser::handshake::{self, ResponseError};
use lapps_parser::http::{HeadError, HeadLimits, HeadScan, ResponseHead};

/// What a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The value of `Host`.
    pub(crate) host: Box<str>,
    /// Path and query.
    pub(crate) target: Box<str>,
    /// Further fields, names and values; valid ones.
    pub(crate) headers: Box<[(Box<str>, Box<str>)]>,
    /// The subprotocols that are offered, most wanted first; tokens.
    pub(crate) protocols: Box<[Box<str>]>,
}

/// A handshake whose answer has not come.
pub(crate) struct Opening {
    key: [u8; 24],
    protocols: Box<[Box<str>]>,
    /// The part of the answer that came so far.
    held: Vec<u8>,
    scan: HeadScan,
}

/// Why the server's answer is no acceptance.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is no HTTP.
    BadHead(HeadError),
    /// It says no, or something else than the request asked for.
    Answer(ResponseError),
    /// It chose a subprotocol that was not offered.
    Subprotocol,
}

impl Opening {
    /// Begins with 16 random bytes; the second value is what is to be sent.
    pub(crate) fn begin(request: &Request, random: [u8; 16]) -> (Opening, Vec<u8>) {
        let key = handshake::encode_key(random);
        let offered = request.protocols.join(", ");
        let mut fields: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        if !offered.is_empty() {
            fields.push(("Sec-WebSocket-Protocol", &offered));
        }
        let mut bytes = Vec::new();
        handshake::write_request(&mut bytes, &request.host, &request.target, &key, &fields);
        let protocols = request.protocols.clone();
        (Opening { key, protocols, held: Vec::new(), scan: HeadScan::new() }, bytes)
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Collects the answer: how many of `bytes` are its own, and, when it is whole and an acceptance, the subprotocol.
    #[expect(clippy::type_complexity, reason = "the inner `Option` is the subprotocol's")]
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Option<Box<str>>>), Refused> {
        let limits = HeadLimits::default();
        let before = self.held.len();
        // No more than a head may have is ever held; what follows the head stays with the caller.
        let room = (limits.head + 1).saturating_sub(before).min(bytes.len());
        self.held.extend_from_slice(&bytes[..room]);
        let Some(end) = self.scan.find_end(&self.held, &limits).map_err(Refused::BadHead)? else {
            return Ok((bytes.len(), None));
        };
        let head = ResponseHead::parse(&self.held[..end], &limits).map_err(Refused::BadHead)?;
        handshake::check_response(&head, &self.key).map_err(Refused::Answer)?;
        let mut chosen = head.fields.all("sec-websocket-protocol");
        let protocol = match (chosen.next(), chosen.next()) {
            (None, _) => None,
            // Nothing was offered, so this should not be here (RFC 6455 4.1); but services of the original have an alias that
            // is always sent, and their clients are theirs.
            (Some(one), None) if self.protocols.is_empty() => str::from_utf8(one).ok().map(Box::from),
            (Some(one), None) => {
                let known = self.protocols.iter().find(|protocol| protocol.as_bytes() == one);
                Some(known.cloned().ok_or(Refused::Subprotocol)?)
            }
            _ => return Err(Refused::Subprotocol),
        };
        Ok((end - before, Some(protocol)))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::BadHead(error) => write!(f, "the server's answer is no HTTP: {error}"),
            Refused::Answer(error @ ResponseError::Status(300..=399)) => {
                write!(f, "{error} (redirects are not followed)")
            }
            Refused::Answer(error) => error.fmt(f),
            Refused::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(protocols: &[&str]) -> Request {
        Request {
            host: "example.org:81".into(),
            target: "/a?b=c d".into(),
            headers: [("X-One".into(), "1".into())].into(),
            protocols: protocols.iter().map(|name| (*name).into()).collect(),
        }
    }

    #[test]
    fn the_request_has_all_that_was_asked_for() {
        let (_, bytes) = Opening::begin(&request(&["chat", "echo"]), *b"the sample nonce");
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "GET /a?b=c%20d HTTP/1.1\r\nHost: example.org:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-One: 1\r\n\
             Sec-WebSocket-Protocol: chat, echo\r\n\r\n"
        );
    }

    #[test]
    fn one_of_the_offered_subprotocols_may_be_chosen() {
        let answer = |line: &str| {
            let (mut opening, _) = Opening::begin(&request(&["chat", "echo"]), *b"the sample nonce");
            let head = format!(
                "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{line}\r\n"
            );
            opening.take(head.as_bytes()).map(|(_, protocol)| protocol.unwrap())
        };
        assert_eq!(answer("").unwrap(), None);
        assert_eq!(answer("Sec-WebSocket-Protocol: echo\r\n").unwrap(), Some("echo".into()));
        let twice = "Sec-WebSocket-Protocol: echo\r\nSec-WebSocket-Protocol: chat\r\n";
        for wrong in ["Sec-WebSocket-Protocol: Echo\r\n", "Sec-WebSocket-Protocol: echo, chat\r\n", twice] {
            assert!(matches!(answer(wrong), Err(Refused::Subprotocol)), "{wrong}");
        }
    }

    #[test]
    fn an_alias_that_nobody_asked_for_is_taken_as_the_original_takes_it() {
        let (mut opening, _) = Opening::begin(&request(&[]), *b"the sample nonce");
        let head = "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: alias\r\n\r\n";
        let (_, protocol) = opening.take(head.as_bytes()).map_err(|refused| refused.to_string()).unwrap();
        assert_eq!(protocol, Some(Some("alias".into())));
    }

    #[test]
    fn an_answer_without_end_is_refused_at_the_limit() {
        let (mut opening, _) = Opening::begin(&request(&[]), [0; 16]);
        opening.take(b"HTTP/1.1 101 \r\n").unwrap();
        let mut line = vec![b'a'; 1000];
        line.extend_from_slice(b": b\r\n");
        let refused = (0..100).find_map(|_| opening.take(&line).err());
        assert!(matches!(refused, Some(Refused::BadHead(HeadError::HeadTooLong))));
        assert!(opening.held.len() <= HeadLimits::default().head + 1);
    }
}
