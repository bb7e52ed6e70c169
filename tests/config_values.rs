//! What the configuration files say is what the types hold; what they leave out has its default.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lapps::config::acl::Acl;
use lapps::config::{
    self, Concurrency, Config, Gc, Io, Log, LogFormat, Placement, Places, Protocol, Service, Source,
    TlsVersion,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

fn load(home: &Path, ws: Option<&str>, lapps: &str) -> Config {
    let places = Places::find(Some(home), &|_| None).unwrap();
    fs::create_dir_all(&places.conf_dir).unwrap();
    if let Some(ws) = ws {
        fs::write(&places.ws_file, ws).unwrap();
    }
    fs::write(&places.lapps_file, lapps).unwrap();
    config::load(&places).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn load_in_new_home(ws: &str, lapps: &str) -> Config {
    load(tempfile::tempdir().unwrap().path(), Some(ws), lapps)
}

/// The only service of a file, given its body without the target.
fn service(body: &str) -> Service {
    let lapps = format!(r#"{{"services": {{"a": {{"request_target": "/a" {body}}}}}}}"#);
    load_in_new_home("{}", &lapps).services.remove(0)
}

#[test]
fn the_defaults_of_the_server() {
    let home = tempfile::tempdir().unwrap();
    let config = load(home.path(), Some("{}"), "{}");
    assert_eq!(config.listen.listeners, 2);
    assert_eq!(config.listen.ip.to_string(), "0.0.0.0");
    assert_eq!(config.listen.port, 5083);
    assert_eq!(config.workers.count, core_affinity::get_core_ids().unwrap().len());
    assert_eq!(config.workers.max_connections, 10_000);
    assert_eq!(config.workers.connection_weight, 1.0);
    assert!(!config.workers.auto_fragment);
    assert_eq!(config.workers.max_poll_events, 300);
    assert_eq!(config.workers.max_poll_wait, None);
    assert_eq!(config.workers.read_buffer, 64 * KIB);
    assert!(config.workers.pin);
    assert_eq!(config.workers.io, Io::Epoll);
    assert_eq!(config.acl, Acl::default());
    assert_eq!(config.tls, None);
    assert!(!config.auto_save);
    assert!(!config.demo);
    assert_eq!(config.timeouts.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.timeouts.handshake, Duration::from_secs(10));
    assert_eq!(config.timeouts.ping, Duration::from_secs(30));
    assert_eq!(config.timeouts.idle, Duration::from_secs(60));
    assert_eq!(config.timeouts.stalled, Duration::from_secs(30));
    assert_eq!(config.timeouts.closing, Duration::from_secs(2));
    assert_eq!((config.queues.messages, config.queues.bytes), (65_536, 256 * MIB));
    assert_eq!(config.directories.home, home.path());
    assert_eq!(config.directories.applications, home.path().join("apps"));
    assert_eq!(config.directories.app_conf, home.path().join("etc"));
    assert_eq!(config.directories.tmp, home.path().join("tmp"));
    assert_eq!(config.directories.workdir, home.path().join("workdir"));
    assert_eq!(config.directories.deploy, home.path().join("deploy"));
    assert_eq!(config.services, []);
}

#[test]
fn without_a_server_file_the_server_is_on_loopback() {
    let home = tempfile::tempdir().unwrap();
    let config = load(home.path(), None, "{}");
    assert_eq!(config.listen.ip.to_string(), "127.0.0.1");
    assert_eq!(config.listen.port, 5083);
}

#[test]
fn the_defaults_of_a_service() {
    assert_eq!(
        service(""),
        Service {
            name: "a".to_string(),
            auto_start: true,
            placement: Placement::Worker,
            protocol: Protocol::Raw,
            request_target: "/a".to_string(),
            max_inbound_message_size: MIB,
            max_fragments: 16_384,
            outgoing_high_water: 256 * KIB,
            outgoing_limit: 4 * MIB,
            max_lua_memory: 256 * MIB,
            gc: Gc::default(),
            spin: Duration::ZERO,
            concurrency: None,
            preload: Vec::new(),
            acl: Acl::default(),
            origins: None,
            extra_headers: Vec::new(),
            proto_alias: None,
            depends: Vec::new(),
            lapps_strict: false,
            source: Source::Apps,
        }
    );
}

#[test]
fn all_keys_of_the_server() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("ssl")).unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(home.path().join("ssl").join(name), "").unwrap();
    }
    let key = home.path().join("ssl/key.pem");
    let ws = format!(
        r#"{{
  "listeners": 3, "connection_weight": 0.7, "ip": "::1", "port": 0, "lapps_config_auto_save": true,
  "workers": {{ "workers": 4, "max_connections": 5, "auto_fragment": true, "max_poll_events": 256, "max_poll_wait_ms": 10,
               "max_inbounds_skip": 50, "input_buffer_size": 131072, "pin": false, "io": "io_uring" }},
  "acl": {{ "policy": "deny", "exclude": ["127.0.0.0/8", "::1"] }},
  "tls": true, "tls_client_version": 3, "tls_server_version": 4,
  "tls_certificates": {{ "ca": "./ssl/ca.pem", "cert": "ssl/cert.pem", "key": "{}" }},
  "shutdown_grace_ms": 1, "handshake_timeout_ms": 2, "ping_interval_ms": 3, "idle_timeout_ms": 4, "stalled_writer_ms": 5,
  "close_timeout_ms": 6, "mqr_max_messages": 7, "mqr_max_bytes": 65536
}}"#,
        key.display()
    );
    let config = load(home.path(), Some(&ws), "{}");
    assert_eq!((config.listen.listeners, config.listen.port), (3, 0));
    assert_eq!(config.listen.ip.to_string(), "::1");
    assert!(config.auto_save && config.workers.auto_fragment && !config.workers.pin);
    assert_eq!(config.workers.io, Io::IoUring);
    assert_eq!(config.workers.connection_weight, 0.7);
    assert_eq!(config.workers.count, 4);
    assert_eq!(config.workers.max_connections, 5);
    assert_eq!(config.workers.max_poll_events, 256);
    assert_eq!(config.workers.max_poll_wait, Some(Duration::from_millis(10)));
    assert_eq!(config.workers.read_buffer, 128 * KIB);
    assert!(config.acl.admits("127.1.2.3".parse().unwrap()));
    assert!(!config.acl.admits("128.1.2.3".parse().unwrap()));
    let tls = config.tls.unwrap();
    assert_eq!((tls.minimum, config.client_tls.minimum), (TlsVersion::Tls13, TlsVersion::Tls12));
    assert_eq!(tls.certificate, home.path().join("ssl/cert.pem"));
    assert_eq!(tls.key, key);
    assert_eq!(
        fs::canonicalize(config.client_tls.ca.unwrap()).unwrap(),
        fs::canonicalize(home.path().join("ssl/ca.pem")).unwrap()
    );
    let times = &config.timeouts;
    let times = [times.shutdown_grace, times.handshake, times.ping, times.idle, times.stalled, times.closing];
    assert_eq!(times.map(|time| time.as_millis()), [1, 2, 3, 4, 5, 6]);
    assert_eq!((config.queues.messages, config.queues.bytes), (7, 64 * KIB));
}

#[test]
fn the_log_is_where_and_as_it_is_configured() {
    let log = load_in_new_home("{}", "{}").log;
    assert_eq!(log, Log { file: None, format: LogFormat::Text, level: None });
    let home = tempfile::tempdir().unwrap();
    let ws = r#"{"log": {"file": "log/a.log", "format": "json", "level": "warn,lapps::engine=debug"}}"#;
    let expected = Log {
        file: Some(home.path().join("log/a.log")),
        format: LogFormat::Json,
        level: Some("warn,lapps::engine=debug".to_string()),
    };
    assert_eq!(load(home.path(), Some(ws), "{}").log, expected);
}

#[test]
fn all_keys_of_a_service() {
    let service = service(
        r#", "auto_start": false, "placement": "dedicated", "instances": 3, "standalone": false, "internal": false,
        "protocol": "LAppS", "max_inbound_message_size": 100, "max_fragments": 7, "outgoing_high_water": 2000,
        "outgoing_limit": 3000, "max_lua_memory": 1048576, "gc": {"pause": 150, "stepmul": 300},
        "spin_us": 20, "concurrency": "free",
        "preload": ["time", "nap", "bcast", "time"],
        "acl": {"exclude": ["192.0.2.1"]}, "origins": ["https://Example.org", "null"],
        "extra_headers": {"X-B": "2", "X-A": "1"}, "proto_alias": "chat.v1", "depends": [], "lapps_strict": true"#,
    );
    assert!(!service.auto_start && service.lapps_strict);
    assert_eq!(service.placement, Placement::Dedicated(3));
    assert_eq!(service.protocol, Protocol::Lapps);
    assert_eq!((service.max_inbound_message_size, service.max_fragments), (100, 7));
    assert_eq!((service.outgoing_high_water, service.outgoing_limit), (2000, 3000));
    assert_eq!(service.max_lua_memory, MIB);
    assert_eq!(service.gc, Gc { pause: Some(150), stepmul: Some(300) });
    assert_eq!(service.spin, Duration::from_micros(20));
    assert_eq!(service.concurrency, Some(Concurrency::Free));
    assert_eq!(service.preload, ["time", "nap"]);
    assert!(!service.acl.admits("192.0.2.1".parse().unwrap()));
    assert_eq!(service.origins.unwrap(), ["https://example.org", "null"]);
    let headers: Vec<_> =
        service.extra_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("X-A", "1"), ("X-B", "2")]);
    assert_eq!(service.proto_alias.as_deref(), Some("chat.v1"));
}

#[test]
fn the_placement_follows_from_the_keys() {
    for (body, placement) in [
        ("", Placement::Worker),
        (r#", "placement": "worker""#, Placement::Worker),
        (r#", "standalone": false"#, Placement::Worker),
        (r#", "instances": 1"#, Placement::Dedicated(1)),
        (r#", "instances": 1024, "internal": false"#, Placement::Dedicated(1024)),
        (r#", "placement": "dedicated""#, Placement::Dedicated(1)),
        (r#", "placement": "dedicated", "instances": 2"#, Placement::Dedicated(2)),
        (r#", "standalone": true"#, Placement::Standalone(1)),
        (r#", "internal": true, "instances": 4"#, Placement::Standalone(4)),
        (r#", "internal": true, "standalone": true"#, Placement::Standalone(1)),
        (r#", "placement": "standalone", "instances": 2, "standalone": true"#, Placement::Standalone(2)),
    ] {
        assert_eq!(service(body).placement, placement, "{body}");
    }
}

#[test]
fn which_events_may_interleave() {
    for (body, concurrency) in [
        ("", None),
        (r#", "concurrency": "serial""#, Some(Concurrency::Serial)),
        (r#", "concurrency": "connection""#, Some(Concurrency::Connection)),
        (r#", "concurrency": "free", "instances": 2"#, Some(Concurrency::Free)),
    ] {
        assert_eq!(service(body).concurrency, concurrency, "{body}");
    }
}

#[test]
fn a_standalone_service_has_no_target() {
    let lapps = r#"{"services": {"clock": {"internal": true}, "old": {"internal": true, "request_target": ""},
        "older": {"internal": true, "request_target": "/x"}, "new": {"request_target": "/x"}}}"#;
    let config = load_in_new_home("{}", lapps);
    let targets: Vec<_> = config.services.iter().map(|service| service.request_target.as_str()).collect();
    assert_eq!(targets, ["", "/x", "", ""]);
}

#[test]
fn defaults_of_a_service_that_follow_from_other_keys() {
    let of = |body: &str| {
        let service = service(body);
        (service.max_fragments, service.outgoing_high_water, service.outgoing_limit)
    };
    assert_eq!(of(r#", "max_inbound_message_size": 16777216"#), (16 * MIB as u32 / 64, 256 * KIB, 32 * MIB));
    assert_eq!(of(r#", "max_inbound_message_size": 1073741824"#), (GIB as u32 / 64, 256 * KIB, 2 * GIB));
    assert_eq!(of(r#", "outgoing_high_water": 8388608"#), (16_384, 8 * MIB, 8 * MIB));
    assert_eq!(of(r#", "outgoing_limit": 100000"#), (16_384, 100_000, 100_000));
}

#[test]
fn dependencies_are_started_first_and_always() {
    let lapps = r#"{"services": {
        "a": {"request_target": "/a", "depends": ["z"]},
        "b": {"request_target": "/b", "auto_start": false},
        "y": {"standalone": true, "auto_start": false},
        "z": {"standalone": true, "auto_start": false, "depends": ["y"]}
    }}"#;
    let config = load_in_new_home("{}", lapps);
    let order: Vec<_> =
        config.services.iter().map(|service| (service.name.as_str(), service.auto_start)).collect();
    assert_eq!(order, [("y", true), ("z", true), ("a", true), ("b", false)]);
}

#[test]
fn numbers_may_be_written_as_other_programs_write_them() {
    let config = load_in_new_home(r#"{"port": 8e3, "listeners": 4.0, "connection_weight": 2}"#, "{}");
    assert_eq!((config.listen.port, config.listen.listeners), (8000, 4));
    assert_eq!(config.workers.connection_weight, 2.0);
}

#[test]
fn directories_may_be_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let lapps = r#"{"directories": {"applications": "/srv/apps", "deploy": "in/box"}}"#;
    let directories = load(home.path(), Some("{}"), lapps).directories;
    assert_eq!(directories.applications, Path::new("/srv/apps"));
    assert_eq!(directories.deploy, home.path().join("in/box"));
}

#[test]
fn a_relative_home_becomes_absolute() {
    let places = Places::find(Some(Path::new("examples/demo")), &|_| None).unwrap();
    let directories = config::load(&places).unwrap().directories;
    assert!(directories.home.is_absolute() && directories.applications.is_absolute());
    assert!(directories.applications.ends_with("examples/demo/apps"));
}

#[test]
fn a_configuration_of_the_original_is_read_unchanged() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("ssl")).unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(home.path().join("ssl").join(name), "").unwrap();
    }
    let ws = r#"{
  "listeners": 2, "connection_weight": 0.7, "ip": "0.0.0.0", "port": 5083, "lapps_config_auto_save": true,
  "workers": { "workers": 3, "max_connections": 10000, "auto_fragment": false, "max_poll_events": 256,
               "max_poll_wait_ms": 10, "max_inbounds_skip": 50, "input_buffer_size": 2048 },
  "acl": { "policy": "allow", "exclude": [] },
  "tls": true, "tls_server_version": 4, "tls_client_version": 4,
  "tls_certificates": { "ca": "./ssl/ca.pem", "cert": "./ssl/cert.pem", "key": "./ssl/key.pem" }
}"#;
    let lapps = r#"{
  "directories": { "applications": "apps", "app_conf_dir": "etc", "tmp": "tmp", "workdir": "workdir", "deploy": "deploy" },
  "services": {
    "echo": { "auto_start": true, "instances": 3, "internal": false, "protocol": "raw", "request_target": "/echo",
              "max_inbound_message_size": 1000000, "preload": null, "acl": { "policy": "allow", "exclude": [] },
              "extra_headers": { "Strict-Transport-Security": "max-age=31536000; includeSubDomains" } },
    "chat": { "auto_start": true, "instances": 2, "standalone": false, "protocol": "LAppS", "request_target": "/chat",
              "max_inbound_message_size": 300000, "proto_alias": "chat", "preload": ["time"], "depends": ["ticker"] },
    "ticker": { "auto_start": false, "instances": 1, "standalone": true, "preload": ["nap", "time", "mqr"] }
  }
}"#;
    let config = load(home.path(), Some(ws), lapps);
    let names: Vec<_> =
        config.services.iter().map(|service| (service.name.as_str(), service.placement)).collect();
    assert_eq!(
        names,
        [
            ("ticker", Placement::Standalone(1)),
            ("chat", Placement::Dedicated(2)),
            ("echo", Placement::Dedicated(3))
        ]
    );
    assert!(config.services.iter().all(|service| service.auto_start));
}
