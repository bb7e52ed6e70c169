//! Servers that cannot start: one message that names what is wrong and what to do, and an exit code that is not 0.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::client::Client;
use crate::common::home::{ECHO, Home};
use crate::common::process::{Lapps, run_to_end};

/// The server's errors when it does not start on `home`.
#[track_caller]
fn refused(home: &Home) -> String {
    home.save();
    fails(&["run", "--home", home.path().to_str().unwrap()])
}

/// What the program says when it fails with these arguments.
#[track_caller]
fn fails(arguments: &[&str]) -> String {
    let (status, output, errors) = run_to_end(Path::new("."), arguments, &[]);
    assert_eq!(status.code(), Some(1), "{output}{errors}");
    assert!(!output.contains("listening on"), "{output}");
    assert!(errors.starts_with("lapps: "), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

#[test]
fn a_port_in_use() {
    let server = Lapps::start(&Home::with_echo());
    let mut client = Client::open(&server, "/echo");
    let port = server.address.port();
    let errors = refused(&Home::with_echo().ws(json!({ "port": port })));
    says(
        &errors,
        &[&format!("127.0.0.1:{port}"), "another process uses that port", "\"port\" in ws.json", "--port"],
    );
    client.echo("the other one goes on");
}

#[test]
fn an_address_of_another_machine() {
    let errors = refused(&Home::with_echo().ws(json!({ "ip": "192.0.2.1" })));
    says(&errors, &["cannot listen on 192.0.2.1:0", "\"ip\" and \"port\" in ws.json"]);
}

#[test]
fn tls_without_its_files() {
    let files =
        |cert: &str, key: &str| json!({ "tls": true, "tls_certificates": { "cert": cert, "key": key } });
    let home = Home::with_echo().tls();
    home.save();
    let home = home.ws(files("tls/nowhere.pem", "tls/key.pem"));
    says(&refused(&home), &["tls_certificates.cert", "nowhere.pem", "lapps dev-cert"]);
    let home = home.ws(files("tls/cert.pem", "tls/nokey.pem"));
    says(&refused(&home), &["tls_certificates.key", "nokey.pem", "lapps dev-cert"]);
    let home = home.ws(json!({ "tls_certificates": { "key": "tls" } }));
    says(&refused(&home), &["tls_certificates.key", "/tls"]);
}

#[test]
fn tls_with_files_that_hold_something_else() {
    let home = Home::with_echo().tls();
    let cert = home.path().join("tls/cert.pem");
    let key = home.path().join("tls/key.pem");
    let (good_cert, good_key) = (fs::read(&cert).unwrap(), fs::read(&key).unwrap());
    let certificate = ["cannot use the TLS certificate", "tls/cert.pem: ", "certificate", "lapps dev-cert"];

    fs::write(&cert, "").unwrap();
    says(&refused(&home), &certificate);
    fs::write(&cert, "hello\n").unwrap();
    says(&refused(&home), &certificate);
    fs::write(&cert, &good_key).unwrap();
    says(&refused(&home), &certificate);
    fs::write(&cert, &good_cert[..good_cert.len() / 2]).unwrap();
    says(&refused(&home), &certificate);
    let torn = String::from_utf8(good_cert.clone()).unwrap().replace("MII", "AAA");
    fs::write(&cert, torn).unwrap();
    says(&refused(&home), &["cannot use the TLS certificate", "cert.pem", "lapps dev-cert"]);

    fs::write(&cert, &good_cert).unwrap();
    fs::write(&key, &good_cert).unwrap();
    says(&refused(&home), &["tls/key.pem: does not hold a PEM private key", "lapps dev-cert"]);

    // A key that is one, of another certificate.
    fs::remove_file(&key).unwrap();
    let other = lapps::dev_cert::make(&home.path().join("other")).unwrap();
    fs::copy(other.key, &key).unwrap();
    let errors = refused(&home);
    says(&errors, &["tls/key.pem: ", "tls/cert.pem", "lapps dev-cert"]);
    assert!(errors.to_lowercase().contains("match"), "{errors}");
}

#[test]
fn every_mistake_of_the_configuration_at_once_with_file_and_line() {
    let home = Home::new();
    home.write("etc/conf/ws.json", "{\n  \"port\": 70000,\n  \"lisneters\": 2,\n  \"tls\": \"yes\"\n}\n");
    home.write(
        "etc/conf/lapps.json",
        "{\n  \"services\": {\n    \"a\": { \"request_target\": \"a\" },\n    \"b\": { \"instances\": 0 }\n  }\n}\n",
    );
    for command in ["check", "run"] {
        let errors = fails(&[command, "--home", home.path().to_str().unwrap()]);
        says(
            &errors,
            &[
                "ws.json:2: ",
                "70000",
                "65535",
                "ws.json:3: ",
                "lisneters",
                "listeners",
                "ws.json:4: ",
                "lapps.json:3: ",
                "request_target",
                "lapps.json:4: ",
                "instances",
            ],
        );
    }
    home.write("etc/conf/ws.json", "{\n  \"port\": 5083,\n  \"tls\" false\n}\n");
    says(&fails(&["check", "--home", home.path().to_str().unwrap()]), &["ws.json:3"]);
}

#[test]
fn a_home_that_is_not_there() {
    let errors = fails(&["run", "--home", "/nowhere/at/all"]);
    says(&errors, &["/nowhere/at/all/etc/conf/lapps.json"]);
}

#[test]
fn words_that_the_command_line_does_not_know() {
    for (arguments, words) in [
        (&["--prot", "80"][..], &["--prot", "--port"][..]),
        (&["run", "--hoem", "x"], &["--hoem", "--home"]),
        (&["rnu"], &["rnu", "--help"]),
        (&["--port", "70000"], &["70000", "65535"]),
        (&["--port"], &["--port"]),
        (&["dev-cert"], &["DIR"]),
        (&["--demo", "--home", "x"], &["--demo", "--home"]),
    ] {
        let (status, output, errors) = run_to_end(Path::new("."), arguments, &[]);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {output}{errors}");
        says(&errors, words);
    }
}

#[test]
fn check_says_what_memory_a_good_configuration_can_use_and_starts_nothing() {
    let home = Home::with_echo().service("broken", "return {", json!({}));
    home.save();
    let (status, output, errors) =
        run_to_end(Path::new("."), &["check", "--home", home.path().to_str().unwrap()], &[]);
    assert!(status.success(), "{errors}");
    says(&output, &["ws.json", "lapps.json", "no mistakes", "output that waits", "echo: Lua", "total "]);
    assert_eq!(errors, "");
}

#[test]
fn dev_cert_makes_what_the_server_can_use_and_never_overwrites_a_key() {
    let home = Home::new().service("echo", ECHO, json!({}));
    let directory = home.path().join("new/tls");
    let arguments = ["dev-cert", directory.to_str().unwrap()];
    let (status, output, errors) = run_to_end(Path::new("."), &arguments, &[]);
    assert!(status.success(), "{errors}");
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    says(&output, &[cert.to_str().unwrap(), key.to_str().unwrap(), "\"tls_certificates\""]);
    // What it prints is what ws.json takes.
    let start = output.find("\"tls\": true").expect("what to write into ws.json");
    let keys = format!("{{ {} }}", output[start..].trim_end());
    let home = home.ws(serde_json::from_str(&keys).unwrap());
    let server = Lapps::start(&home);
    assert!(server.tls);
    Client::open(&server, "/echo").echo("encrypted");

    let before = fs::read(&key).unwrap();
    let errors = fails(&arguments);
    says(&errors, &["key.pem"]);
    assert_eq!(fs::read(&key).unwrap(), before);
    fails(&["dev-cert", cert.to_str().unwrap()]);
}
