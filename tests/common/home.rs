//! A server's home in a temporary directory.

use std::env;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The echo service of the tests.
pub const ECHO: &str = r"
local echo = {}
function echo.onStart() end
function echo.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
function echo.onDisconnect(handler) end
function echo.onShutdown() end
return echo
";

/// A home that is removed when dropped.
pub struct Home {
    directory: TempDir,
    ws: Value,
    services: Value,
}

impl Home {
    /// A home without services: two workers, any free port of the loopback. `LAPPS_TEST_IO` says by what the workers serve.
    pub fn new() -> Home {
        let mut workers = json!({ "workers": 2 });
        if let Ok(io) = env::var("LAPPS_TEST_IO") {
            workers["io"] = io.into();
        }
        let ws = json!({ "listeners": 1, "ip": "127.0.0.1", "port": 0, "workers": workers });
        Home { directory: tempfile::tempdir().expect("a temporary directory"), ws, services: json!({}) }
    }

    /// The echo service at `/echo` (co-located) and at `/echo-dedicated` (two instances).
    pub fn with_echo() -> Home {
        let large = json!({ "max_inbound_message_size": 16 * 1024 * 1024 });
        Home::new().service("echo", ECHO, large.clone()).service(
            "echo_dedicated",
            &ECHO.replace("echo", "echo_dedicated"),
            merged(
                large,
                json!({
                    "instances": 2, "request_target": "/echo-dedicated"
                }),
            ),
        )
    }

    /// Adds a service with this code. Its target is `/NAME` unless `keys`, which are merged into its configuration, say
    /// otherwise.
    pub fn service(mut self, name: &str, code: &str, keys: Value) -> Home {
        let base = json!({ "auto_start": true, "protocol": "raw", "request_target": format!("/{name}") });
        self.services[name] = merged(base, keys);
        let directory = self.directory.path().join("apps").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.lua")), code).unwrap();
        self
    }

    /// Merges `keys` into the configuration of a service that there is.
    pub fn keys(mut self, name: &str, keys: Value) -> Home {
        let service = self.services[name].take();
        self.services[name] = merged(service, keys);
        self
    }

    /// A service both co-located at `/NAME` and dedicated (one instance) at `/NAME-dedicated`. In `code`, `NAME` stands for
    /// the module's name.
    pub fn on_both(self, name: &str, code: &str, keys: Value) -> Home {
        let dedicated = format!("{name}_dedicated");
        let target = json!({ "instances": 1, "request_target": format!("/{name}-dedicated") });
        self.service(name, &code.replace("NAME", name), keys.clone()).service(
            &dedicated,
            &code.replace("NAME", &dedicated),
            merged(keys, target),
        )
    }

    /// Merges `keys` into ws.json.
    pub fn ws(mut self, keys: Value) -> Home {
        self.ws = merged(self.ws, keys);
        self
    }

    /// Makes a certificate, and the listener speak TLS with it.
    pub fn tls(self) -> Home {
        let pair = lapps::dev_cert::make(&self.path().join("tls")).unwrap();
        let files = json!({ "cert": pair.certificate, "key": pair.key });
        self.ws(json!({ "tls": true, "tls_certificates": files }))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file; directories are made.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the configuration files.
    pub fn save(&self) {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        self.write("etc/conf/ws.json", &pretty(&self.ws));
        self.write("etc/conf/lapps.json", &pretty(&json!({ "services": self.services })));
    }
}

/// `base` with the keys of `over` in place of its own; objects are merged.
pub fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let old = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(old, value));
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}
