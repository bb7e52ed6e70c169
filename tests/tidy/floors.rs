//! Who may use whom: the crates, the floors inside `src/`, and what some of them must not know at all.

use crate::Complaint;
use crate::rust::{code_only, is_word, line_of, words};

/// The modules of `src/`, from the top floor down. A module uses those on floors below its own, and itself.
const FLOORS: &[&[&str]] = &[
    &["main", "commands", "arguments", "server", "dev_cert"],
    &["engine"],
    &["net", "ops"],
    &["services"],
    &["sys", "config"],
];

/// Our crates and which of ours each may name in its manifest.
const CRATES: &[(&str, &[&str])] = &[
    ("parser/Cargo.toml", &[]),
    ("lua/Cargo.toml", &["lapps-parser"]),
    ("Cargo.toml", &["lapps-parser", "lapps-lua"]),
    ("fuzz/Cargo.toml", &["lapps-parser", "lapps-lua", "lapps"]),
    ("bench/Cargo.toml", &["lapps-parser", "lapps-lua", "lapps"]),
];

/// What stands in no code (tests aside) below these paths.
const STRANGERS: &[(&str, &[&str], &str)] = &[
    ("parser/src/", &["Instant::now", "SystemTime"], "protocol code is given the time"),
    ("parser/src/", &["std::net", "std::io", "std::fs", "std::thread"], "protocol code does no I/O"),
    ("src/net/connection", &["Instant::now", "SystemTime"], "protocol code is given the time"),
    ("src/net/connection", &["std::net", "std::fs", "std::thread"], "protocol code does no I/O"),
    ("lua/src/", &["std::net", "std::thread"], "the Lua crate knows no socket and no thread"),
];

/// Uses inside `src/` that go up, or sideways to a neighbour on the same floor.
pub(crate) fn imports(path: &str, text: &str) -> Vec<Complaint> {
    let Some(module) = module_of(path) else { return Vec::new() };
    let Some(own) = floor_of(module) else {
        return vec![format!("{path}:1: `{module}` stands on no floor: name it in tests/tidy/floors.rs")];
    };
    let code = code_only(text);
    let mut complaints = Vec::new();
    for (at, used) in root_paths(&code) {
        let allowed = used == module || floor_of(used).is_some_and(|floor| floor > own);
        if !allowed {
            complaints.push(format!("{path}:{}: `{module}` may not use `{used}`", line_of(&code, at)));
        }
    }
    complaints
}

/// The first name of a file's path below `src/`: `src/net/tls.rs` and `src/net.rs` are both `net`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    // The library's root lists the modules and uses none.
    (name != "lib").then_some(name)
}

/// Counted from the top.
fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The modules named by `crate::NAME`, `crate::{NAME, …}`, and by `super::NAME` where NAME is a module of the root.
fn root_paths(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for root in ["crate", "super"] {
        for at in words(code, root) {
            let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
            let known = |name: &&str| root == "crate" || floor_of(name).is_some();
            found.extend(heads(rest).into_iter().filter(known).map(|name| (at, name)));
        }
    }
    found
}

/// The first names of a path or of each path in braces.
fn heads(rest: &str) -> Vec<&str> {
    let Some(group) = rest.trim_start().strip_prefix('{') else { return name(rest).into_iter().collect() };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b',' | b'}' if depth == 0 => {
                names.extend(name(&group[start..at]));
                start = at + 1;
                if byte == b'}' {
                    break;
                }
            }
            b'}' => depth -= 1,
            _ => {}
        }
    }
    names
}

fn name(path: &str) -> Option<&str> {
    let path = path.trim_start();
    let end = path.bytes().position(|b| !is_word(b)).unwrap_or(path.len());
    (end > 0).then(|| &path[..end])
}

/// Dependencies of a manifest on crates of ours that are not below it.
pub(crate) fn dependencies(path: &str, text: &str) -> Vec<Complaint> {
    // Other people's servers, and the baselines, know nothing of ours.
    let peers: (&str, &[&str]) = (path, &[]);
    let own = CRATES.iter().find(|(manifest, _)| *manifest == path);
    let Some((_, allowed)) = own.or(path.starts_with("bench/peers/").then_some(&peers)) else {
        return vec![format!("{path}:1: this crate stands on no floor: name it in tests/tidy/floors.rs")];
    };
    let mut complaints = Vec::new();
    let mut inside = false;
    for (line, content) in (1..).zip(text.lines()) {
        if content.starts_with('[') {
            // Not `[workspace.dependencies]`: that table only says where each crate is.
            inside = content.ends_with("dependencies]") && !content.starts_with("[workspace");
        }
        let dependency = content.split(['.', '=', ' ']).next().unwrap_or_default();
        if inside && dependency.starts_with("lapps") && !allowed.contains(&dependency) {
            complaints.push(format!("{path}:{line}: this crate may not use `{dependency}`"));
        }
    }
    complaints
}

/// What a file must not know of.
pub(crate) fn strangers(path: &str, text: &str) -> Vec<Complaint> {
    let code = code_only(text);
    let code = &code[..code.find("#[cfg(test)]").unwrap_or(code.len())];
    let mut complaints = Vec::new();
    for (place, names, why) in STRANGERS {
        for name in names.iter().filter(|_| path.starts_with(place)) {
            for at in words(code, name) {
                complaints.push(format!("{path}:{}: `{name}`, but {why}", line_of(code, at)));
            }
        }
    }
    complaints
}

#[test]
fn lets_imports_go_down() {
    let text =
        "use crate::net::{Connection, upgrade};\nuse crate::{config, engine::slab::Slab};\nuse super::slab;";
    assert_eq!(imports("src/engine/worker.rs", text), [""; 0]);
    assert_eq!(imports("src/main.rs", "use lapps::server;"), [""; 0]);
    assert_eq!(imports("src/lib.rs", "pub mod net;"), [""; 0]);
    assert_eq!(imports("parser/src/frame.rs", "use crate::engine;"), [""; 0]);
}

#[test]
fn stops_imports_that_go_up() {
    assert_eq!(imports("src/net/connection.rs", "use crate::engine::Slab;").len(), 1);
    assert_eq!(imports("src/config.rs", "fn a() { crate::server::run() }").len(), 1);
    assert_eq!(imports("src/net/mod.rs", "use super::engine;").len(), 1);
    let grouped = "use crate::{\n    config::{self, engine},\n    net, server::{a, b},\n};";
    assert_eq!(imports("src/services/acl.rs", grouped).len(), 2);
}

#[test]
fn stops_imports_that_go_sideways_or_nowhere() {
    assert_eq!(imports("src/net/tls.rs", "use crate::ops::metrics;").len(), 1);
    assert_eq!(imports("src/sys/epoll.rs", "use crate::config::Config;").len(), 1);
    assert_eq!(imports("src/net/tls.rs", "use crate::Something;").len(), 1);
    assert_eq!(imports("src/elsewhere.rs", "").len(), 1);
}

#[test]
fn looks_at_code_only() {
    assert_eq!(
        imports("src/net/tls.rs", "// crate::engine\n/// [`crate::server`]\nlet a = \"crate::main\";"),
        [""; 0]
    );
}

#[test]
fn stops_dependencies_that_go_up() {
    let lua = "[dependencies]\nlapps-parser.workspace = true\nmlua.workspace = true\n";
    assert_eq!(dependencies("lua/Cargo.toml", lua), [""; 0]);
    assert_eq!(dependencies("parser/Cargo.toml", lua).len(), 1);
    assert_eq!(dependencies("lua/Cargo.toml", "[dev-dependencies]\nlapps = { path = \"..\" }").len(), 1);
    assert_eq!(
        dependencies("Cargo.toml", "[workspace.dependencies]\nlapps-bench = { path = \"bench\" }"),
        [""; 0]
    );
    assert_eq!(dependencies("elsewhere/Cargo.toml", "").len(), 1);
    assert_eq!(dependencies("bench/peers/a/Cargo.toml", "[dependencies]\ntokio = \"1\"\n"), [""; 0]);
    assert!(!dependencies("bench/peers/a/Cargo.toml", "[dependencies]\nlapps-parser = \"1\"\n").is_empty());
}

#[test]
fn finds_strangers_outside_of_tests() {
    let text = "let a = Instant::now();\n#[cfg(test)]\nmod tests { fn b() { Instant::now(); } }";
    assert_eq!(strangers("src/net/connection.rs", text).len(), 1);
    assert_eq!(strangers("src/engine/worker.rs", text), [""; 0]);
    assert_eq!(strangers("lua/src/vm.rs", "use std::thread::spawn;").len(), 1);
}
