//! Both files as they are written, to tell which keys have changed since.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::load::CONTROL_NAME;
use super::places::{Places, absolute};

/// The values of both files.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    ws: Value,
    lapps: Value,
}

/// Where the control socket is of a server that was started with these files, whatever mistakes they have by now: one that
/// runs can be asked all the same.
pub fn control_socket(places: &Places) -> PathBuf {
    let written = Written::read(places);
    let at = |path: &str| absolute(&places.home.join(path));
    match written.ws["control_socket"].as_str() {
        Some(path) => at(path),
        None => at(written.lapps["directories"]["workdir"].as_str().unwrap_or("workdir")).join(CONTROL_NAME),
    }
}

/// A key that is there, or is written otherwise, in one of two versions of a file only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Whether it is in `lapps.json`, not in `ws.json`.
    pub in_lapps: bool,
    /// Its full name, as in `services.echo.instances`.
    pub key: String,
}

impl Written {
    /// Reads both files. One that is not there, or is no JSON, has no keys; [`load`](super::load) is who complains.
    pub fn read(places: &Places) -> Written {
        Written { ws: read(&places.ws_file), lapps: read(&places.lapps_file) }
    }

    /// The keys that are not the same in `now`.
    pub fn changes(&self, now: &Written) -> Vec<Changed> {
        let mut changes = Vec::new();
        for (in_lapps, old, new) in [(false, &self.ws, &now.ws), (true, &self.lapps, &now.lapps)] {
            differences("", old, new, &mut |key| changes.push(Changed { in_lapps, key: key.to_owned() }));
        }
        changes
    }
}

fn read(file: &Path) -> Value {
    let text = fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// Tells the names of what differs: inside of objects that are on both sides, else as a whole.
fn differences(path: &str, old: &Value, new: &Value, tell: &mut dyn FnMut(&str)) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        if old != new {
            tell(path);
        }
        return;
    };
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, old) in before {
        match after.get(name) {
            Some(new) => differences(&join(name), old, new, tell),
            None => tell(&join(name)),
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        tell(&join(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_added_removed_or_written_otherwise_is_named() {
        let old = Written {
            ws: json!({ "port": 1, "ip": "::1", "workers": { "workers": 2, "pin": true } }),
            lapps: json!({ "services": { "a": { "instances": 1 }, "gone": {} } }),
        };
        let new = Written {
            ws: json!({ "ip": "::1", "workers": { "workers": 3, "pin": true }, "admin": {} }),
            lapps: json!({ "services": { "a": { "instances": 1, "acl": {} }, "new": {} } }),
        };
        let told: Vec<_> =
            old.changes(&new).into_iter().map(|change| (change.in_lapps, change.key)).collect();
        let expected = [
            (false, "port"),
            (false, "workers.workers"),
            (false, "admin"),
            (true, "services.gone"),
            (true, "services.a.acl"),
            (true, "services.new"),
        ];
        for (in_lapps, key) in expected {
            assert!(told.contains(&(in_lapps, key.to_owned())), "{key}: {told:?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:?}");
        assert_eq!(new.changes(&new), []);
    }
}
