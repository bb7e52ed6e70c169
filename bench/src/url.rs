//! Where a run connects to: `ws://`, `wss://` or `tcp://` URLs.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::failure::Failure;

/// What is spoken on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// WebSocket over plain TCP.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// The payload alone over plain TCP, for the bare echo.
    Tcp,
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// What is spoken.
    pub scheme: Scheme,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port; 80 and 443 where `ws` and `wss` leave it out.
    pub port: u16,
    /// Request target: path and query, at least `/`. Empty for `tcp`.
    pub target: String,
}

impl Url {
    /// Reads `scheme://host[:port][/path][?query]`.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the part that is wrong. User names, fragments (RFC 6455 section 3), blanks and
    /// control characters are refused, and `tcp` takes a port and no path.
    pub fn parse(text: &str) -> Result<Url, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("{text:?} is not a usable URL: {why}"));
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(wrong(&format!("the character {bad:?} may not stand in it")));
        }
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| wrong("it must begin with ws://, wss:// or tcp://"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "tcp" => Scheme::Tcp,
            _ => return Err(wrong("it must begin with ws://, wss:// or tcp://")),
        };
        if rest.contains('#') {
            return Err(wrong("a WebSocket URL has no fragment"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("user names are not supported"));
        }
        let (host, port) = split_port(authority).map_err(wrong)?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Scheme::Ws) => 80,
            (None, Scheme::Wss) => 443,
            (None, Scheme::Tcp) => return Err(wrong("tcp:// needs a port")),
        };
        let target = match (scheme, target) {
            (Scheme::Tcp, "" | "/") => String::new(),
            (Scheme::Tcp, _) => return Err(wrong("tcp:// has no path")),
            (_, target) if target.starts_with('/') => target.to_owned(),
            (_, target) => format!("/{target}"),
        };
        Ok(Url { scheme, host: host.to_owned(), port, target })
    }

    /// The value of the `Host` field (RFC 6455 section 4.1): the port stands there unless it is the scheme's own.
    pub fn host_field(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Ws, 80) | (Scheme::Wss, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The address to connect to. Where the name has several, the first that accepts a connection.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the name is unknown; [`Failure::System`] if none of several addresses answers.
    pub fn resolve(&self) -> Result<SocketAddr, Failure> {
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| Failure::Usage(format!("cannot find the host {:?}: {error}", self.host)))?
            .collect();
        match addresses.as_slice() {
            [] => Err(Failure::Usage(format!("the host {:?} has no address", self.host))),
            [only] => Ok(*only),
            several => {
                let mut last = None;
                for address in several {
                    match TcpStream::connect_timeout(address, Duration::from_secs(5)) {
                        Ok(_) => return Ok(*address),
                        Err(error) => last = Some(error),
                    }
                }
                let error = last.unwrap_or_else(|| std::io::ErrorKind::NotConnected.into());
                Err(Failure::system(format!("connect to {:?}", self.host), error))
            }
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
            Scheme::Tcp => "tcp",
        };
        write!(f, "{scheme}://{}{}", self.host_field(), self.target)
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

    fn parts(text: &str) -> (Scheme, String, u16, String) {
        let url = Url::parse(text).expect(text);
        (url.scheme, url.host, url.port, url.target)
    }

    #[test]
    fn reads_every_part() {
        let expect = |scheme, host: &str, port, target: &str| (scheme, host.into(), port, target.into());
        assert_eq!(parts("ws://127.0.0.1:5083/echo"), expect(Scheme::Ws, "127.0.0.1", 5083, "/echo"));
        assert_eq!(parts("wss://example.org"), expect(Scheme::Wss, "example.org", 443, "/"));
        assert_eq!(parts("WS://h"), expect(Scheme::Ws, "h", 80, "/"));
        assert_eq!(parts("ws://h:1/a/b?x=1&y=/2"), expect(Scheme::Ws, "h", 1, "/a/b?x=1&y=/2"));
        assert_eq!(parts("ws://h:1?x=1"), expect(Scheme::Ws, "h", 1, "/?x=1"));
        assert_eq!(parts("ws://[::1]:65535/"), expect(Scheme::Ws, "::1", 65535, "/"));
        assert_eq!(parts("tcp://localhost:9"), expect(Scheme::Tcp, "localhost", 9, ""));
    }

    #[test]
    fn host_field_names_the_port_unless_it_is_the_schemes_own() {
        let field = |text: &str| Url::parse(text).unwrap().host_field();
        assert_eq!(field("ws://h/"), "h");
        assert_eq!(field("ws://h:443/"), "h:443");
        assert_eq!(field("wss://h:443/"), "h");
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
            ("ws://u:p@h/", "user names"),
            ("ws://h/#x", "fragment"),
            ("ws://h/a b", "character"),
            ("ws://h/\r\nX: y", "character"),
            ("tcp://h", "needs a port"),
            ("tcp://h:1/path", "no path"),
        ];
        for (text, part) in table {
            let message = Url::parse(text).expect_err(text).to_string();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    #[test]
    fn an_unknown_host_is_named() {
        let url = Url::parse("ws://no-such-host.invalid:1/").unwrap();
        assert!(url.resolve().unwrap_err().to_string().contains("no-such-host.invalid"));
    }
}
