//! Addresses of WebSocket servers: `ws://host:port/path?query` (RFC 6455 section 3).

use std::net::IpAddr;

/// A parsed URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    /// `wss`.
    pub(crate) tls: bool,
    /// Name or address; an IPv6 address without its brackets.
    pub(crate) host: String,
    /// 80 and 443 where `ws` and `wss` leave it out.
    pub(crate) port: u16,
    /// Path and query, at least `/`.
    pub(crate) target: String,
}

impl Uri {
    /// Reads a URI. The error says which part is wrong: user names, fragments and control characters are refused.
    pub(crate) fn parse(text: &str) -> Result<Uri, String> {
        let wrong = |why: &str| format!("'{}' is not a usable URI: {why}", text.escape_debug());
        if text.chars().any(char::is_control) {
            return Err(wrong("there is a control character in it"));
        }
        let scheme = |text: &str| match text.to_ascii_lowercase().as_str() {
            "ws" => Some(false),
            "wss" => Some(true),
            _ => None,
        };
        let (tls, rest) = text
            .split_once("://")
            .and_then(|(name, rest)| Some((scheme(name)?, rest)))
            .ok_or_else(|| wrong("it must begin with ws:// or wss://"))?;
        if rest.contains('#') {
            return Err(wrong("it must have no fragment (#)"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("it must have no user name"));
        }
        let (host, port) = split_port(authority).map_err(wrong)?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Uri { tls, host: host.to_owned(), port: port.unwrap_or(if tls { 443 } else { 80 }), target })
    }

    /// The value of the `Host` field (RFC 6455 section 4.1): the port stands there unless it is the scheme's own.
    pub(crate) fn host_field(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The address, where the host is one and no name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or("the bracket is not closed")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("between the brackets stands no IPv6 address");
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err("after the bracket only :port may stand"),
        }
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("an IPv6 address stands in brackets"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.len() > 255 || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:".contains(&b)) {
        return Err("the host may have letters, digits, '-', '.', '_' and '~' only");
    }
    match port {
        None => Ok((host, None)),
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            match digits.parse::<u16>() {
                Ok(port) if port != 0 => Ok((host, Some(port))),
                _ => Err("the port must be 1 to 65535"),
            }
        }
        Some(_) => Err("the port must be a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        let parts = |text: &str| {
            let uri = Uri::parse(text).expect(text);
            (uri.tls, uri.host, uri.port, uri.target)
        };
        let expect = |tls, host: &str, port, target: &str| (tls, host.into(), port, target.into());
        assert_eq!(parts("ws://127.0.0.1:5083/echo"), expect(false, "127.0.0.1", 5083, "/echo"));
        assert_eq!(parts("wss://example.org"), expect(true, "example.org", 443, "/"));
        assert_eq!(parts("WS://h"), expect(false, "h", 80, "/"));
        assert_eq!(parts("ws://h:1/a/b?x=1&y=/2"), expect(false, "h", 1, "/a/b?x=1&y=/2"));
        assert_eq!(parts("ws://h:1?x=1"), expect(false, "h", 1, "/?x=1"));
        assert_eq!(parts("ws://[::1]:65535/ü b"), expect(false, "::1", 65535, "/ü b"));
    }

    #[test]
    fn host_field_names_the_port_unless_it_is_the_schemes_own() {
        let field = |text: &str| Uri::parse(text).unwrap().host_field();
        assert_eq!(field("ws://h/"), "h");
        assert_eq!(field("ws://h:80/"), "h");
        assert_eq!(field("ws://h:443/"), "h:443");
        assert_eq!(field("wss://h:443/"), "h");
        assert_eq!(field("wss://h:80/"), "h:80");
        assert_eq!(field("ws://[::1]:8080"), "[::1]:8080");
    }

    #[test]
    fn says_what_is_wrong() {
        let table = [
            ("", "must begin"),
            ("echo", "must begin"),
            ("http://h/", "must begin"),
            ("ws:///echo", "host is missing"),
            ("ws://:80/", "host is missing"),
            ("ws://h:/", "must be a number"),
            ("ws://h:+1/", "must be a number"),
            ("ws://h:0/", "1 to 65535"),
            ("ws://h:65536/", "1 to 65535"),
            ("ws://::1/", "in brackets"),
            ("ws://[::1/", "not closed"),
            ("ws://[h]/", "no IPv6"),
            ("ws://[::1]80/", "only :port"),
            ("ws://u:p@h/", "user name"),
            ("ws://h/#x", "fragment"),
            ("ws://a b/", "host may have"),
            ("ws://bücher/", "host may have"),
            ("ws://h/\r\nX: y", "control character"),
        ];
        for (text, part) in table {
            let message = Uri::parse(text).expect_err(text);
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
