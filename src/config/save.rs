//! Writes the configuration files back after a deployment: sorted, whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::places::Places;

/// Puts `section`, the `NAME.json` of the service `name`, in the place of its section of `lapps.json`, and writes both
/// files with sorted keys and two spaces. Everything else stays, what has changed in the files since they were read too.
///
/// # Errors
/// A file is not written then, and the text says which and why.
pub fn save(places: &Places, name: &str, section: &[u8]) -> Result<(), String> {
    let mut section: Map<String, Value> =
        serde_json::from_slice(section).map_err(|error| format!("{name}.json: {error}"))?;
    section.remove("name");
    rewrite(&places.lapps_file, |file| {
        let services = file.entry("services").or_insert_with(|| Value::Object(Map::new()));
        let services = services.as_object_mut().ok_or("services is no object")?;
        services.insert(name.to_owned(), Value::Object(section));
        Ok(())
    })?;
    // Without it the defaults hold, and go on to.
    if places.ws_file.exists() { rewrite(&places.ws_file, |_| Ok(())) } else { Ok(()) }
}

fn rewrite(
    path: &Path,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), &'static str>,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{} is not saved: {error}", path.display());
    // Whoever has put a link there wants its aim to be written.
    let path = fs::canonicalize(path).map_err(|error| failed(&error))?;
    let text = fs::read(&path).map_err(|error| failed(&error))?;
    let mut file: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    change(&mut file).map_err(|error| failed(&error))?;
    let mut new = serde_json::to_vec_pretty(&file).map_err(|error| failed(&error))?;
    new.push(b'\n');
    replace(&path, &new).map_err(|error| failed(&error))
}

/// Puts `bytes` in the place of a file. Whoever reads it, and whatever happens, it is the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(".saving");
    let aside = directory.join(aside);
    let written = File::create(&aside).and_then(|mut file| {
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(directory)?.sync_all()
    });
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn places(ws: Option<&str>, lapps: &str) -> (tempfile::TempDir, Places) {
        let home = tempfile::tempdir().unwrap();
        let places = Places::find(Some(home.path()), &|_| None).unwrap();
        fs::create_dir_all(&places.conf_dir).unwrap();
        fs::write(&places.lapps_file, lapps).unwrap();
        if let Some(ws) = ws {
            fs::write(&places.ws_file, ws).unwrap();
        }
        (home, places)
    }

    #[test]
    fn sorted_with_two_spaces_and_nothing_lost() {
        let (_home, places) = places(
            Some("{\"port\": 1, \"ip\":\"::1\",\"connection_weight\": 0.70}"),
            r#"{"services": {"z": {"request_target": "/z", "max_lua_memory": 1099511627776}, "a": {"request_target": "/ä", "preload": null}},
                "directories": {"tmp": "t"}}"#,
        );
        fs::set_permissions(&places.lapps_file, fs::Permissions::from_mode(0o640)).unwrap();
        save(&places, "m", br#"{"request_target": "/m", "name": "m", "depends": ["a"]}"#).unwrap();
        save(&places, "a", br#"{"request_target": "/b", "name": "a", "auto_start": false}"#).unwrap();
        let expected = r#"{
  "directories": {
    "tmp": "t"
  },
  "services": {
    "a": {
      "auto_start": false,
      "request_target": "/b"
    },
    "m": {
      "depends": [
        "a"
      ],
      "request_target": "/m"
    },
    "z": {
      "max_lua_memory": 1099511627776,
      "request_target": "/z"
    }
  }
}
"#;
        assert_eq!(fs::read_to_string(&places.lapps_file).unwrap(), expected);
        assert_eq!(
            fs::read_to_string(&places.ws_file).unwrap(),
            "{\n  \"connection_weight\": 0.7,\n  \"ip\": \"::1\",\n  \"port\": 1\n}\n"
        );
        assert_eq!(fs::metadata(&places.lapps_file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&places.conf_dir).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made_and_one_that_is_broken_stays() {
        let (_home, places) = places(None, "{\"services\": {}}");
        save(&places, "m", br#"{"name": "m"}"#).unwrap();
        assert!(!places.ws_file.exists());
        fs::write(&places.lapps_file, "{ broken").unwrap();
        let told = save(&places, "m", br#"{"name": "m"}"#).unwrap_err();
        assert!(told.contains("lapps.json is not saved"), "{told}");
        assert_eq!(fs::read_to_string(&places.lapps_file).unwrap(), "{ broken");
    }

    #[test]
    fn a_link_stays_one() {
        let (home, places) = places(None, "{}");
        let aim = home.path().join("aim.json");
        fs::rename(&places.lapps_file, &aim).unwrap();
        std::os::unix::fs::symlink(&aim, &places.lapps_file).unwrap();
        save(&places, "m", br#"{"name": "m"}"#).unwrap();
        assert!(places.lapps_file.is_symlink());
        assert!(fs::read_to_string(&aim).unwrap().contains("\"m\": {}"));
    }
}
