//! Reads one service of `lapps.json`.

use std::time::Duration;

use lapps_parser::http::{is_field_value, is_token};

use super::document::nearest;
use super::keys;
use super::section::{Section, allowed};
use super::server_file::acl;
use super::{Concurrency, Gc, Placement, Protocol, Service, Source};

/// The least bound of fragments by default, and the bytes of a fragment that are expected above it.
const MIN_FRAGMENTS: usize = 16_384;
const BYTES_PER_FRAGMENT: usize = 64;
const HIGH_WATER: usize = 256 * 1024;
const OUTGOING_LIMIT: usize = 4 * 1024 * 1024;

/// Modules that a service may ask for.
const MODULES: [&str; 6] = ["nap", "time", "pam_auth", "murmur", "mqr", "cws"];
/// Modules that are there anyway; asking for them is allowed and changes nothing.
const ALWAYS_THERE: [&str; 3] = ["ws", "bcast", "nljson"];
/// Lua globals that a service of the same name would replace.
const TAKEN: [&str; 14] = [
    "_G",
    "package",
    "string",
    "table",
    "math",
    "io",
    "os",
    "debug",
    "coroutine",
    "bit",
    "jit",
    "ffi",
    "ws",
    "nljson",
];
/// Header fields that are the server's own.
const OWN_HEADERS: [&str; 5] = ["upgrade", "connection", "content-length", "transfer-encoding", "server"];

pub(super) fn read(name: &str, section: &Section<'_>, source: Source) -> Service {
    check_name(name, section);
    let placement = placement(section);
    let max_inbound_message_size = section.integer(&keys::MAX_INBOUND_MESSAGE_SIZE) as usize;
    let (outgoing_high_water, outgoing_limit) = outgoing(section, max_inbound_message_size);
    Service {
        name: name.to_string(),
        auto_start: section.flag(&keys::AUTO_START),
        placement,
        protocol: if section.word(&keys::PROTOCOL) == "LAppS" { Protocol::Lapps } else { Protocol::Raw },
        request_target: request_target(section, placement),
        max_inbound_message_size,
        max_fragments: max_fragments(section, max_inbound_message_size),
        outgoing_high_water,
        outgoing_limit,
        max_lua_memory: section.integer(&keys::MAX_LUA_MEMORY) as usize,
        gc: gc(&section.section(&keys::GC)),
        spin: spin(section, placement),
        concurrency: concurrency(section, placement),
        preload: preload(section),
        acl: acl(&section.section(&keys::ACL)),
        origins: origins(section),
        extra_headers: extra_headers(section),
        proto_alias: proto_alias(section),
        depends: depends(section),
        lapps_strict: section.flag(&keys::LAPPS_STRICT),
        source,
    }
}

/// A name becomes a directory, a module of `require` (where a dot is a directory separator) and a Lua global.
fn check_name(name: &str, section: &Section<'_>) {
    let allowed = "letters, digits, _ and - are allowed in the name of a service";
    if name.is_empty() {
        section.wrong("a service without a name", allowed);
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        section.wrong(format!("\"{}\" cannot be the name of a service", name.escape_debug()), allowed);
    } else if TAKEN.contains(&name) {
        section.wrong(
            format!("a service named {name} would replace the Lua library of that name"),
            "choose another name",
        );
    }
}

fn placement(section: &Section<'_>) -> Placement {
    let instances = section.integer_if_there(&keys::INSTANCES).map(|count| count as usize);
    let (standalone, internal) =
        (section.flag_if_there(&keys::STANDALONE), section.flag_if_there(&keys::INTERNAL));
    if let (Some(new), Some(old)) = (standalone, internal)
        && new != old
        && let Some(node) = section.node(&keys::INTERNAL)
    {
        node.wrong(
            format!("standalone says {new}"),
            "internal is the older name of standalone: keep one of them",
        );
    }
    let flag = standalone.or(internal);
    let word = section.word_if_there(&keys::PLACEMENT);
    if let (Some(word), Some(flag)) = (word, flag)
        && flag != (word == "standalone")
        && let Some(node) = section.node(&keys::PLACEMENT)
    {
        node.wrong(format!("the service says standalone = {flag} as well"), "keep one of them");
    }
    if word == Some("worker")
        && let Some(node) = section.node(&keys::INSTANCES)
    {
        node.wrong(
            "a service in the workers has one instance in each worker",
            "leave instances out, or write \"placement\": \"dedicated\"",
        );
    }
    match (word, flag, instances) {
        (Some("standalone"), ..) | (None, Some(true), _) => Placement::Standalone(instances.unwrap_or(1)),
        (Some("dedicated"), ..) => Placement::Dedicated(instances.unwrap_or(1)),
        (None, _, Some(instances)) => Placement::Dedicated(instances),
        (_, _, _) => Placement::Worker,
    }
}

fn request_target(section: &Section<'_>, placement: Placement) -> String {
    let written = section.text_if_there(&keys::REQUEST_TARGET);
    if let Placement::Standalone(_) = placement {
        // Nobody can ask for it; files of the original may have one all the same.
        return String::new();
    }
    let Some((target, node)) = written else {
        if section.node(&keys::REQUEST_TARGET).is_none() {
            section.missing(&keys::REQUEST_TARGET, "clients ask for the service by it", None);
        }
        return String::new();
    };
    if !target.starts_with('/') {
        node.wrong("does not begin with a slash", allowed(&keys::REQUEST_TARGET.kind));
    } else if target.contains(['?', '#']) {
        node.wrong(
            "has a query or fragment, which are no part of the path and never match",
            allowed(&keys::REQUEST_TARGET.kind),
        );
    } else if let Some(c) = target.chars().find(|c| !c.is_ascii_graphic()) {
        node.wrong(
            format!("has a character that no request can carry as it is: {c:?}"),
            "a path as it stands in a request: visible ASCII, everything else percent-encoded",
        );
    }
    target
}

fn max_fragments(section: &Section<'_>, max_message: usize) -> u32 {
    let written = section.integer_if_there(&keys::MAX_FRAGMENTS);
    let fragments = written.unwrap_or_else(|| MIN_FRAGMENTS.max(max_message / BYTES_PER_FRAGMENT) as u64);
    u32::try_from(fragments).unwrap_or(u32::MAX)
}

/// High water and limit. A default gives way to what is written for the other one.
fn outgoing(section: &Section<'_>, max_message: usize) -> (usize, usize) {
    let written = |key| section.integer_if_there(key).map(|bytes| bytes as usize);
    match (written(&keys::OUTGOING_HIGH_WATER), written(&keys::OUTGOING_LIMIT)) {
        (Some(high_water), Some(limit)) => {
            if limit < high_water
                && let Some(node) = section.node(&keys::OUTGOING_LIMIT)
            {
                node.wrong(
                    "a connection would be closed before its client is held back",
                    format!("not less than outgoing_high_water, which is {high_water}"),
                );
            }
            (high_water, limit)
        }
        (None, Some(limit)) => (HIGH_WATER.min(limit), limit),
        (high_water, None) => {
            let high_water = high_water.unwrap_or(HIGH_WATER);
            // An echo of the longest message has to fit while another one is still on its way.
            (high_water, OUTGOING_LIMIT.max(2 * max_message).max(high_water))
        }
    }
}

fn gc(section: &Section<'_>) -> Gc {
    let percent = |key| section.integer_if_there(key).map(|percent| percent as u16);
    Gc { pause: percent(&keys::GC_PAUSE), stepmul: percent(&keys::GC_STEPMUL) }
}

fn spin(section: &Section<'_>, placement: Placement) -> Duration {
    if let Some(node) = section.node(&keys::SPIN_US)
        && !matches!(placement, Placement::Dedicated(_))
    {
        node.wrong("only a dedicated service has a ring to look into", "leave spin_us out");
    }
    Duration::from_micros(section.integer(&keys::SPIN_US))
}

fn concurrency(section: &Section<'_>, placement: Placement) -> Option<Concurrency> {
    let word = section.word_if_there(&keys::CONCURRENCY);
    if let Placement::Standalone(_) = placement
        && let Some(node) = section.node(&keys::CONCURRENCY)
    {
        node.wrong("a standalone service has no events", "leave it out");
    }
    match word? {
        "serial" => Some(Concurrency::Serial),
        "connection" => Some(Concurrency::Connection),
        _ => Some(Concurrency::Free),
    }
}

fn preload(section: &Section<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, node) in section.list(&keys::PRELOAD).unwrap_or_default() {
        if MODULES.contains(&name.as_str()) {
            if !names.contains(&name) {
                names.push(name);
            }
        } else if !ALWAYS_THERE.contains(&name.as_str()) {
            node.wrong_near("unknown module", allowed(&keys::PRELOAD.kind), nearest(&name, MODULES));
        }
    }
    names
}

fn origins(section: &Section<'_>) -> Option<Vec<String>> {
    let mut origins = Vec::new();
    for (text, node) in section.list(&keys::ORIGINS)? {
        let origin = text.to_ascii_lowercase();
        match wrong_origin(&origin) {
            Some(wrong) => node.wrong(wrong, allowed(&keys::ORIGINS.kind)),
            None => origins.push(origin),
        }
    }
    Some(origins)
}

/// An origin as browsers send it (RFC 6454 6.2): scheme, host, a port that is not the scheme's own, nothing else.
fn wrong_origin(origin: &str) -> Option<&'static str> {
    if origin == "null" {
        return None;
    }
    if origin == "*" {
        return Some("there is no such origin; leave the key out to allow any");
    }
    let Some((scheme, rest)) = origin.split_once("://") else {
        return Some("an origin begins with a scheme such as https://");
    };
    if scheme.is_empty() || rest.is_empty() || !origin.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("is no origin");
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Some("an origin ends after host and port, without a slash");
    }
    match (scheme, rest.rsplit_once(':')) {
        ("http" | "ws", Some((_, "80"))) | ("https" | "wss", Some((_, "443"))) => {
            Some("browsers leave the scheme's own port out of an origin")
        }
        _ => None,
    }
}

fn extra_headers(section: &Section<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value, node) in section.strings(&keys::EXTRA_HEADERS) {
        let lower = name.to_ascii_lowercase();
        if !is_token(&name) {
            node.wrong(
                format!("\"{}\" cannot be the name of a header field", name.escape_debug()),
                "letters, digits and !#$%&'*+-.^_`|~ are allowed in a name",
            );
        } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
            node.wrong(
                "the server writes this header field itself",
                "leave it out (the subprotocol is named by proto_alias)",
            );
        } else if !is_field_value(value.as_bytes()) {
            node.wrong(
                "cannot be the value of a header field",
                "text without control characters and without blanks at its ends",
            );
        } else {
            headers.push((name, value));
        }
    }
    headers
}

fn proto_alias(section: &Section<'_>) -> Option<String> {
    let (alias, node) = section.text_if_there(&keys::PROTO_ALIAS)?;
    if alias.is_empty() {
        return None;
    }
    if !is_token(&alias) {
        node.wrong("cannot be the name of a subprotocol", "one word of letters, digits and !#$%&'*+-.^_`|~");
    }
    Some(alias)
}

fn depends(section: &Section<'_>) -> Vec<String> {
    let names = section.list(&keys::DEPENDS).unwrap_or_default();
    names.into_iter().map(|(name, _)| name).collect()
}
