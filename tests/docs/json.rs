//! JSON of the documentation: what is shown of the configuration can be read as such.

use std::collections::BTreeSet;
use std::fs;

use lapps::config::{self, Places, keys};
use serde_json::{Map, Value, json};

use crate::pages;

/// Reads a block as the file it is: the services' with `services`, that of an archive with `name`, else the server's.
fn wrong(text: &str) -> Option<String> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return Some(error.to_string()),
    };
    let home = tempfile::tempdir().unwrap();
    let places = Places::find(Some(home.path()), &|_| None).unwrap();
    fs::create_dir_all(&places.conf_dir).unwrap();
    fs::create_dir_all(home.path().join("ssl")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        fs::write(home.path().join("ssl").join(name), "").unwrap();
    }
    let (mut ws, mut lapps) = (json!({}), json!({}));
    if value.get("services").is_some() || value.get("directories").is_some() {
        lapps = value;
    } else if let Some(name) = value.get("name").and_then(Value::as_str) {
        let mut service = value.as_object().unwrap().clone();
        service.remove("name");
        let needed = service.get("depends").and_then(Value::as_array).into_iter().flatten();
        let mut services: Map<String, Value> =
            needed.map(|other| (other.as_str().unwrap().to_owned(), json!({ "standalone": true }))).collect();
        services.insert(name.to_owned(), Value::Object(service));
        lapps = json!({ "services": services });
    } else {
        ws = value;
        // Wherever it says that they are, here they are in the home.
        for (key, file) in [("cert", "ssl/cert.pem"), ("key", "ssl/key.pem")] {
            if let Some(place) = ws.pointer_mut(&format!("/tls_certificates/{key}")) {
                *place = file.into();
            }
        }
    }
    fs::write(&places.ws_file, ws.to_string()).unwrap();
    fs::write(&places.lapps_file, lapps.to_string()).unwrap();
    config::load(&places).err().map(|mistakes| mistakes.to_string())
}

#[test]
fn every_block_of_json_is_a_configuration() {
    let (mut mistakes, mut count) = (Vec::new(), 0);
    for page in pages::all() {
        for block in page.blocks().iter().filter(|block| block.kind == "json") {
            count += 1;
            mistakes.extend(wrong(&block.text).map(|wrong| format!("{}:{}: {wrong}", page.path, block.line)));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(count >= 6, "{count}");
    assert!(
        wrong("{\"prot\": 1}").is_some()
            && wrong("{").is_some()
            && wrong("{\"services\": {\"a\": {}}}").is_some()
    );
}

/// `"key": value` between backticks: a key that is there, and JSON.
#[test]
fn every_key_between_backticks_is_there() {
    let mut known = BTreeSet::new();
    for (path, _) in keys::paths(keys::WS).into_iter().chain(keys::paths(keys::LAPPS)) {
        known.extend(path.split('.').map(str::to_owned));
    }
    let (mut mistakes, mut count) = (Vec::new(), 0);
    for page in pages::all().iter().filter(|page| page.path.starts_with("docs/") || page.path == "README.md")
    {
        for (line, span) in page.spans() {
            if !span.starts_with('"') || !span.contains("\":") {
                continue;
            }
            count += 1;
            // A number that stands for any.
            let span = span.replace(": N", ": 1");
            match serde_json::from_str::<Map<String, Value>>(&format!("{{{span}}}")) {
                Err(error) => mistakes.push(format!("{}:{line}: `{span}`: {error}", page.path)),
                Ok(object) => {
                    let unknown = object.keys().find(|key| !known.contains(*key));
                    mistakes
                        .extend(unknown.map(|key| format!("{}:{line}: there is no key {key}", page.path)));
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(count >= 5, "{count}");
}
