//! The answer to a request head: an upgrade to a service, the demo's page, or a complete refusal.

use std::net::IpAddr;

use lapps_parser::handshake::{self, Refusal};
use lapps_parser::http::{RequestHead, write_response};

use crate::services::acl::Admitted;
use crate::services::registry::Registry;

/// The value of the `Server` field.
pub(crate) const SERVER: &str = concat!("LAppS/", env!("CARGO_PKG_VERSION"));

/// What a request was answered with.
pub(crate) enum Answer {
    /// 101: the connection belongs to this service.
    Open { service: usize, admitted: Admitted },
    /// Anything else, complete: the connection closes after it.
    Close { status: u16 },
}

/// Answers `head`, which came from `peer`, into `out`.
pub(crate) fn answer(head: &RequestHead<'_>, peer: IpAddr, registry: &Registry, out: &mut Vec<u8>) -> Answer {
    let head_only = head.method == "HEAD";
    let refuse = |out: &mut Vec<u8>, status: u16, extra: &[(&str, &str)], reason: &str| {
        write_refusal(out, status, extra, reason, head_only);
        Answer::Close { status }
    };
    let Some(number) = registry.find(head.path) else {
        return match registry.page {
            Some(page) if head.path == "/" => answer_page(head, page, out),
            _ => refuse(out, 404, &[], "no service has this target"),
        };
    };
    let entry = registry.entry(number);
    let upgrade = match handshake::read_upgrade(head) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refuse(out, refusal.status(), refusal.fields(), &refusal.to_string()),
    };
    let Some(admitted) = entry.acl.get().check(peer) else {
        return refuse(out, 403, &[], "this address may not use the service");
    };
    if let Some(origins) = &entry.service.origins {
        let known = |origin: &[u8]| origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin));
        if !upgrade.origin.is_some_and(known) {
            return refuse(out, 403, &[], "this Origin may not use the service");
        }
    }
    if !entry.is_running() {
        return refuse(out, 503, &[], "the service is not running");
    }
    let extra = entry.service.extra_headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    handshake::write_accept(out, &upgrade, SERVER, extra, entry.service.proto_alias.as_deref());
    Answer::Open { service: number, admitted }
}

/// Writes a complete response with `reason` as its text.
pub(crate) fn write_refusal(
    out: &mut Vec<u8>,
    status: u16,
    extra: &[(&str, &str)],
    reason: &str,
    head_only: bool,
) {
    let body = format!("{reason}\n");
    write_response(out, status, SERVER, extra, "text/plain; charset=utf-8", body.as_bytes(), head_only);
}

fn answer_page(head: &RequestHead<'_>, page: &str, out: &mut Vec<u8>) -> Answer {
    if !matches!(head.method, "GET" | "HEAD") {
        write_refusal(out, 405, &[("Allow", "GET, HEAD")], "this is a page to GET", false);
        return Answer::Close { status: 405 };
    }
    // Somebody who wants a WebSocket here has the wrong target.
    if !matches!(handshake::read_upgrade(head), Err(Refusal::NotWebSocket | Refusal::Method)) {
        write_refusal(out, 404, &[], "no service has this target", false);
        return Answer::Close { status: 404 };
    }
    // The page is one file: nothing is loaded, and its empty icon keeps browsers from asking for another one.
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                  connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'";
    let extra = [("Content-Security-Policy", policy), ("X-Content-Type-Options", "nosniff")];
    let head_only = head.method == "HEAD";
    write_response(out, 200, SERVER, &extra, "text/html; charset=utf-8", page.as_bytes(), head_only);
    Answer::Close { status: 200 }
}
