//! Homes of this directory, as they stand, or with their services moved into the workers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::process::Lapps;

/// Where the reactive services of a home run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// As the files of the original say: `instances` threads.
    Dedicated,
    /// In the workers: without `instances`.
    Workers,
}

pub(crate) const PLACES: [Place; 2] = [Place::Dedicated, Place::Workers];

/// A copy of a home, which is removed when dropped.
pub(crate) struct Copy(TempDir);

impl Copy {
    pub(crate) fn of(name: &str, place: Place) -> Copy {
        let copy = Copy(tempfile::tempdir().expect("a temporary directory"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(name);
        copy_directory(&source, copy.path());
        if place == Place::Workers {
            copy.edit("lapps.json", move_into_workers);
        }
        if let Ok(io) = env::var("LAPPS_TEST_IO") {
            copy.edit("ws.json", |file| file["workers"]["io"] = io.into());
        }
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes one of the configuration files.
    pub(crate) fn edit(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.path().join("etc/conf").join(file);
        let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        edit(&mut value);
        fs::write(&path, serde_json::to_string_pretty(&value).unwrap()).unwrap();
    }

    /// Starts the server on it, on any free port; everything in it has to start.
    pub(crate) fn start(&self, variables: &[(&str, &str)]) -> Lapps {
        let home = self.path().to_str().unwrap();
        let server = Lapps::run(Path::new("."), &["run", "--home", home, "--port", "0"], variables);
        assert!(!server.banner.contains("FAILED"), "{}", server.banner);
        server
    }
}

fn move_into_workers(file: &mut Value) {
    let Value::Object(services) = &mut file["services"] else { panic!("no services") };
    for service in services.values_mut() {
        let Value::Object(keys) = service else { panic!("a service is an object") };
        let is_alone =
            ["standalone", "internal"].iter().any(|key| keys.get(*key) == Some(&Value::Bool(true)));
        if !is_alone {
            keys.remove("instances");
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    let entries: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    for entry in entries {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_directory(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}
