//! What files of the original say holds in a running server: where they lie, who is started first, who is let in.

mod common;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use serde_json::json;

use common::client::{Client, Got, upgrade};
use common::home::{ECHO, Home, merged};
use common::process::{Lapps, run_to_end};

/// A service that says when it starts.
fn telling(name: &str) -> String {
    ECHO.replace("echo", name).replace("onStart() end", &format!("onStart() print('{name} starts') end"))
}

#[track_caller]
fn status(address: SocketAddr, target: &str) -> Option<u16> {
    let mut client = Client::to(address, false);
    let _ = client.try_write(upgrade(target).as_bytes());
    client.status()
}

#[test]
fn what_a_service_needs_starts_first_even_if_it_does_not_start_by_itself() {
    let needs = |auto_start: bool, depends: &[&str]| json!({ "auto_start": auto_start, "depends": depends });
    let home = Home::new()
        .service("a", &telling("a"), needs(true, &["c", "d"]))
        .service("b", &telling("b"), needs(false, &["a"]))
        .service("c", &telling("c"), merged(needs(false, &["e"]), json!({ "instances": 1 })))
        .service("d", &telling("d"), needs(false, &["e"]))
        .service("e", &telling("e"), needs(false, &[]));
    let home = home.ws(json!({ "workers": { "workers": 1 } }));
    let server = Lapps::start(&home);
    let starts: Vec<&str> = server.banner.lines().filter_map(|line| line.strip_suffix(" starts")).collect();
    assert_eq!(starts, ["e", "c", "d", "a"]);
    for (name, expected) in [("a", 101), ("b", 503), ("c", 101), ("d", 101), ("e", 101)] {
        assert_eq!(status(server.address, &format!("/{name}")), Some(expected), "{name}");
    }
}

#[test]
fn services_that_need_each_other_are_a_mistake() {
    let home = Home::new()
        .service("a", ECHO, json!({ "depends": ["b"] }))
        .service("b", ECHO, json!({ "depends": ["c"], "auto_start": false }))
        .service("c", ECHO, json!({ "depends": ["a"] }));
    home.save();
    for command in ["run", "check"] {
        let arguments = [command, "--home", home.path().to_str().unwrap()];
        let (status, output, errors) = run_to_end(Path::new("."), &arguments, &[]);
        assert_eq!(status.code(), Some(1), "{output}{errors}");
        for words in ["lapps.json:", "services.c.depends[0]", "circle: a -> b -> c -> a"] {
            assert!(errors.contains(words), "no {words} in {errors}");
        }
    }
}

#[test]
fn access_lists_know_both_families() {
    let Ok(any) = TcpListener::bind("[::1]:0") else {
        return println!("no IPv6 here");
    };
    drop(any);
    let lists = [
        ("open", json!({ "policy": "allow", "exclude": ["::2", "2001:db8::/32", "127.0.0.0/8"] }), 101),
        ("shut", json!({ "policy": "allow", "exclude": ["::1"] }), 403),
        ("net", json!({ "policy": "allow", "exclude": ["::/64"] }), 403),
        ("chosen", json!({ "policy": "deny", "exclude": ["::1/128"] }), 101),
        ("others", json!({ "policy": "deny", "exclude": ["127.0.0.1", "::2"] }), 403),
    ];
    let home = |ws| {
        let home = Home::new().ws(ws);
        lists.iter().fold(home, |home, (name, acl, _)| {
            home.on_both(name, &ECHO.replace("echo", "NAME"), json!({ "acl": acl }))
        })
    };
    let server = Lapps::start(&home(json!({ "ip": "::1" })));
    for (name, _, expected) in &lists {
        for placement in ["", "-dedicated"] {
            assert_eq!(status(server.address, &format!("/{name}{placement}")), Some(*expected), "{name}");
        }
    }
    // The server's list comes first, and closes without a byte.
    let shut = json!({ "ip": "::1", "acl": { "policy": "allow", "exclude": ["::1"] } });
    assert_eq!(status(Lapps::start(&home(shut)).address, "/open"), None);
    let shut = json!({ "ip": "::1", "acl": { "policy": "deny", "exclude": ["127.0.0.1"] } });
    assert_eq!(status(Lapps::start(&home(shut)).address, "/open"), None);
    // Who comes by IPv4 to a socket for both is what he is in IPv4.
    let server = Lapps::start(&home(json!({ "ip": "::" })));
    let by_four = SocketAddr::from((Ipv4Addr::LOCALHOST, server.address.port()));
    for (name, expected) in [("open", 403), ("shut", 101), ("net", 101), ("others", 101)] {
        assert_eq!(status(by_four, &format!("/{name}")), Some(expected), "{name}");
    }
}

#[test]
fn the_environment_says_where_home_and_files_are() {
    let home = Home::new().service("echo", ECHO, json!({}));
    home.save();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    for (from, to) in
        [("etc/conf/ws.json", "conf/server.json"), ("etc/conf/lapps.json", "conf/services.json")]
    {
        home.write(to, &std::fs::read_to_string(path(from)).unwrap());
    }
    std::fs::remove_dir_all(path("etc")).unwrap();
    let variables = [
        ("LAPPS_HOME", &*path("")),
        ("LAPPS_CONF_DIR", &*path("conf")),
        ("WS_CONFIG", "server.json"),
        ("LAPPS_CONFIG", "services.json"),
    ];
    let server = Lapps::run(Path::new("/"), &[], &variables);
    Client::open(&server, "/echo").echo("found");
}

#[test]
fn whole_files_of_the_original_start_a_server() {
    let home = Home::new();
    home.write(
        "etc/conf/ws.json",
        r#"{
  "acl": { "exclude": [], "policy": "allow" },
  "connection_weight": 0.7,
  "ip": "127.0.0.1",
  "lapps_config_auto_save": true,
  "listeners": 2,
  "port": 0,
  "tls": false,
  "tls_certificates": { "ca": "/opt/lapps/conf/ssl/cert.pem", "cert": "/opt/lapps/conf/ssl/cert.pem", "key": "/opt/lapps/conf/ssl/key.pem" },
  "tls_client_version": 4,
  "tls_server_version": 4,
  "workers": {
    "auto_fragment": false, "input_buffer_size": 2048, "max_connections": 10000, "max_inbounds_skip": 50,
    "max_poll_events": 300, "max_poll_wait_ms": 10, "workers": 4
  }
}"#,
    );
    home.write(
        "etc/conf/lapps.json",
        r#"{
  "directories": { "app_conf_dir": "etc", "applications": "apps", "deploy": "deploy", "tmp": "tmp", "workdir": "workdir" },
  "services": {
    "echo": {
      "auto_start": true, "instances": 3, "internal": false, "max_inbound_message_size": 300000, "preload": null,
      "protocol": "raw", "request_target": "/echo", "acl": { "exclude": ["192.168.254.0/24"], "policy": "allow" },
      "extra_headers": { "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload" }
    },
    "old": { "auto_start": false, "instances": 1, "internal": true, "preload": ["nap", "time"], "depends": ["echo"] }
  }
}"#,
    );
    home.write("apps/echo/echo.lua", ECHO);
    let server = Lapps::run(Path::new("."), &["--home", home.path().to_str().unwrap()], &[]);
    assert!(server.banner.contains("4 I/O workers"), "{}", server.banner);
    assert!(
        server.banner.contains("echo at /echo, raw, dedicated (3 instances): running"),
        "{}",
        server.banner
    );
    assert!(server.banner.contains("service old, standalone (1 instance): not started"), "{}", server.banner);
    Client::open(&server, "/echo").echo("as ever");
}

#[test]
fn a_service_is_a_global_and_finds_modules_of_its_own_and_of_others() {
    let code = r"
        assert(tools == nil)
        tools = require('tools')
        words = { onStart = function() assert(words.mine == 1 and package.loaded.words == words) end, mine = 1 }
        function words.onMessage(handler, opcode, message)
            assert(os.getenv('LAPPS_APPS_DIR') == require('own').directory())
            return ws:send(handler, opcode, tools.twice(message))
        end
        function words.onDisconnect(handler) end
        function words.onShutdown() end
        return words";
    let home = Home::new().on_both("echo", &ECHO.replace("echo", "NAME"), json!({}));
    let home = home.service("words", code, json!({}));
    let directory = home.path().join("apps");
    home.write(
        "apps/words/own.lua",
        &format!("return {{ directory = function() return {directory:?} end }}"),
    );
    home.write("apps/shared/tools.lua", "return { twice = function(text) return text .. text end }");
    let server = Lapps::start(&home);
    let mut client = Client::open(&server, "/words?who=me");
    client.text("ab");
    assert_eq!(client.get(), Got::Text("abab".into()));
}
