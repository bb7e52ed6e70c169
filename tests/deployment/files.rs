//! How archives come: slowly, many at once, and not at all.

use std::fs::{self, File};
use std::io::Write;

use serde_json::json;

use super::yard::{answers, archive, code, deploy, home, put, status};
use crate::common::client::Client;
use crate::common::process::Lapps;
use crate::common::until;

#[test]
fn one_that_is_written_slowly_is_taken_when_it_is_closed() {
    let home = home();
    let mut server = Lapps::start(&home);
    let bytes = archive("hello", &code("hello", "one"), json!({}));
    let mut file = File::create(home.path().join("deploy/hello.lar")).unwrap();
    for part in bytes.chunks(100) {
        file.write_all(part).unwrap();
        file.sync_all().unwrap();
    }
    // The one after it has been seen to, and this one not.
    deploy(&mut server, &home, "other", &archive("other", &code("other", "one"), json!({})));
    assert_eq!(status(&server, "/hello"), 404);
    drop(file);
    server.expect_log("service 'hello' is deployed");
    answers(&mut Client::open(&server, "/hello"), "one");
}

#[test]
fn many_at_once_and_several_for_one_service() {
    let home = home();
    let mut server = Lapps::start(&home);
    for n in 0..6 {
        let name = format!("s{n}");
        put(&home, &format!("{name}.lar"), &archive(&name, &code(&name, "one"), json!({})));
    }
    for version in ["one", "two", "three"] {
        put(&home, &format!("hello-{version}.lar"), &archive("hello", &code("hello", version), json!({})));
    }
    for n in 0..6 {
        until("it runs", || status(&server, &format!("/s{n}")) == 101);
    }
    server.expect_all(&["hello-one.lar", "hello-two.lar", "hello-three.lar"]);
    until("all are gone", || fs::read_dir(home.path().join("deploy")).unwrap().count() == 0);
    answers(&mut Client::open(&server, "/hello"), "three");
}

#[test]
fn one_that_vanishes_and_files_that_are_none() {
    let home = home();
    let mut server = Lapps::start(&home);
    for n in 0..50 {
        let path = put(&home, "gone.lar", format!("LAR {n}").as_bytes());
        let _ = fs::remove_file(path);
    }
    for name in ["README", "hello.lar.txt", ".hidden.lar", "hello.LAR"] {
        home.write(&format!("deploy/{name}"), "no archive");
    }
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), json!({})));
    answers(&mut Client::open(&server, "/hello"), "one");
    for name in ["README", "hello.lar.txt", ".hidden.lar", "hello.LAR"] {
        assert!(home.path().join("deploy").join(name).exists());
    }
}

#[test]
fn the_directory_may_come_later() {
    let home = home();
    fs::remove_dir(home.path().join("deploy")).unwrap();
    let mut server = Lapps::start(&home);
    for version in ["one", "two"] {
        fs::create_dir(home.path().join("deploy")).unwrap();
        deploy(&mut server, &home, "hello", &archive("hello", &code("hello", version), json!({})));
        answers(&mut Client::open(&server, "/hello"), version);
        fs::remove_dir(home.path().join("deploy")).unwrap();
    }
    server.stop();
}
