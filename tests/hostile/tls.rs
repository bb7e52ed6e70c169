//! TLS as strangers speak it: cut, slow, other versions, or not TLS at all.

use rustls::CipherSuite;
use rustls::version::{TLS12, TLS13};
use serde_json::json;

use super::echo;
use crate::common::client::{Client, Got, upgrade};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::{tls, until};

fn home() -> Home {
    Home::new().tls().on_both("echo", &echo(), json!({}))
}

#[test]
fn a_client_hello_may_come_byte_by_byte() {
    let server = Lapps::start(&home());
    let mut client = Client::drop_by_drop(&server).upgraded("/echo");
    client.echo("hello");
}

#[test]
fn a_handshake_that_stops_costs_its_own_connection_only() {
    let server = Lapps::start(&home().ws(json!({ "handshake_timeout_ms": 500 })));
    let before = server.open_files();
    let hello = tls::hello();
    let stopped: Vec<Client> = [0, 1, 5, 50, hello.len() - 1]
        .into_iter()
        .map(|cut| {
            let mut client = Client::to(server.address, false);
            client.write(&hello[..cut]);
            client
        })
        .collect();
    Client::open(&server, "/echo").echo("others are served");
    for mut client in stopped {
        assert!(client.drain(), "closed with FIN, without a word");
    }
    until("no descriptor is left", || server.open_files() == before);
}

#[test]
fn what_is_not_tls_is_ended_at_once_with_an_alert() {
    let server = Lapps::start(&home());
    let before = server.open_files();
    let garbage: Vec<u8> = (0..2000u32).map(|n| ((n * 7919) >> 3) as u8).collect();
    for bytes in [
        upgrade("/echo").as_bytes(),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &garbage,
        b"\x16\x03\x01\xff\xff\xff",
    ] {
        let mut client = Client::to(server.address, false);
        client.write(bytes);
        assert_eq!(client.take(2), b"\x15\x03", "an alert");
        client.drain();
    }
    Client::open(&server, "/echo").echo("others are served");
    until("no descriptor is left", || server.open_files() == before);
}

#[test]
fn both_versions_are_spoken_unless_one_is_excluded() {
    let server = Lapps::start(&home());
    for version in [&TLS12, &TLS13] {
        let mut client = Client::with_tls(&server, &[version], &[]).upgraded("/echo");
        client.echo("hello");
        client.close(1000);
        assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
    }
    server.stop();
    let server = Lapps::start(&home().ws(json!({ "tls_server_version": 4 })));
    Client::with_tls(&server, &[&TLS13], &[]).upgraded("/echo").echo("hello");
    let mut old = Client::with_tls(&server, &[&TLS12], &[]);
    let error = old.try_write(upgrade("/echo").as_bytes()).unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn aes_128_goes_before_what_the_client_would_rather_have() {
    if !std::arch::is_x86_feature_detected!("aes") {
        return;
    }
    let server = Lapps::start(&home());
    for (version, suite) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    ] {
        let client = Client::with_tls(&server, &[version], &[]).upgraded("/echo");
        assert_eq!(client.suite(), Some(suite));
    }
}

#[test]
fn the_protocol_is_http_1_1_or_nothing() {
    let server = Lapps::start(&home());
    for (offered, accepted) in [
        (&[&b"http/1.1"[..]][..], true),
        (&[b"h2", b"http/1.1"], true),
        (&[], true),
        (&[b"h2"], false),
        (&[b"acme-tls/1", b"h2"], false),
    ] {
        let mut client = Client::with_tls(&server, &[&TLS12, &TLS13], offered);
        let written = client.try_write(upgrade("/echo").as_bytes());
        if accepted {
            assert_eq!(client.read_response().status, 101);
            let chosen = (!offered.is_empty()).then_some(&b"http/1.1"[..]);
            assert_eq!(client.alpn(), chosen);
        } else {
            let error = written.unwrap_err().to_string();
            assert!(error.contains("NoApplicationProtocol"), "{error}");
        }
    }
}

#[test]
fn an_end_without_close_notify_is_an_end_like_any_other() {
    let code = r"
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
        function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
        function NAME.onShutdown() end
        return NAME";
    let home = Home::new().tls().on_both("witness", code, json!({}));
    let mut server = Lapps::start(&home);
    for (target, name) in [("/witness", "witness"), ("/witness-dedicated", "witness_dedicated")] {
        let mut client = Client::open(&server, target);
        client.echo("hello");
        client.half_close();
        server.expect_log(&format!("{name} lost "));
        assert_eq!(client.get(), Got::Eof);
    }
    assert!(!server.stop().contains("ERROR"));
}
