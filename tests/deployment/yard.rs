//! A home with a deploy directory, and archives for it.

use std::fs;
use std::path::PathBuf;

use lapps::services::lar::write;
use serde_json::{Value, json};

use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home, merged};
use crate::common::process::Lapps;
use crate::common::until;

/// A service that answers by its version. In it, `NAME` stands for the module's name.
pub(crate) const CODE: &str = r"
    local NAME = {}
    function NAME.onStart() print('NAME VERSION starts') end
    function NAME.onMessage(handler, opcode, message) return ws:send(handler, 1, 'VERSION ' .. message) end
    function NAME.onDisconnect(handler) print('NAME VERSION lost') end
    function NAME.onShutdown() print('NAME VERSION ends') end
    return NAME";

/// A home with the service `echo` and an empty deploy directory.
pub(crate) fn home() -> Home {
    let home = Home::new().service("echo", ECHO, json!({}));
    fs::create_dir(home.path().join("deploy")).unwrap();
    home
}

/// The code of version `version` of `name`.
pub(crate) fn code(name: &str, version: &str) -> String {
    CODE.replace("NAME", name).replace("VERSION", version)
}

/// The configuration in an archive.
pub(crate) fn keys(name: &str, more: Value) -> String {
    let base = json!({
        "name": name, "standalone": false, "auto_start": true, "request_target": format!("/{name}"), "protocol": "raw",
        "max_inbound_message_size": 65536
    });
    merged(base, more).to_string()
}

/// The bytes of an archive of `name` with this code and these keys.
pub(crate) fn archive(name: &str, code: &str, more: Value) -> Vec<u8> {
    let keys = keys(name, more);
    let [json, lua] = ["json", "lua"].map(|end| format!("{name}/{name}.{end}"));
    write([(json.as_str(), 0o644, keys.as_bytes()), (lua.as_str(), 0o644, code.as_bytes())]).unwrap()
}

/// Puts an archive into the deploy directory, whole at once.
pub(crate) fn put(home: &Home, file: &str, bytes: &[u8]) -> PathBuf {
    let path = home.path().join("deploy").join(file);
    let aside = home.path().join("deploy").join(format!(".{file}.part"));
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, &path).unwrap();
    path
}

/// Puts an archive there, and waits until it is deployed.
#[track_caller]
pub(crate) fn deploy(server: &mut Lapps, home: &Home, name: &str, bytes: &[u8]) {
    let path = put(home, &format!("{name}.lar"), bytes);
    server.expect_log(&format!("service '{name}' is deployed from"));
    until("the archive is gone", || !path.exists());
    assert!(!rejected(home, &format!("{name}.lar")).exists());
}

/// Puts an archive there, and gives the reason for which it is refused.
#[track_caller]
pub(crate) fn is_refused(server: &mut Lapps, home: &Home, file: &str, bytes: &[u8]) -> String {
    let path = put(home, file, bytes);
    server.expect_log(&format!("{file} is refused, and nothing has changed: "));
    let mark = rejected(home, file);
    until("there is a reason", || fs::read_to_string(&mark).is_ok_and(|why| why.ends_with('\n')));
    assert_eq!(fs::read(path).unwrap(), bytes, "the archive stays");
    fs::read_to_string(mark).unwrap()
}

pub(crate) fn rejected(home: &Home, file: &str) -> PathBuf {
    home.path().join("deploy").join(format!("{file}.rejected"))
}

/// Gets an answer of this version.
#[track_caller]
pub(crate) fn answers(client: &mut Client, version: &str) {
    client.text("?");
    assert_eq!(client.get(), Got::Text(format!("{version} ?")));
}

/// The status of an upgrade at `target`.
pub(crate) fn status(server: &Lapps, target: &str) -> u16 {
    let mut client = Client::connect(server);
    client.write(crate::common::client::upgrade(target).as_bytes());
    client.read_response().status
}

/// Nothing of a deployment is left but the service itself.
#[track_caller]
pub(crate) fn is_tidy(home: &Home) {
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(home.path().join(directory)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    until("nothing is left in tmp", || names("tmp").is_empty());
    let hidden = |name: &String| name.starts_with('.');
    assert!(!names("apps").iter().any(hidden) && !names("deploy").iter().any(hidden));
}
