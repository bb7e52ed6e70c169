//! `lapps pack`, `unpack` and `list`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::model::Model;
use crate::common::process::run_to_end;

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let (status, output, errors) = run_to_end(directory, arguments, &[]);
    (status.code().expect("it ends by itself"), output, errors)
}

/// A directory with the service `hello` in it.
fn workshop() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let hello = directory.path().join("hello");
    fs::create_dir_all(hello.join("lib/deep")).unwrap();
    fs::write(hello.join("hello.json"), "{}").unwrap();
    fs::write(hello.join("hello.lua"), "return {}").unwrap();
    fs::write(hello.join("lib/deep/tool"), vec![b'x'; 1234]).unwrap();
    fs::set_permissions(hello.join("lib/deep/tool"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(hello.join("hello.lua"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::set_permissions(hello.join("hello.json"), fs::Permissions::from_mode(0o644)).unwrap();
    directory
}

#[test]
fn pack_list_unpack() {
    let workshop = workshop();
    let here = workshop.path();
    let (code, output, errors) = run(here, &["pack", "hello"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(output.starts_with("wrote hello.lar: 3 files, "), "{output}");
    let (code, output, _) = run(here, &["list", "hello.lar"]);
    assert_eq!(code, 0);
    assert_eq!(
        output,
        "0644    2 hello/hello.json\n0604    9 hello/hello.lua\n0750 1234 hello/lib/deep/tool\n"
    );
    fs::create_dir(here.join("there")).unwrap();
    let (code, output, errors) = run(here, &["unpack", "hello.lar", "-C", "there"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (0, "unpacked there/hello\n", ""));
    for (path, mode) in [("hello.json", 0o644), ("hello.lua", 0o604), ("lib/deep/tool", 0o750)] {
        let (old, new) = (here.join("hello").join(path), here.join("there/hello").join(path));
        assert_eq!(fs::read(old).unwrap(), fs::read(&new).unwrap());
        assert_eq!(fs::metadata(new).unwrap().permissions().mode() & 0o7777, mode);
    }
    // Nothing but the service was made.
    assert_eq!(fs::read_dir(here.join("there")).unwrap().count(), 1);
    // Where the shell is, or with a slash behind it, the name is the same; and so are the bytes.
    let first = fs::read(here.join("hello.lar")).unwrap();
    assert_eq!(run(&here.join("hello"), &["pack", ".", "-o", "../again.lar"]).0, 0);
    assert_eq!(fs::read(here.join("again.lar")).unwrap(), first);
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str], words: &[&str]) {
    let (code, output, errors) = run(directory, arguments);
    assert_eq!((code, output.as_str()), (1, ""), "{errors}");
    assert!(errors.starts_with("lapps: ") && errors.lines().count() == 1, "{errors}");
    for word in words {
        assert!(errors.contains(word), "no {word:?} in {errors}");
    }
}

#[test]
fn what_cannot_be_packed() {
    let workshop = workshop();
    let here = workshop.path();
    fails(here, &["pack", "nowhere"], &["nowhere", "No such file"]);
    fails(here, &["pack", "hello/hello.lua"], &["hello.lua", "is no directory"]);
    fails(here, &["pack", "/"], &["has no name"]);
    fails(here, &["pack", "hello", "-o", "no/such/dir.lar"], &["no/such/dir.lar"]);
    symlink("hello.lua", here.join("hello/link")).unwrap();
    fails(here, &["pack", "hello"], &["hello/link", "neither a file nor a directory"]);
    fs::remove_file(here.join("hello/link")).unwrap();
    fs::remove_file(here.join("hello/hello.json")).unwrap();
    fails(here, &["pack", "hello"], &["hello/hello.json is missing"]);
    assert!(!here.join("hello.lar").exists());
}

#[test]
fn what_is_not_unpacked_leaves_nothing() {
    let workshop = workshop();
    let here = workshop.path();
    fails(here, &["unpack", "nowhere.lar"], &["nowhere.lar", "No such file"]);
    fails(here, &["list", "hello"], &["hello", "is no regular file"]);
    assert_eq!(run(here, &["pack", "hello"]).0, 0);
    fails(here, &["unpack", "hello.lar"], &["hello is there already"]);
    fails(here, &["unpack", "hello.lar", "-C", "nowhere"], &["nowhere"]);
    let mut model = Model::hello();
    model.files[1].path = b"hello/../../../escaped".to_vec();
    fs::write(here.join("bad.lar"), model.bytes()).unwrap();
    for command in ["list", "unpack"] {
        fails(here, &[command, "bad.lar"], &["bad.lar is refused", "item 2", "leads elsewhere"]);
    }
    let mut model = Model::hello();
    model.files[1].sha256 = vec![0; 32];
    fs::write(here.join("bad.lar"), model.bytes()).unwrap();
    let there = here.join("there");
    fs::create_dir(&there).unwrap();
    fails(here, &["unpack", "bad.lar", "-C", "there"], &["hello/hello.lua", "SHA-256"]);
    assert_eq!(fs::read_dir(there).unwrap().count(), 0);
    let (code, _, errors) = run(here, &["list", "bad.lar"]);
    assert!(code == 1 && errors.contains("SHA-256"), "{errors}");
}
