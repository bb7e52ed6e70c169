//! Every key of both configuration files: its name, type, range and default, in one table that drives the reading.

/// One key of a configuration file.
#[derive(Debug)]
pub struct Key {
    /// The name as it is written in the file.
    pub name: &'static str,
    /// What may be written as its value.
    pub kind: Kind,
    /// What holds when the key is absent.
    pub default: Fallback,
}

/// The type and range of a key's value.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number in a closed range.
    Integer {
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
    },
    /// One of these whole numbers; the words say what each of them means.
    Numbers(&'static [(u64, &'static str)]),
    /// A number above 0 and not above `max`.
    Positive {
        /// The largest allowed value.
        max: f64,
    },
    /// A string; the words say which ones are allowed.
    Text(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings; the words say of what.
    List(&'static str),
    /// A list of strings or `null`, which is the same as an empty list.
    ListOrNull(&'static str),
    /// An object whose names are free and whose values are strings; the words say what they are.
    Strings(&'static str),
    /// An object with these keys.
    Section(&'static [Key]),
    /// An object whose names are free and whose values are objects with these keys.
    Sections(&'static [Key]),
}

/// What holds when a key is absent.
#[derive(Debug)]
pub enum Fallback {
    /// The same as if this had been written (a string without its quotes).
    Written(&'static str),
    /// Depends on something else; the words say on what.
    Computed(&'static str),
    /// Absent is a meaning of its own; the words say which.
    Absent(&'static str),
    /// The key has to be there; the words say when.
    Required(&'static str),
}

use Fallback::{Absent, Computed, Required, Written};
use Kind::{Flag, Integer, List, ListOrNull, Numbers, OneOf, Positive, Section, Sections, Strings, Text};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TLS_VERSIONS: Kind = Numbers(&[(3, "TLS 1.2 and 1.3"), (4, "TLS 1.3 only")]);
/// A day: the longest time that a key in milliseconds may say.
const DAY_MS: u64 = 86_400_000;

const fn key(name: &'static str, kind: Kind, default: Fallback) -> Key {
    Key { name, kind, default }
}

pub(super) const LISTENERS: Key = key("listeners", Integer { min: 1, max: 64 }, Written("2"));
pub(super) const CONNECTION_WEIGHT: Key = key("connection_weight", Positive { max: 1e6 }, Written("1.0"));
pub(super) const IP: Key =
    key("ip", Text("an IPv4 or IPv6 address such as \"127.0.0.1\" or \"::\""), Written("0.0.0.0"));
pub(super) const PORT: Key = key("port", Integer { min: 0, max: 65_535 }, Written("5083"));
pub(super) const AUTO_SAVE: Key = key("lapps_config_auto_save", Flag, Written("false"));
pub(super) const WORKERS: Key = key("workers", Section(WORKERS_KEYS), Absent("all defaults"));
pub(super) const ACL: Key = key("acl", Section(ACL_KEYS), Absent("everybody is let in"));
pub(super) const TLS: Key = key("tls", Flag, Written("false"));
pub(super) const TLS_CLIENT_VERSION: Key = key("tls_client_version", TLS_VERSIONS, Written("3"));
pub(super) const TLS_SERVER_VERSION: Key = key("tls_server_version", TLS_VERSIONS, Written("3"));
pub(super) const TLS_CERTIFICATES: Key =
    key("tls_certificates", Section(CERTIFICATE_KEYS), Required("if tls is true"));
pub(super) const SHUTDOWN_GRACE_MS: Key =
    key("shutdown_grace_ms", Integer { min: 0, max: DAY_MS }, Written("10000"));
pub(super) const HANDSHAKE_TIMEOUT_MS: Key =
    key("handshake_timeout_ms", Integer { min: 1, max: DAY_MS }, Written("10000"));
pub(super) const PING_INTERVAL_MS: Key =
    key("ping_interval_ms", Integer { min: 1, max: DAY_MS }, Written("30000"));
pub(super) const IDLE_TIMEOUT_MS: Key =
    key("idle_timeout_ms", Integer { min: 1, max: DAY_MS }, Written("60000"));
pub(super) const STALLED_WRITER_MS: Key =
    key("stalled_writer_ms", Integer { min: 1, max: DAY_MS }, Written("30000"));
pub(super) const CLOSE_TIMEOUT_MS: Key =
    key("close_timeout_ms", Integer { min: 1, max: DAY_MS }, Written("2000"));
pub(super) const MQR_MAX_MESSAGES: Key =
    key("mqr_max_messages", Integer { min: 1, max: 1 << 24 }, Written("65536"));
pub(super) const MQR_MAX_BYTES: Key =
    key("mqr_max_bytes", Integer { min: 64 * KIB, max: 1024 * GIB }, Written("268435456"));

pub(super) const ADMIN: Key =
    key("admin", Section(ADMIN_KEYS), Absent("nobody can ask the server how it is"));

pub(super) const LOG: Key = key("log", Section(LOG_KEYS), Absent("text on standard error"));

pub(super) const CONTROL_SOCKET: Key = key(
    "control_socket",
    Text("a path; a relative one starts at the home directory"),
    Computed("lapps.sock in directories.workdir"),
);

/// The keys of `ws.json`.
pub const WS: &[Key] = &[
    LISTENERS,
    CONNECTION_WEIGHT,
    IP,
    PORT,
    AUTO_SAVE,
    WORKERS,
    ACL,
    TLS,
    TLS_CLIENT_VERSION,
    TLS_SERVER_VERSION,
    TLS_CERTIFICATES,
    SHUTDOWN_GRACE_MS,
    HANDSHAKE_TIMEOUT_MS,
    PING_INTERVAL_MS,
    IDLE_TIMEOUT_MS,
    STALLED_WRITER_MS,
    CLOSE_TIMEOUT_MS,
    MQR_MAX_MESSAGES,
    MQR_MAX_BYTES,
    ADMIN,
    CONTROL_SOCKET,
    LOG,
];

pub(super) const ADMIN_LISTEN: Key = key(
    "listen",
    Text("an address with a port such as \"127.0.0.1:9180\" or \"[::1]:9180\"; port 0 is any free one"),
    Required("if admin is there"),
);
pub(super) const ADMIN_REMOTE: Key = key("remote", Flag, Written("false"));

const ADMIN_KEYS: &[Key] = &[ADMIN_LISTEN, ADMIN_REMOTE];

pub(super) const LOG_FILE: Key =
    key("file", Text("a path; a relative one starts at the home directory"), Absent("standard error"));
pub(super) const LOG_FORMAT: Key = key("format", OneOf(&["text", "json"]), Written("text"));
pub(super) const LOG_LEVEL: Key = key(
    "level",
    Text("error, warn, info, debug or trace, or levels by target such as \"info,lapps::engine=debug\""),
    Written("info"),
);

const LOG_KEYS: &[Key] = &[LOG_FILE, LOG_FORMAT, LOG_LEVEL];

pub(super) const WORKER_COUNT: Key =
    key("workers", Integer { min: 1, max: 255 }, Computed("the number of cores that this process may use"));
pub(super) const MAX_CONNECTIONS: Key =
    key("max_connections", Integer { min: 1, max: 1 << 24 }, Written("10000"));
pub(super) const AUTO_FRAGMENT: Key = key("auto_fragment", Flag, Written("false"));
pub(super) const MAX_POLL_EVENTS: Key =
    key("max_poll_events", Integer { min: 1, max: 65_536 }, Written("300"));
pub(super) const MAX_POLL_WAIT_MS: Key = key(
    "max_poll_wait_ms",
    Integer { min: 0, max: 60_000 },
    Absent("a worker sleeps until there is something to do"),
);
pub(super) const MAX_INBOUNDS_SKIP: Key =
    key("max_inbounds_skip", Integer { min: 0, max: u32::MAX as u64 }, Absent("no effect"));
pub(super) const INPUT_BUFFER_SIZE: Key =
    key("input_buffer_size", Integer { min: 1, max: 64 * MIB }, Written("2048"));
pub(super) const PIN: Key = key("pin", Flag, Written("true"));
pub(super) const IO: Key = key("io", OneOf(&["epoll", "io_uring", "auto"]), Written("epoll"));

const WORKERS_KEYS: &[Key] = &[
    WORKER_COUNT,
    MAX_CONNECTIONS,
    AUTO_FRAGMENT,
    MAX_POLL_EVENTS,
    MAX_POLL_WAIT_MS,
    MAX_INBOUNDS_SKIP,
    INPUT_BUFFER_SIZE,
    PIN,
    IO,
];

pub(super) const POLICY: Key = key("policy", OneOf(&["allow", "deny"]), Written("allow"));
pub(super) const EXCLUDE: Key = key(
    "exclude",
    List("addresses or networks such as \"10.0.0.0/8\", \"192.168.1.7\", \"2001:db8::/32\""),
    Absent("an empty list"),
);

const ACL_KEYS: &[Key] = &[POLICY, EXCLUDE];

pub(super) const CA: Key = key("ca", Text("the path of a PEM file"), Absent("none"));
pub(super) const CERT: Key = key("cert", Text("the path of a PEM file"), Required("if tls is true"));
pub(super) const CERT_KEY: Key = key("key", Text("the path of a PEM file"), Required("if tls is true"));

const CERTIFICATE_KEYS: &[Key] = &[CA, CERT, CERT_KEY];

pub(super) const DIRECTORIES: Key = key("directories", Section(DIRECTORY_KEYS), Absent("all defaults"));
pub(super) const SERVICES: Key = key("services", Sections(SERVICE_KEYS), Absent("no services"));

/// The keys of `lapps.json`.
pub const LAPPS: &[Key] = &[DIRECTORIES, SERVICES];

const PATH: Kind = Text("a path; a relative one starts at the home directory");

pub(super) const APPLICATIONS: Key = key("applications", PATH, Written("apps"));
pub(super) const APP_CONF_DIR: Key = key("app_conf_dir", PATH, Written("etc"));
pub(super) const TMP: Key = key("tmp", PATH, Written("tmp"));
pub(super) const WORKDIR: Key = key("workdir", PATH, Written("workdir"));
pub(super) const DEPLOY: Key = key("deploy", PATH, Written("deploy"));

const DIRECTORY_KEYS: &[Key] = &[APPLICATIONS, APP_CONF_DIR, TMP, WORKDIR, DEPLOY];

pub(super) const AUTO_START: Key = key("auto_start", Flag, Written("true"));
pub(super) const INSTANCES: Key = key(
    "instances",
    Integer { min: 1, max: 1024 },
    Computed("1 for a dedicated or standalone service; a service in the workers has none"),
);
pub(super) const STANDALONE: Key = key("standalone", Flag, Written("false"));
pub(super) const INTERNAL: Key = key("internal", Flag, Written("false"));
pub(super) const PLACEMENT: Key = key(
    "placement",
    OneOf(&["worker", "dedicated", "standalone"]),
    Computed("standalone if that key says so, dedicated if instances is there, else worker"),
);
pub(super) const PROTOCOL: Key = key("protocol", OneOf(&["raw", "LAppS"]), Written("raw"));
pub(super) const REQUEST_TARGET: Key =
    key("request_target", Text("a path such as \"/echo\""), Required("unless the service is standalone"));
pub(super) const MAX_INBOUND_MESSAGE_SIZE: Key =
    key("max_inbound_message_size", Integer { min: 1, max: GIB }, Written("1048576"));
pub(super) const MAX_FRAGMENTS: Key = key(
    "max_fragments",
    Integer { min: 1, max: u32::MAX as u64 },
    Computed("16384, or max_inbound_message_size / 64 if that is more"),
);
pub(super) const OUTGOING_HIGH_WATER: Key = key(
    "outgoing_high_water",
    Integer { min: 1, max: 4 * GIB },
    Computed("262144, or outgoing_limit if that is less"),
);
pub(super) const OUTGOING_LIMIT: Key = key(
    "outgoing_limit",
    Integer { min: KIB, max: 4 * GIB },
    Computed("4194304, or twice max_inbound_message_size or outgoing_high_water if that is more"),
);
pub(super) const MAX_LUA_MEMORY: Key =
    key("max_lua_memory", Integer { min: MIB, max: 1024 * GIB }, Written("268435456"));
pub(super) const GC: Key = key("gc", Section(GC_KEYS), Absent("as the size of the heap suggests"));
pub(super) const GC_PAUSE: Key =
    key("pause", Integer { min: 100, max: 1000 }, Computed("200, less near max_lua_memory"));
pub(super) const GC_STEPMUL: Key =
    key("stepmul", Integer { min: 100, max: 1000 }, Computed("200, more near max_lua_memory"));
/// The keys of `gc`.
pub(super) const GC_KEYS: &[Key] = &[GC_PAUSE, GC_STEPMUL];
pub(super) const SPIN_US: Key = key("spin_us", Integer { min: 0, max: 1000 }, Written("0"));
pub(super) const CONCURRENCY: Key = key(
    "concurrency",
    OneOf(&["serial", "connection", "free"]),
    Computed("serial if the service has only onStart, onMessage, onDisconnect, onShutdown, else connection"),
);
pub(super) const PRELOAD: Key = key(
    "preload",
    ListOrNull("the modules nap, time, pam_auth, murmur, mqr, cws (ws, bcast and nljson need no preload)"),
    Absent("an empty list"),
);
pub(super) const ORIGINS: Key = key(
    "origins",
    List("origins such as \"https://example.org\" or \"http://localhost:8080\", or \"null\""),
    Absent("any origin"),
);
pub(super) const EXTRA_HEADERS: Key =
    key("extra_headers", Strings("header names with their values"), Absent("none"));
pub(super) const PROTO_ALIAS: Key =
    key("proto_alias", Text("a WebSocket subprotocol name"), Absent("no subprotocol in the answer"));
pub(super) const DEPENDS: Key = key("depends", List("names of services"), Absent("an empty list"));
pub(super) const LAPPS_STRICT: Key = key("lapps_strict", Flag, Written("false"));

/// In the configuration that comes with an archive; in `lapps.json` the name is the section's.
pub(super) const NAME: Key =
    key("name", Text("the name of the archive's root directory"), Required("in an archive"));

/// The keys of one service.
pub(super) const SERVICE_KEYS: &[Key] = &[
    AUTO_START,
    INSTANCES,
    STANDALONE,
    INTERNAL,
    PLACEMENT,
    PROTOCOL,
    REQUEST_TARGET,
    MAX_INBOUND_MESSAGE_SIZE,
    MAX_FRAGMENTS,
    OUTGOING_HIGH_WATER,
    OUTGOING_LIMIT,
    MAX_LUA_MEMORY,
    GC,
    SPIN_US,
    CONCURRENCY,
    PRELOAD,
    ACL,
    ORIGINS,
    EXTRA_HEADERS,
    PROTO_ALIAS,
    DEPENDS,
    LAPPS_STRICT,
];

impl Kind {
    /// Whether a whole number may be written.
    pub(super) fn admits(&self, number: u64) -> bool {
        match self {
            Integer { min, max } => (min..=max).contains(&&number),
            Numbers(numbers) => numbers.iter().any(|(known, _)| *known == number),
            _ => false,
        }
    }

    /// What may be written, in words.
    pub fn allowed(&self) -> String {
        match self {
            Flag => "true or false".to_string(),
            Integer { min, max } => format!("a whole number from {min} to {max}"),
            Numbers(numbers) => {
                let words: Vec<_> =
                    numbers.iter().map(|(number, means)| format!("{number} ({means})")).collect();
                words.join(" or ")
            }
            Positive { max } => format!("a number above 0 and not above {max}"),
            Text(what) => format!("a string: {what}"),
            OneOf(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "),
            List(what) => format!("a list of strings: {what}"),
            ListOrNull(what) => format!("null or a list of strings: {what}"),
            Strings(what) => format!("an object of strings: {what}"),
            Section(_) => "an object".to_string(),
            Sections(_) => "an object of objects".to_string(),
        }
    }

    /// The keys that may stand below this one.
    pub fn below(&self) -> &'static [Key] {
        match self {
            Section(keys) | Sections(keys) => keys,
            _ => &[],
        }
    }
}

/// The full names of all keys below `keys`, as in `workers.pin` and `services.NAME.depends`.
pub fn paths(keys: &'static [Key]) -> Vec<(String, &'static Key)> {
    let mut found = Vec::new();
    for key in keys {
        found.push((key.name.to_string(), key));
        let between = if matches!(key.kind, Sections(_)) { ".NAME." } else { "." };
        for (path, below) in paths(key.kind.below()) {
            found.push((format!("{}{between}{path}", key.name), below));
        }
    }
    found
}
