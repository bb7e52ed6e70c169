//! The README does what it says: its service is made and served by exactly the lines it shows.

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::client::{Client, Got};
use common::process::Lapps;

const README: &str = include_str!("../README.md");

/// The shell block that makes the service.
fn own_service() -> &'static str {
    let section = README.split("\n## Your own service\n").nth(1).expect("the section");
    section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a shell block")
}

#[test]
fn the_service_of_the_readme_answers_as_the_readme_says() {
    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_lapps"), bin.join("lapps")).unwrap();

    // Only the port differs: a test takes any free one.
    let block = own_service();
    assert!(block.lines().count() <= 15, "the README promises a short start");
    let script = block.replace("\"port\": 5083", "\"port\": 0");
    assert_ne!(script, block);
    let last = script.trim_end().lines().last().unwrap();
    assert_eq!(last, "lapps run --home myhome");
    let script = script.replace(last, "exec lapps run --home myhome");

    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut server = Lapps::program("sh", directory.path(), &["-euc", &script], &[("PATH", &path)]);
    assert!(server.banner.contains("hello is ready"), "{}", server.banner);
    let mut client = Client::open(&server, "/hello");
    client.text("world");
    assert_eq!(client.get(), Got::Text("Hello, world!".into()));
    server.signal("INT");
    assert!(matches!(client.get(), Got::Close(1001, _)));
    client.close(1001);
    server.expect_log("stopped");
    assert_eq!(server.wait().0.code(), Some(0));

    // The other way to start it that the README names.
    let home = directory.path().join("myhome");
    let conf = home.join("etc/conf");
    let variables = [("LAPPS_HOME", home.to_str().unwrap()), ("LAPPS_CONF_DIR", conf.to_str().unwrap())];
    let server = Lapps::run(directory.path(), &[], &variables);
    assert!(README.contains("LAPPS_HOME=myhome LAPPS_CONF_DIR=myhome/etc/conf lapps"));
    Client::open(&server, "/hello");
    server.stop();
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let shown =
        README.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a text block");
    let mut server = Lapps::demo();
    let rest = server.expect_log("open http://");
    let printed = format!("{}{rest}", server.banner);
    // What differs from machine to machine: versions, cores, the port.
    let plain = |text: &str| -> Vec<String> {
        let port = server.address.port().to_string();
        text.replace(&port, "5083")
            .lines()
            .filter(|line| !line.starts_with("lapps ") && !line.contains("I/O worker"))
            .map(|line| line.replace(|c: char| c.is_ascii_digit(), "N").replace("instances", "instance"))
            .collect()
    };
    assert_eq!(plain(&printed), plain(shown));
    server.stop();
}
