//! Services that cannot be started: the log says which file and line, the target answers 503, the others run.

use std::fs;

use serde_json::json;

use crate::common::client::{Client, upgrade};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// Code that cannot be a service, and what the log has to say. `LUA` is the file.
const BROKEN: &[(&str, &str, &[&str])] = &[
    ("syntax", "local a = 1\nlocal b = = 2\n", &["LUA:2: ", "unexpected symbol near '='"]),
    ("unfinished", "local a = {\n\n\n", &["LUA:4: ", "near '<eof>'"]),
    ("raises", "local a\n\nerror('no database')\n", &["LUA:3: no database"]),
    ("indexes", "local a\nreturn a.b\n", &["LUA:2: attempt to index local 'a' (a nil value)"]),
    ("requires", "local x = require 'not_there'\n", &["LUA:1: ", "module 'not_there' not found"]),
    ("empty", "", &["LUA: the file returns nothing", "onStart", "end the file with `return`"]),
    ("number", "return 42\n", &["LUA: the file returns number", "onMessage"]),
    (
        "poor",
        "return { onStart = function() end }\n",
        &["LUA: onMessage is missing, onDisconnect is missing, onShutdown is missing"],
    ),
    (
        "odd",
        "local f = function() end\nreturn { onStart = f, onMessage = 7, onDisconnect = f, onShutdown = 'x' }\n",
        &["onMessage is a number, onShutdown is a string"],
    ),
    (
        "unwilling",
        "local f = function() end\nreturn { onStart = function() error('not today') end,\n\
                   onMessage = f, onDisconnect = f, onShutdown = f }\n",
        &["service 'unwilling', onStart: ", "LUA:2: not today"],
    ),
    (
        "greedy",
        "local all = {}\nfor n = 1, 1e9 do all[n] = ('x'):rep(1e6) .. n end\n",
        &["not enough memory", "16777216 bytes"],
    ),
    ("leaves", "os.exit(0)\n", &["LUA:1: os.exit: a service cannot end the server"]),
];

/// All of them, with services that are fine.
fn home(placed: &str) -> Home {
    let keys = |name: &str| {
        let memory = if name == "greedy" { 16 << 20 } else { 256 << 20 };
        let mut keys = json!({ "max_lua_memory": memory });
        if placed == "dedicated" {
            keys["instances"] = json!(2);
        }
        keys
    };
    let mut home = Home::new().service("echo", ECHO, keys("echo"));
    for (name, code, _) in BROKEN {
        home = home.service(name, code, keys(name));
    }
    let depends = json!({ "depends": ["syntax"] });
    home = home.service(
        "needy",
        &ECHO.replace("echo", "needy"),
        crate::common::home::merged(keys("needy"), depends),
    );
    // Its code is not there at all.
    let home = home.service("absent", "", keys("absent"));
    fs::remove_dir_all(home.path().join("apps/absent")).unwrap();
    home
}

fn answer(server: &Lapps, target: &str) -> u16 {
    let mut client = Client::connect(server);
    client.write(upgrade(target).as_bytes());
    client.read_response().status
}

#[test]
fn a_service_that_cannot_start_says_why_and_answers_503_while_the_others_run() {
    for placed in ["worker", "dedicated"] {
        let server = Lapps::start(&home(placed));
        let mut client = Client::open(&server, "/echo");
        for name in BROKEN.iter().map(|(name, ..)| *name).chain(["needy", "absent"]) {
            assert_eq!(answer(&server, &format!("/{name}")), 503, "{name}");
            let line =
                server.banner.lines().find(|line| line.starts_with(&format!("service {name} "))).unwrap();
            assert!(line.ends_with("FAILED, see the log"), "{line}");
        }
        client.echo("others run");
        let line = server.banner.lines().find(|line| line.starts_with("service echo ")).unwrap();
        assert!(line.ends_with("running"), "{line}");

        let log = server.stop();
        for (name, _, words) in BROKEN {
            let entry = log.lines().find(|line| line.contains(&format!("service '{name}'")));
            let entry = entry.unwrap_or_else(|| panic!("{name} is not in the log:\n{log}"));
            for word in *words {
                let word = word.replace("LUA", &format!("apps/{name}/{name}.lua"));
                assert!(entry.contains(&word), "{placed}: no {word:?} in: {entry}");
            }
            // Once, although each worker or instance tried.
            assert_eq!(log.matches(&format!("service '{name}'")).count(), 1, "{name}: {log}");
        }
        let needy = "service 'needy' cannot be started: it depends on 'syntax', which is not running";
        assert!(log.contains(needy), "{log}");
        let absent = log.lines().find(|line| line.contains("service 'absent'")).expect("absent is told");
        assert!(absent.contains("apps/absent/absent.lua: "), "{absent}");
    }
}
