//! The LAppS home that a comparison serves: one worker, and an echo service in both placements.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::failure::Failure;

/// Request target of the echo that runs inside of the I/O worker.
pub const CO_LOCATED: &str = "/echo";
/// Request target of the echo that has a thread of its own.
pub const DEDICATED: &str = "/echo-dedicated";

const SERVICE: &str = "\
local service = {}

function service.onStart() end

function service.onMessage(handler, opcode, message)
  local sent = ws:send(handler, opcode, message)
  return sent
end

function service.onDisconnect(handler) end

function service.onShutdown() end

return service
";

/// Request target of the LAppS-protocol echo that runs inside of the I/O worker.
pub const LAPPS_CO_LOCATED: &str = "/lapps";
/// Request target of the LAppS-protocol echo that has a thread of its own.
pub const LAPPS_DEDICATED: &str = "/lapps-dedicated";

/// What a service of the LAppS protocol does at least: it looks at the method and builds a response.
const LAPPS_SERVICE: &str = "\
local service = {}

local methods = {}

function methods.echo(handler, params)
  local response = nljson.decode('{\"cid\":0,\"status\":1,\"result\":[]}')
  response.result = params
  return ws:send(handler, response)
end

function service.onStart() end

function service.onMessage(handler, msg_type, message)
  return methods[message.method](handler, message.params)
end

function service.onDisconnect(handler) end

function service.onShutdown() end

return service
";

/// Request target of the service that sends what it is told to, to everybody who is connected to it.
pub const BROADCAST: &str = "/broadcast";
/// Bytes of the text in each broadcast, with which its message is one of 128 bytes.
pub const BROADCAST_TEXT: usize = 111;

/// Each message is a broadcast: the same one to all.
const BROADCAST_SERVICE: &str = "\
local service = {}

local CHANNEL = 5
local note

function service.onStart()
  bcast:create(CHANNEL)
  note = nljson.decode('{\"cid\":5,\"message\":[\"' .. (\"x\"):rep(111) .. '\"]}')
end

function service.onOpen(handler)
  bcast:subscribe(CHANNEL, handler)
end

function service.onMessage(handler, msg_type, message)
  return bcast:send(CHANNEL, note)
end

function service.onDisconnect(handler) end

function service.onShutdown() end

return service
";

/// What a home may have besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// Certificate and key, both PEM: the server speaks TLS.
    pub tls: Option<(&'a Path, &'a Path)>,
    /// The value of the key `io` of `ws.json`.
    pub io: Option<&'a str>,
}

/// Writes the home into the directory `home`, plain and with nothing special.
///
/// # Errors
/// As [`write_with`].
pub fn write(home: &Path) -> Result<(), Failure> {
    write_with(home, &Wishes::default())
}

/// Writes the home into the directory `home`.
///
/// # Errors
/// [`Failure::System`] names the path that cannot be written.
pub fn write_with(home: &Path, wishes: &Wishes<'_>) -> Result<(), Failure> {
    for name in ["echo", "echo_dedicated"] {
        put(&home.join("apps").join(name).join(format!("{name}.lua")), SERVICE)?;
    }
    for name in ["lapps_echo", "lapps_dedicated"] {
        put(&home.join("apps").join(name).join(format!("{name}.lua")), LAPPS_SERVICE)?;
    }
    put(&home.join("apps/broadcast/broadcast.lua"), BROADCAST_SERVICE)?;
    let conf = home.join("etc/conf");
    let workers = json!({ "workers": 1, "max_connections": 20_000 });
    let mut ws = json!({ "listeners": 1, "ip": "127.0.0.1", "port": 0, "workers": workers });
    if let Some((certificate, key)) = wishes.tls {
        ws["tls"] = json!(true);
        ws["tls_certificates"] = json!({ "cert": certificate, "key": key });
    }
    if let Some(io) = wishes.io {
        ws["workers"]["io"] = json!(io);
    }
    put(&conf.join("ws.json"), &format!("{ws:#}\n"))?;
    let service = |target: &str, protocol: &str, dedicated: bool| {
        let mut service = json!({
            "auto_start": true,
            "protocol": protocol,
            "request_target": target,
            "max_inbound_message_size": 16_777_216,
        });
        if dedicated {
            service["instances"] = json!(1);
        }
        service
    };
    let lapps = json!({ "services": {
        "echo": service(CO_LOCATED, "raw", false),
        "echo_dedicated": service(DEDICATED, "raw", true),
        "lapps_echo": service(LAPPS_CO_LOCATED, "LAppS", false),
        "lapps_dedicated": service(LAPPS_DEDICATED, "LAppS", true),
        "broadcast": service(BROADCAST, "LAppS", false),
    } });
    put(&conf.join("lapps.json"), &format!("{lapps:#}\n"))
}

/// Writes a file; directories are made.
///
/// # Errors
/// [`Failure::System`] names the path that cannot be written.
pub fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::system(format!("write {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_two_placements_differ_in_instances_and_target() {
        let home = tempfile::tempdir().unwrap();
        write(home.path()).unwrap();
        let text = fs::read_to_string(home.path().join("etc/conf/lapps.json")).unwrap();
        let lapps: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(lapps["services"]["echo"]["request_target"], CO_LOCATED);
        assert!(lapps["services"]["echo"].get("instances").is_none());
        assert_eq!(lapps["services"]["echo_dedicated"]["request_target"], DEDICATED);
        assert_eq!(lapps["services"]["echo_dedicated"]["instances"], 1);
        assert!(home.path().join("apps/echo_dedicated/echo_dedicated.lua").exists());
    }
}
