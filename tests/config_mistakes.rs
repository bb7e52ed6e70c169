//! Every kind of mistake in the configuration: named with its file, line, key and value, and with what is allowed.

use std::fs;
use std::path::Path;

use lapps::config::{self, Config, Mistakes, Places};

/// A service file without mistakes.
const NO_SERVICES: &str = r#"{"services": {}}"#;

fn load(home: &Path, ws: Option<&str>, lapps: Option<&str>) -> Result<Config, Mistakes> {
    let places = Places::find(Some(home), &|_| None).unwrap();
    fs::create_dir_all(&places.conf_dir).unwrap();
    for (file, text) in [(&places.ws_file, ws), (&places.lapps_file, lapps)] {
        if let Some(text) = text {
            fs::write(file, text).unwrap();
        }
    }
    config::load(&places)
}

/// The mistakes of two texts; paths inside the home are shown from there.
fn mistakes(ws: &str, lapps: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let mistakes = load(home.path(), Some(ws), Some(lapps)).unwrap_err().to_string();
    let home = format!("{}/", home.path().display());
    mistakes.replace(&home, "").replace("etc/conf/", "").lines().map(str::to_string).collect()
}

/// Each text is wrong in one way.
fn each_ws(cases: &[(&str, &str)]) {
    for (ws, told) in cases {
        assert_eq!(mistakes(ws, NO_SERVICES), [*told], "{ws}");
    }
}

/// Each text is the body of a service that is wrong in one way; it begins in line 2.
fn each_service(cases: &[(&str, &str)]) {
    for (service, told) in cases {
        let lapps = format!("{{\"services\": {{\"a\": {{\n{service}\n}}}}}}");
        assert_eq!(mistakes("{}", &lapps), [*told], "{service}");
    }
}

#[test]
fn all_mistakes_of_both_files_are_told_at_once() {
    let ws = r#"{
  "port": 70000,
  "workres": {},
  "workers": { "workers": 0, "pin": "yes" },
  "acl": { "exclude": ["10.0.0.0/8", "localhost"] }
}"#;
    let lapps = r#"{
  "services": {
    "echo": { "request_target": "echo" },
    "chat": {
      "request_target": "/chat",
      "instances": "2"
    }
  }
}"#;
    assert_eq!(
        mistakes(ws, lapps),
        [
            "ws.json:2: port = 70000: out of range; allowed is a whole number from 0 to 65535",
            "ws.json:3: workres: unknown key [did you mean \"workers\"?]",
            "ws.json:4: workers.workers = 0: out of range; allowed is a whole number from 1 to 255",
            "ws.json:4: workers.pin = \"yes\": is a string; allowed is true or false",
            "ws.json:5: acl.exclude[1] = \"localhost\": is no address and no network; allowed is a list of strings: \
             addresses or networks such as \"10.0.0.0/8\", \"192.168.1.7\", \"2001:db8::/32\"",
            "lapps.json:3: services.echo.request_target = \"echo\": does not begin with a slash; allowed is a string: \
             a path such as \"/echo\"",
            "lapps.json:6: services.chat.instances = \"2\": is a string; write 2 without the quotes; allowed is a \
             whole number from 1 to 1024",
        ]
    );
}

#[test]
fn a_syntax_error_in_one_file_does_not_hide_the_mistakes_of_the_other() {
    assert_eq!(
        mistakes("{\n  \"port\": 1\n  \"tls\": false\n}", "{\"service\": {}}"),
        [
            "ws.json:2:12: a comma is missing here",
            "lapps.json:1: service: unknown key [did you mean \"services\"?]",
        ]
    );
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_or_its_right_place_or_all_that_are_known() {
    each_ws(&[
        (r#"{"lisen": 1}"#, "ws.json:1: lisen: unknown key [did you mean \"listeners\"?]"),
        (r#"{"Port": 1}"#, "ws.json:1: Port: unknown key [did you mean \"port\"?]"),
        (
            r#"{"max_connections": 1}"#,
            "ws.json:1: max_connections: unknown key; a key of this name belongs to ws.json: workers.max_connections",
        ),
        (
            r#"{"acl": {"depends": []}}"#,
            "ws.json:1: acl.depends: unknown key; a key of this name belongs to lapps.json: services.NAME.depends",
        ),
        (
            r#"{"acl": {"frobnicate": 1}}"#,
            "ws.json:1: acl.frobnicate: unknown key; the keys known here are policy, exclude",
        ),
    ]);
    each_service(&[(
        "\"request_target\": \"/a\",\n\"outgoing_hihg_water\": 1",
        "lapps.json:3: services.a.outgoing_hihg_water: unknown key [did you mean \"outgoing_high_water\"?]",
    )]);
}

#[test]
fn a_key_that_is_there_twice_is_a_mistake() {
    each_ws(&[(
        "{\"port\": 1,\n\"ip\": \"::1\",\n\"port\": 2}",
        "ws.json:3: port: the key is there twice, first in line 1; keep one of them",
    )]);
    let lapps =
        "{\"services\": {\n\"a\": {\"request_target\": \"/a\"},\n\"a\": {\"request_target\": \"/b\"}}}";
    assert_eq!(
        mistakes("{}", lapps),
        ["lapps.json:3: services.a: the key is there twice, first in line 2; keep one of them"]
    );
}

#[test]
fn a_wrong_type_is_told_with_the_right_one() {
    each_ws(&[
        (
            "[]",
            "ws.json:1: is a list; allowed is an object with the keys listeners, connection_weight, ip, port, \
          lapps_config_auto_save, workers, acl, tls, tls_client_version, tls_server_version, tls_certificates, \
          shutdown_grace_ms, handshake_timeout_ms, ping_interval_ms, idle_timeout_ms, stalled_writer_ms, close_timeout_ms, \
          mqr_max_messages, mqr_max_bytes, admin, control_socket, log",
        ),
        (
            r#"{"workers": 4}"#,
            "ws.json:1: workers = 4: is a number; allowed is an object with the keys workers, max_connections, \
             auto_fragment, max_poll_events, max_poll_wait_ms, max_inbounds_skip, input_buffer_size, pin, io",
        ),
        (
            r#"{"acl": null}"#,
            "ws.json:1: acl = null: is null; allowed is an object with the keys policy, exclude",
        ),
        (
            r#"{"log": {"format": "xml"}}"#,
            "ws.json:1: log.format = \"xml\": unknown word; allowed is \"text\" or \"json\"",
        ),
        (
            r#"{"log": {"level": " "}}"#,
            "ws.json:1: log.level = \" \": ' ' is no filter of the log: it is empty; allowed is a string: error, warn, \
             info, debug or trace, or levels by target such as \"info,lapps::engine=debug\"",
        ),
        (
            r#"{"port": "80"}"#,
            "ws.json:1: port = \"80\": is a string; write 80 without the quotes; allowed is a whole number from 0 to 65535",
        ),
        (
            r#"{"port": true}"#,
            "ws.json:1: port = true: is a boolean; allowed is a whole number from 0 to 65535",
        ),
        (
            r#"{"port": 80.5}"#,
            "ws.json:1: port = 80.5: not a whole number; allowed is a whole number from 0 to 65535",
        ),
        (r#"{"port": -1}"#, "ws.json:1: port = -1: out of range; allowed is a whole number from 0 to 65535"),
        (
            r#"{"tls": "false"}"#,
            "ws.json:1: tls = \"false\": is a string; write false without the quotes; allowed is true or false",
        ),
        (r#"{"tls": 0}"#, "ws.json:1: tls = 0: is a number; allowed is true or false"),
        (
            r#"{"acl": {"exclude": "::1"}}"#,
            "ws.json:1: acl.exclude = \"::1\": is a string; allowed is a list of strings: addresses or networks such as \"10.0.0.0/8\", \"192.168.1.7\", \"2001:db8::/32\"",
        ),
        (
            r#"{"acl": {"exclude": [1]}}"#,
            "ws.json:1: acl.exclude[0] = 1: is a number; allowed is a list of strings: addresses or networks such as \"10.0.0.0/8\", \"192.168.1.7\", \"2001:db8::/32\"",
        ),
    ]);
    assert_eq!(
        mistakes("{}", r#"{"services": ["a"]}"#),
        ["lapps.json:1: services = [\"a\"]: is a list; allowed is an object of objects"]
    );
    assert_eq!(
        mistakes("{}", r#"{"services": {"a": "/a"}}"#)[0],
        "lapps.json:1: services.a = \"/a\": is a string; allowed is an object with the keys auto_start, instances, \
         standalone, internal, placement, protocol, request_target, max_inbound_message_size, max_fragments, \
         outgoing_high_water, outgoing_limit, max_lua_memory, gc, spin_us, concurrency, preload, acl, origins, extra_headers, \
         proto_alias, depends, lapps_strict"
    );
}

#[test]
fn values_of_the_server_out_of_their_range() {
    each_ws(&[
        (
            r#"{"listeners": 0}"#,
            "ws.json:1: listeners = 0: out of range; allowed is a whole number from 1 to 64",
        ),
        (
            r#"{"connection_weight": 0}"#,
            "ws.json:1: connection_weight = 0: out of range; allowed is a number above 0 and not above 1000000",
        ),
        (
            r#"{"connection_weight": -0.5}"#,
            "ws.json:1: connection_weight = -0.5: out of range; allowed is a number above 0 and not above 1000000",
        ),
        (
            r#"{"ip": "localhost"}"#,
            "ws.json:1: ip = \"localhost\": is no IP address; allowed is a string: an IPv4 or IPv6 address such as \"127.0.0.1\" or \"::\"",
        ),
        (
            r#"{"tls_server_version": 2}"#,
            "ws.json:1: tls_server_version = 2: out of range; allowed is 3 (TLS 1.2 and 1.3) or 4 (TLS 1.3 only)",
        ),
        (
            r#"{"tls_client_version": 1.3}"#,
            "ws.json:1: tls_client_version = 1.3: not a whole number; allowed is 3 (TLS 1.2 and 1.3) or 4 (TLS 1.3 only)",
        ),
        (
            r#"{"workers": {"max_connections": 16777217}}"#,
            "ws.json:1: workers.max_connections = 16777217: out of range; allowed is a whole number from 1 to 16777216",
        ),
        (
            r#"{"workers": {"workers": 256}}"#,
            "ws.json:1: workers.workers = 256: out of range; allowed is a whole number from 1 to 255",
        ),
        (
            r#"{"workers": {"io": "iouring"}}"#,
            "ws.json:1: workers.io = \"iouring\": unknown word; allowed is \"epoll\" or \"io_uring\" or \"auto\" [did you mean \"io_uring\"?]",
        ),
        (
            r#"{"workers": {"max_inbounds_skip": -1}}"#,
            "ws.json:1: workers.max_inbounds_skip = -1: out of range; allowed is a whole number from 0 to 4294967295",
        ),
        (
            r#"{"acl": {"policy": "alow"}}"#,
            "ws.json:1: acl.policy = \"alow\": unknown word; allowed is \"allow\" or \"deny\" [did you mean \"allow\"?]",
        ),
        (
            r#"{"acl": {"exclude": ["10.0.0.0/40"]}}"#,
            "ws.json:1: acl.exclude[0] = \"10.0.0.0/40\": the network length \"40\" is not a number from 0 to 32; allowed is a list of strings: addresses or networks such as \"10.0.0.0/8\", \"192.168.1.7\", \"2001:db8::/32\"",
        ),
        (
            r#"{"idle_timeout_ms": 30000}"#,
            "ws.json:1: idle_timeout_ms = 30000: a client would be cut before it could answer a ping; idle_timeout_ms (30000) has to be more than ping_interval_ms (30000)",
        ),
        (
            r#"{"ping_interval_ms": 90000}"#,
            "ws.json:1: ping_interval_ms = 90000: a client would be cut before it could answer a ping; idle_timeout_ms (60000) has to be more than ping_interval_ms (90000)",
        ),
    ]);
}

#[test]
fn tls_needs_its_files() {
    assert_eq!(
        mistakes("{\n\"tls\": true}", NO_SERVICES),
        [
            "ws.json:2: tls_certificates.cert: missing; tls is true and needs it; allowed is a string: the path of a PEM file",
            "ws.json:2: tls_certificates.key: missing; tls is true and needs it; allowed is a string: the path of a PEM file",
        ]
    );

    let ws = "{\"tls\": true, \"tls_certificates\": {\n\"cert\": \"ssl/cert.pem\",\n\"key\": \"/nowhere/key.pem\",\n\
              \"ca\": \"ssl/ca.pem\"}}";
    let here = std::env::current_dir().unwrap();
    let advice =
        "tls is true and needs it, in PEM format (`lapps dev-cert DIR` makes a pair to try things out)";
    let nor = |name: &str| format!("there is no such file: {name}, nor {}", here.join(name).display());
    assert_eq!(
        mistakes(ws, NO_SERVICES),
        [
            format!("ws.json:2: tls_certificates.cert = \"ssl/cert.pem\": {}; {advice}", nor("ssl/cert.pem")),
            format!(
                "ws.json:3: tls_certificates.key = \"/nowhere/key.pem\": there is no such file: /nowhere/key.pem; {advice}"
            ),
            format!("ws.json:4: tls_certificates.ca = \"ssl/ca.pem\": {}; {advice}", nor("ssl/ca.pem")),
        ]
    );
}

#[test]
fn without_tls_its_files_need_not_be_there() {
    let home = tempfile::tempdir().unwrap();
    let ws = r#"{"tls": false, "tls_certificates": {"cert": "ssl/cert.pem", "key": "ssl/key.pem", "ca": "ca.pem"}}"#;
    assert_eq!(load(home.path(), Some(ws), Some(NO_SERVICES)).unwrap().tls, None);
}

#[test]
fn values_of_a_service_that_cannot_be() {
    const TARGET: &str = "\"request_target\": \"/a\", ";
    let told = |service: &str, told: &str| each_service(&[(&format!("{TARGET}{service}"), told)]);
    told(
        r#""protocol": "lapps""#,
        "lapps.json:2: services.a.protocol = \"lapps\": unknown word; allowed is \"raw\" or \"LAppS\" [did you mean \"LAppS\"?]",
    );
    told(
        r#""instances": 0"#,
        "lapps.json:2: services.a.instances = 0: out of range; allowed is a whole number from 1 to 1024",
    );
    told(
        r#""max_inbound_message_size": 1073741825"#,
        "lapps.json:2: services.a.max_inbound_message_size = 1073741825: out of range; allowed is a whole number from 1 to 1073741824",
    );
    told(
        r#""max_fragments": 0"#,
        "lapps.json:2: services.a.max_fragments = 0: out of range; allowed is a whole number from 1 to 4294967295",
    );
    told(
        r#""max_lua_memory": 1024"#,
        "lapps.json:2: services.a.max_lua_memory = 1024: out of range; allowed is a whole number from 1048576 to 1099511627776",
    );
    told(
        r#""gc": {"pause": 50}"#,
        "lapps.json:2: services.a.gc.pause = 50: out of range; allowed is a whole number from 100 to 1000",
    );
    told(
        r#""instances": 1, "spin_us": 1001"#,
        "lapps.json:2: services.a.spin_us = 1001: out of range; allowed is a whole number from 0 to 1000",
    );
    told(
        r#""outgoing_high_water": 9000, "outgoing_limit": 8000"#,
        "lapps.json:2: services.a.outgoing_limit = 8000: a connection would be closed before its client is held back; \
         not less than outgoing_high_water, which is 9000",
    );
    told(
        r#""preload": ["nap", "murmurs"]"#,
        "lapps.json:2: services.a.preload[1] = \"murmurs\": unknown module; allowed is null or a list of strings: the \
         modules nap, time, pam_auth, murmur, mqr, cws (ws, bcast and nljson need no preload) [did you mean \"murmur\"?]",
    );
    told(
        r#""proto_alias": "a b""#,
        "lapps.json:2: services.a.proto_alias = \"a b\": cannot be the name of a subprotocol; one word of letters, \
         digits and !#$%&'*+-.^_`|~",
    );
    told(
        r#""acl": {"policy": "none"}"#,
        "lapps.json:2: services.a.acl.policy = \"none\": unknown word; allowed is \"allow\" or \"deny\"",
    );
}

#[test]
fn a_target_is_a_path_as_it_stands_in_a_request() {
    each_service(&[
        (
            "",
            "lapps.json:1: services.a.request_target: missing; clients ask for the service by it; allowed is a string: a path such as \"/echo\"",
        ),
        (
            r#""request_target": """#,
            "lapps.json:2: services.a.request_target = \"\": does not begin with a slash; allowed is a string: a path such as \"/echo\"",
        ),
        (
            r#""request_target": "/a?b=1""#,
            "lapps.json:2: services.a.request_target = \"/a?b=1\": has a query or fragment, which are no part of the path and never match; allowed is a string: a path such as \"/echo\"",
        ),
        (
            r#""request_target": "/é""#,
            "lapps.json:2: services.a.request_target = \"/é\": has a character that no request can carry as it is: 'é'; a path as it stands in a request: visible ASCII, everything else percent-encoded",
        ),
        (
            r#""request_target": "/a b""#,
            "lapps.json:2: services.a.request_target = \"/a b\": has a character that no request can carry as it is: ' '; a path as it stands in a request: visible ASCII, everything else percent-encoded",
        ),
    ]);
}

#[test]
fn two_services_with_one_target_are_both_named() {
    let lapps = r#"{"services": {
  "two": { "request_target": "/x" },
  "one": { "request_target": "/x" }
}}"#;
    assert_eq!(
        mistakes("{}", lapps),
        [
            "lapps.json:2: services.two.request_target = \"/x\": service one has the same target (line 3); each service \
          needs a target of its own"
        ]
    );
}

#[test]
fn contradictions_about_the_placement() {
    const TARGET: &str = "\"request_target\": \"/a\", ";
    let told = |service: &str, told: &str| each_service(&[(&format!("{TARGET}{service}"), told)]);
    told(
        r#""placement": "worker", "instances": 2"#,
        "lapps.json:2: services.a.instances = 2: a service in the workers has one instance in each worker; leave \
         instances out, or write \"placement\": \"dedicated\"",
    );
    told(
        r#""spin_us": 20"#,
        "lapps.json:2: services.a.spin_us = 20: only a dedicated service has a ring to look into; leave spin_us out",
    );
    told(
        r#""placement": "dedicated", "standalone": true"#,
        "lapps.json:2: services.a.placement = \"dedicated\": the service says standalone = true as well; keep one of them",
    );
    told(
        r#""placement": "standalone", "internal": false"#,
        "lapps.json:2: services.a.placement = \"standalone\": the service says standalone = false as well; keep one of them",
    );
    told(
        r#""standalone": true, "internal": false"#,
        "lapps.json:2: services.a.internal = false: standalone says true; internal is the older name of standalone: \
         keep one of them",
    );
    told(
        r#""placement": "thread""#,
        "lapps.json:2: services.a.placement = \"thread\": unknown word; allowed is \"worker\" or \"dedicated\" or \"standalone\"",
    );
    told(
        r#""concurrency": "conection""#,
        "lapps.json:2: services.a.concurrency = \"conection\": unknown word; allowed is \"serial\" or \"connection\" or \
         \"free\" [did you mean \"connection\"?]",
    );
    told(
        r#""standalone": true, "concurrency": "free""#,
        "lapps.json:2: services.a.concurrency = \"free\": a standalone service has no events; leave it out",
    );
}

#[test]
fn names_of_services_that_cannot_be() {
    let rule = "letters, digits, _ and - are allowed in the name of a service";
    for (name, told) in [
        ("", format!("services.: a service without a name; {rule}")),
        ("../x", format!("services.../x: \"../x\" cannot be the name of a service; {rule}")),
        ("a.b", format!("services.a.b: \"a.b\" cannot be the name of a service; {rule}")),
        ("a\\nb", format!("services.a\\nb: \"a\\nb\" cannot be the name of a service; {rule}")),
        (
            "string",
            "services.string: a service named string would replace the Lua library of that name; choose another name"
                .to_string(),
        ),
    ] {
        let lapps = format!("{{\"services\": {{\n\"{name}\": {{\"request_target\": \"/a\"}}}}}}");
        assert_eq!(mistakes("{}", &lapps), [format!("lapps.json:2: {told}")]);
    }
}

#[test]
fn headers_that_cannot_be_sent() {
    const TARGET: &str = "\"request_target\": \"/a\",\n\"extra_headers\": ";
    let told = |headers: &str, told: &str| each_service(&[(&format!("{TARGET}{headers}"), told)]);
    told(
        r#"{"X A": "1"}"#,
        "lapps.json:3: services.a.extra_headers.X A = \"1\": \"X A\" cannot be the name of a header field; letters, \
         digits and !#$%&'*+-.^_`|~ are allowed in a name",
    );
    told(
        r#"{"X": "1\r\nSet-Cookie: a=b"}"#,
        "lapps.json:3: services.a.extra_headers.X = \"1\\r\\nSet-Cookie: a=b\": cannot be the value of a header field; \
         text without control characters and without blanks at its ends",
    );
    for name in ["Upgrade", "connection", "Sec-WebSocket-Protocol", "Content-Length"] {
        told(
            &format!(r#"{{"{name}": "1"}}"#),
            &format!(
                "lapps.json:3: services.a.extra_headers.{name} = \"1\": the server writes this header field itself; \
                 leave it out (the subprotocol is named by proto_alias)"
            ),
        );
    }
    told(
        r#"{"X": 1}"#,
        "lapps.json:3: services.a.extra_headers.X = 1: is a number; allowed is an object of strings: header names with \
         their values",
    );
}

#[test]
fn origins_that_no_browser_sends() {
    let allowed = "allowed is a list of strings: origins such as \"https://example.org\" or \"http://localhost:8080\", or \"null\"";
    for (origin, wrong) in [
        ("*", "there is no such origin; leave the key out to allow any"),
        ("example.org", "an origin begins with a scheme such as https://"),
        ("https://", "is no origin"),
        ("https://example.org/", "an origin ends after host and port, without a slash"),
        ("https://example.org:443", "browsers leave the scheme's own port out of an origin"),
    ] {
        each_service(&[(
            &format!("\"request_target\": \"/a\", \"origins\": [\"http://a\", \"{origin}\"]"),
            &format!("lapps.json:2: services.a.origins[1] = \"{origin}\": {wrong}; {allowed}"),
        )]);
    }
}

#[test]
fn a_dependency_that_is_not_there_is_told_with_the_nearest() {
    let lapps = r#"{"services": {
  "chat": { "request_target": "/chat", "depends": [
      "storage",
      "storaeg2", "xyz"
  ] },
  "storage": { "standalone": true },
  "storage2": { "standalone": true }
}}"#;
    assert_eq!(
        mistakes("{}", lapps),
        [
            "lapps.json:4: services.chat.depends[1] = \"storaeg2\": there is no such service; the services are chat, \
             storage, storage2 [did you mean \"storage2\"?]",
            "lapps.json:4: services.chat.depends[2] = \"xyz\": there is no such service; the services are chat, storage, \
             storage2",
        ]
    );
}

#[test]
fn services_that_depend_on_each_other_are_told_as_a_circle() {
    let lapps = r#"{"services": {
  "a": { "request_target": "/a", "depends": ["b"] },
  "b": { "request_target": "/b", "depends": ["c"] },
  "c": { "request_target": "/c", "depends": ["a"] },
  "d": { "request_target": "/d", "depends": ["d"] }
}}"#;
    assert_eq!(
        mistakes("{}", lapps),
        [
            "lapps.json:4: services.c.depends[0] = \"a\": the services depend on each other in a circle: a -> b -> c -> \
             a; none of them could be started first",
            "lapps.json:5: services.d.depends[0] = \"d\": the services depend on each other in a circle: d -> d; none \
             of them could be started first",
        ]
    );
}

#[test]
fn a_missing_services_file_is_told_with_what_to_write() {
    let home = tempfile::tempdir().unwrap();
    let mistakes = load(home.path(), Some("{}"), None).unwrap_err().to_string();
    let (file, rest) = mistakes.split_once(": ").unwrap();
    assert_eq!(Path::new(file), home.path().join("etc/conf/lapps.json"));
    let start = rest.find('{').unwrap();
    let end = rest.rfind('}').unwrap();
    assert!(rest.starts_with("there is no such file; to begin, write {"), "{rest}");
    assert!(rest.contains(&home.path().join("apps/hello/hello.lua").display().to_string()), "{rest}");

    let config = load(home.path(), None, Some(&rest[start..=end])).expect("what it says is right");
    assert_eq!(config.services[0].request_target, "/hello");
}

#[test]
fn a_home_that_is_not_there_is_told() {
    let places = Places::find(Some(Path::new("/nowhere/at/all")), &|_| None).unwrap();
    assert_eq!(
        config::load(&places).unwrap_err().to_string(),
        "/nowhere/at/all/etc/conf/lapps.json: there is no such file, and no home directory /nowhere/at/all"
    );
}

#[test]
fn a_file_that_the_environment_names_has_to_be_there() {
    let home = tempfile::tempdir().unwrap();
    let env = |name: &str| (name == "WS_CONFIG").then(|| "other.json".into());
    let places = Places::find(Some(home.path()), &env).unwrap();
    fs::create_dir_all(&places.conf_dir).unwrap();
    fs::write(&places.lapps_file, NO_SERVICES).unwrap();
    let mistakes = config::load(&places).unwrap_err().to_string();
    assert_eq!(
        mistakes,
        format!("{}: there is no such file, but WS_CONFIG names it", places.ws_file.display())
    );
    fs::write(&places.ws_file, "{}").unwrap();
    config::load(&places).unwrap();
}

#[test]
fn a_file_that_is_not_text_or_cannot_be_read_is_told() {
    let home = tempfile::tempdir().unwrap();
    let places = Places::find(Some(home.path()), &|_| None).unwrap();
    fs::create_dir_all(&places.ws_file).unwrap();
    fs::write(&places.lapps_file, b"{\n\"services\": {\n\"caf\xe9\": {}}}").unwrap();
    let mistakes = config::load(&places).unwrap_err();
    assert_eq!(mistakes.0.len(), 2, "{mistakes}");
    let [ws, lapps] = [&mistakes.0[0], &mistakes.0[1]].map(ToString::to_string);
    assert!(ws.starts_with(&format!("{}: cannot be read: ", places.ws_file.display())), "{ws}");
    assert_eq!(lapps, format!("{}:3: is not UTF-8 in this line", places.lapps_file.display()));
}
