//! What is read again while the server runs: certificates and access lists, by signal and by command.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::client::{Client, Got, upgrade};
use common::home::{ECHO, Home};
use common::process::{Lapps, run_to_end};
use common::tls;
use lapps::dev_cert;
use serde_json::{Value, json};

/// Echoes on both placements, with these keys in `ws.json`.
fn home(ws: Value) -> Home {
    let home = Home::with_echo().ws(ws);
    fs::create_dir(home.path().join("workdir")).unwrap();
    home
}

fn reload(home: &Home, more: &[&str]) -> (bool, String, String) {
    let mut arguments = vec!["reload", "--home", home.path().to_str().unwrap()];
    arguments.extend(more);
    let (status, output, errors) = run_to_end(Path::new("."), &arguments, &[]);
    (status.success(), output, errors)
}

/// The answer to `lapps reload`, which refuses nothing.
#[track_caller]
fn reloaded(home: &Home) -> Value {
    let (success, output, errors) = reload(home, &["--json"]);
    assert!(success, "{output}{errors}");
    serde_json::from_str(&output).unwrap()
}

/// Puts another certificate with its key in the place of those that are there.
fn renew(home: &Home) {
    let pair = dev_cert::make(&home.path().join("next")).unwrap();
    fs::rename(pair.key, home.path().join("tls/key.pem")).unwrap();
    fs::rename(pair.certificate, home.path().join("tls/cert.pem")).unwrap();
}

fn status_of(server: &Lapps, target: &str) -> u16 {
    let mut client = Client::connect(server);
    client.write(upgrade(target).as_bytes());
    client.read_response().status
}

#[test]
fn a_new_certificate_is_shown_to_those_who_come_and_the_others_go_on() {
    for io in ["epoll", "auto"] {
        let home = home(json!({ "workers": { "io": io } })).tls();
        let mut server = Lapps::start(&home);
        let open = |server: &Lapps| ["/echo", "/echo-dedicated"].map(|target| Client::open(server, target));
        let mut old = open(&server);
        let first = old[0].certificate().unwrap().to_vec();
        // One is in the middle of its handshake, and one of its request.
        let mut asking = Client::connect(&server);
        asking.write(b"GET /echo HTTP/1.1\r\nHost: a\r\n");
        renew(&home);
        server.signal("HUP");
        let log = server.expect_log("read again, for new connections: tls_certificates");
        assert!(!log.contains("refused"), "{log}");
        let mut new = open(&server);
        for client in &mut new {
            assert_ne!(client.certificate().unwrap(), first);
            client.echo("to the new certificate");
        }
        for client in &mut old {
            assert_eq!(client.certificate().unwrap(), first);
            client.echo("as before");
        }
        let rest = upgrade("/echo").split_once("Host: ").unwrap().1.split_once("\r\n").unwrap().1.to_owned();
        asking.write(rest.as_bytes());
        assert_eq!(asking.read_response().status, 101);
        asking.echo("asked before");
        server.stop();
    }
}

#[test]
fn a_ticket_is_good_for_as_long_as_the_certificate() {
    let home = home(json!({})).tls();
    let server = Lapps::start(&home);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let returning = Arc::new(tls::config(&[version], &[]));
        let visit = || {
            let mut client = Client::returning(&server, &returning).upgraded("/echo");
            client.echo("x");
            client.is_resumed()
        };
        assert!(!visit(), "the first time");
        assert!(visit(), "with the ticket of the first time");
        // Nothing has changed: tickets stay good.
        assert_eq!(reloaded(&home)["changed"], json!([]));
        assert!(visit(), "the same certificate");
        renew(&home);
        assert_eq!(reloaded(&home)["changed"], json!(["tls_certificates"]));
        assert!(!visit(), "who comes back sees the new certificate");
        assert!(visit(), "with the ticket of the new one");
    }
}

#[test]
fn a_bad_certificate_leaves_the_old_one() {
    let home = home(json!({})).tls();
    let mut server = Lapps::start(&home);
    let first = Client::open(&server, "/echo").certificate().unwrap().to_vec();
    let (certificate, key) = (home.path().join("tls/cert.pem"), home.path().join("tls/key.pem"));
    let good = [&certificate, &key].map(|file| fs::read(file).unwrap());
    let other = dev_cert::make(&home.path().join("other")).unwrap();
    let cases: [(&dyn Fn(), &str); 4] = [
        (&|| fs::write(&certificate, "no certificate").unwrap(), "cert.pem: holds no PEM certificate"),
        (&|| fs::write(&key, "no key").unwrap(), "key.pem: does not hold a PEM private key"),
        (&|| assert!(fs::copy(&other.certificate, &certificate).is_ok()), "key.pem: cannot be used with"),
        (&|| fs::remove_file(&certificate).unwrap(), "there is no such file"),
    ];
    for (spoil, wrong) in cases {
        spoil();
        server.signal("HUP");
        let log = server.expect_log(wrong);
        assert!(log.contains("read again and refused, the old is in force: "), "{log}");
        let (success, output, errors) = reload(&home, &[]);
        assert!(!success && errors.contains(wrong), "{wrong}: {output}{errors}");
        let mut client = Client::open(&server, "/echo");
        assert_eq!(client.certificate().unwrap(), first, "{wrong}");
        client.echo("served");
        for (file, good) in [&certificate, &key].into_iter().zip(&good) {
            fs::write(file, good).unwrap();
        }
    }
    // With --json the answer is printed, and the exit code is the same.
    fs::remove_file(&key).unwrap();
    let (success, output, _) = reload(&home, &["--json"]);
    let answer: Value = serde_json::from_str(&output).unwrap();
    assert!(!success && answer["refused"][0].as_str().unwrap().contains("key.pem"), "{answer}");
    server.stop();
}

#[test]
fn an_access_list_counts_for_those_who_come() {
    let loopback = json!({ "policy": "allow", "exclude": ["127.0.0.0/8", "::1"] });
    let everybody = json!({ "policy": "allow", "exclude": [] });
    let home = home(json!({}));
    let mut server = Lapps::start(&home);
    let targets = ["/echo", "/echo-dedicated"];
    let mut clients = targets.map(|target| Client::open(&server, target));

    // Of each service, on both placements.
    let home = ["echo", "echo_dedicated"]
        .into_iter()
        .fold(home, |home, name| home.keys(name, json!({ "acl": loopback })));
    home.save();
    let answer = reloaded(&home);
    assert_eq!(answer["changed"], json!(["services.echo.acl", "services.echo_dedicated.acl"]));
    assert_eq!(answer["needs_restart"], json!([]));
    assert_eq!(targets.map(|target| status_of(&server, target)), [403, 403]);
    // A version that starts from what was read before has the new list too.
    let restart = ["restart", "echo_dedicated", "--home", home.path().to_str().unwrap()];
    assert!(run_to_end(Path::new("."), &restart, &[]).0.success());
    assert_eq!(status_of(&server, "/echo-dedicated"), 403);
    clients[0].echo("served as before");
    assert!(matches!(clients[1].get(), Got::Close(1012, _)));

    // Of the server.
    let home = home.keys("echo", json!({ "acl": everybody })).ws(json!({ "acl": loopback }));
    home.save();
    server.signal("HUP");
    server.expect_log("read again, for new connections: acl, services.echo.acl");
    let mut shut_out = Client::connect(&server);
    assert!(matches!(shut_out.get(), Got::Eof | Got::Reset));
    clients[0].echo("served as before");

    let home = home.ws(json!({ "acl": everybody }));
    home.save();
    assert_eq!(reloaded(&home)["changed"], json!(["acl"]));
    Client::open(&server, "/echo").echo("let in again");
    assert_eq!(status_of(&server, "/echo-dedicated"), 403);
    server.stop();
}

#[test]
fn what_needs_a_restart_is_named_and_mistakes_change_nothing() {
    let home = home(json!({}));
    let mut server = Lapps::start(&home);
    let list = json!({ "policy": "deny", "exclude": [] });
    let home = home
        .ws(json!({ "idle_timeout_ms": 70_000, "workers": { "workers": 1 }, "acl": list }))
        .keys("echo_dedicated", json!({ "instances": 3, "acl": list }))
        .service("late", &ECHO.replace("echo", "late"), json!({}));
    home.save();
    let file = home.path().join("etc/conf/lapps.json");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, right.replace("\"instances\": 3", "\"instances\": 3,")).unwrap();
    let (success, output, errors) = reload(&home, &[]);
    assert!(!success && errors.contains("lapps.json"), "{output}{errors}");
    server.expect_log("read again and refused, the old is in force");
    assert_eq!(status_of(&server, "/echo"), 101, "nothing of it is applied");

    fs::write(&file, right).unwrap();
    let (success, output, errors) = reload(&home, &[]);
    assert!(success, "{errors}");
    let keys = [
        "ws.json: idle_timeout_ms",
        "ws.json: workers.workers",
        "lapps.json: services.echo_dedicated.instances",
        "lapps.json: services.late",
    ];
    let log = server.expect_log("this needs a restart: ");
    for key in keys {
        assert!(output.contains(&format!("changed, but this needs a restart: {key}\n")), "{key}: {output}");
        assert!(log.contains(key), "{key}: {log}");
    }
    assert_eq!(output.lines().count(), 1 + keys.len(), "{output}");
    assert!(output.starts_with("read again, for new connections: acl, services.echo_dedicated.acl\n"));
    server.stop();
}

#[test]
fn the_demo_has_nothing_to_read_again() {
    let mut server = Lapps::demo();
    server.signal("HUP");
    server.expect_log("nothing to read again");
    Client::open(&server, "/echo").echo("served");
    server.stop();
}
