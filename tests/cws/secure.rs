//! `wss://`: whom the client believes.

use std::fs;

use serde_json::json;

use crate::agent::{ALL, Agent, Kind};
use crate::common::home::Home;
use crate::common::table;

#[test]
fn the_right_certificates_are_believed_and_no_others() {
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let home = Home::new().tls();
            let own = home.path().join("tls/cert.pem");
            let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
            home.write("other.pem", &other);
            let (own, other) =
                (own.display().to_string(), home.path().join("other.pem").display().to_string());
            let mut agent = Agent::on(*kind, home, json!({}));
            let port = agent.server.address.port();
            agent.run(&format!(
                "cws:new('wss://localhost:{port}/echo', talking('name', {{
                onopen = function(h) cws:send(h, ('x'):rep(200000), 2) end
            }}), {{ ca = '{own}' }})
            cws:new('wss://127.0.0.1:{port}/echo', talking('address'), {{ ca = '{own}' }})
            cws:new('wss://127.0.0.1:{port}/echo', talking('other'), {{ ca = '{other}' }})
            cws:new('wss://127.0.0.1:{port}/echo', talking('system'))
            cws:new('ws://127.0.0.1:{port}/echo', talking('plain'))"
            ));
            agent.server.expect_all(&[
                "[say] name message 200000 2\n",
                "[say] address open\n",
                "[say] other error TLS failed: invalid peer certificate: ",
                "[say] system error TLS failed: invalid peer certificate: ",
                "[say] plain error the server's answer is no HTTP: ",
            ]);
            let log = agent.server.stop();
            assert!(!log.contains("ERROR"), "{log}");
        },
    );
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    // One server whose certificate is for nobody who can be reached here, and one that has no TLS.
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
    home.write("tls/cert.pem", &made.cert.pem());
    home.write("tls/key.pem", &made.signing_key.serialize_pem());
    let ca = home.path().join("tls/cert.pem").display().to_string();
    let keys = json!({ "cert": "tls/cert.pem", "key": "tls/key.pem", "ca": "tls/cert.pem" });
    let mut agent =
        Agent::on(Kind::Standalone, home.ws(json!({ "tls": true, "tls_certificates": keys })), json!({}));
    let port = agent.server.address.port();
    let plain = Agent::start(Kind::Worker);
    let plain_port = plain.server.address.port();
    agent.run(&format!(
        "cws:new('wss://localhost:{port}/echo', talking('configured'))
        cws:new('wss://localhost:{port}/echo', talking('option'), {{ ca = '{ca}' }})
        cws:new('wss://localhost:{plain_port}/echo', talking('no tls'), {{ ca = '{ca}' }})"
    ));
    let log =
        agent.server.expect_all(&["[say] configured error ", "[say] option error ", "[say] no tls error "]);
    let line =
        |name: &str| log.lines().find(|line| line.starts_with(&format!("[say] {name} error"))).unwrap();
    assert!(
        line("configured").contains("TLS failed: ") && line("configured").contains("example.org"),
        "{log}"
    );
    assert!(line("option").contains("example.org"), "{log}");
    assert!(line("no tls").contains("TLS failed: "), "{log}");
}

#[test]
fn the_configured_certificates_serve_a_server_without_tls_too() {
    let secure = Agent::on(Kind::Worker, Home::new().tls(), json!({}));
    let pem = fs::read_to_string(secure.directory().join("tls/cert.pem")).unwrap();
    let home = Home::new();
    home.write("ca.pem", &pem);
    let home = home.ws(json!({ "tls": false, "tls_certificates": { "ca": "ca.pem" } }));
    let mut agent = Agent::on(Kind::Dedicated, home, json!({}));
    let port = secure.server.address.port();
    agent.run(&format!("cws:new('wss://localhost:{port}/echo', talking('a'))"));
    agent.hear(&["a open"]);
}
