//! The semantic cases of `lua/tests/cases` in a real server and in real time: co-located, dedicated, standalone.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::client::{Client, Got};
use common::home::{ECHO, Home};
use common::process::Lapps;
use common::until;
use serde_json::json;

/// Loads the files by name, and runs cases.
const PRELUDE: &str = r"
-- The cases are not on the path: many of them have the name of a module.
package.path = 'DIRECTORY/shared/?.lua;' .. package.path
local runner = require 'lib.runner'
local loaded = {}
local function cases(file)
    if not loaded[file] then loaded[file] = assert(loadfile('DIRECTORY/' .. file .. '.lua'))() end
    return loaded[file]
end
";

/// `FILE` is answered with the names of its cases, `FILE/NAME` with what came of that one.
const REACTIVE: &str = r"
local NAME = {}
function NAME.onStart() end
function NAME.onMessage(handler, opcode, message)
    local file, case = message:match('^([^/]+)/(.*)$')
    if not file then return ws:send(handler, 1, table.concat(runner.names(cases(message)), '\n')) end
    local verdict, text = runner.run(cases(file), case, false)
    return ws:send(handler, 1, verdict .. '\n' .. text)
end
function NAME.onDisconnect() end
function NAME.onShutdown() end
return NAME
";

/// Runs everything, and writes a line per case.
const STANDALONE: &str = r"
local all = {}
function all.init() end
function all.run()
    local out = assert(io.open('RESULTS', 'w'))
    for file in ('FILES'):gmatch '%S+' do
        for _, name in ipairs(runner.names(cases(file))) do
            local verdict, text = spawn(runner.run, cases(file), name, false):join()
            out:write(verdict, ' ', file, '/', name, '\n', text == '' and '' or text .. '\n')
        end
    end
    out:write 'END\n'
    out:close()
    io.stderr:write 'all cases have ended\n'
end
return all
";

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/tests/cases"))
}

/// The names of the files with cases.
fn files() -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "lua"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    files
}

/// A home without services in whose `cases` everything lies; and the prelude that finds it there.
fn home() -> (Home, String) {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } }));
    for name in files() {
        copy(&home, &format!("{name}.lua"), "");
    }
    for name in ["lib/check.lua", "lib/runner.lua"] {
        copy(&home, name, "shared/");
    }
    let directory = home.path().join("cases");
    let prelude = PRELUDE.replace("DIRECTORY", directory.to_str().unwrap());
    (home, prelude)
}

fn copy(home: &Home, name: &str, to: &str) {
    home.write(&format!("cases/{to}{name}"), &fs::read_to_string(source().join(name)).unwrap());
}

/// Runs all cases through one connection. Returns what failed, and what has to be in the log.
fn run_all(server: &mut Lapps, target: &str) -> (String, Vec<String>) {
    let (mut failures, mut logged) = (String::new(), Vec::new());
    let mut client = Client::open(server, target);
    let mut ask = |question: &str| {
        client.text(question);
        match client.get() {
            Got::Text(text) => text,
            other => panic!("{question}: {other:?}\n{}", server.expect_log("service 'suite")),
        }
    };
    let mut count = 0;
    for file in files() {
        for name in ask(&file).lines() {
            count += 1;
            let answer = ask(&format!("{file}/{name}"));
            match answer.split_once('\n').unwrap() {
                ("pass", text) => {
                    logged.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
                }
                (_, text) => writeln!(failures, "{file}: {name}\n{text}\n").unwrap(),
            }
        }
    }
    assert!(count >= 150, "{count} cases");
    (failures, logged)
}

/// What must not be in a log, whatever the cases did.
#[track_caller]
fn is_sane(log: &str) {
    for odd in ["the scheduler failed", "panicked", "deadlock"] {
        assert!(!log.contains(odd), "{odd:?} in the log:\n{log}");
    }
}

fn in_handlers(ending: &str) {
    let (home, prelude) = home();
    let home = home.on_both("suite", &format!("{prelude}{REACTIVE}"), json!({}));
    let mut server = Lapps::start(&home);
    let (failures, logged) = run_all(&mut server, &format!("/suite{ending}"));
    let log = server.stop();
    assert_eq!(failures, "", "{log}");
    is_sane(&log);
    for text in logged {
        assert!(log.contains(&text), "{text:?} is not in the log:\n{log}");
    }
}

#[test]
fn in_handlers_of_a_co_located_service() {
    in_handlers("");
}

#[test]
fn in_handlers_of_a_dedicated_service() {
    in_handlers("-dedicated");
}

#[test]
fn in_a_standalone_service() {
    let (home, prelude) = home();
    let results = home.path().join("results");
    let code = format!("{prelude}{STANDALONE}")
        .replace("RESULTS", results.to_str().unwrap())
        .replace("FILES", &files().join(" "));
    let home =
        home.service("all", &code, json!({ "placement": "standalone" })).service("echo", ECHO, json!({}));
    let mut server = Lapps::start(&home);
    until("all cases have ended", || fs::read_to_string(&results).is_ok_and(|text| text.ends_with("END\n")));
    Client::open(&server, "/echo").echo("others run");
    let mut log = server.expect_log("all cases have ended\n");
    log.push_str(&server.stop());
    let written = fs::read_to_string(&results).unwrap();
    let passed = written.lines().filter(|line| line.starts_with("pass ")).count();
    assert!(passed >= 150 && !written.lines().any(|line| line.starts_with("fail ")), "{written}\n{log}");
    is_sane(&log);
}
