//! Every page of `docs/modules`: what its blocks of Lua say is what they do. Blocks of the kind `service` are whole services,
//! which are only loaded.

mod common;

use std::fs;
use std::path::Path;

use serde_json::json;

use common::home::Home;
use common::lua_blocks::{self, Block, RUNNER};
use common::process::Lapps;

/// Modules that the blocks find as globals.
const PRELOAD: [&str; 6] = ["cws", "mqr", "murmur", "nap", "pam_auth", "time"];

fn blocks() -> Vec<Block> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/modules");
    let mut blocks = Vec::new();
    for entry in fs::read_dir(pages).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = lua_blocks::of(&format!("docs/modules/{name}"), &fs::read_to_string(&path).unwrap());
        assert!(!found.is_empty(), "{name} has no example");
        blocks.extend(found);
    }
    blocks
}

#[test]
fn every_block_prints_what_it_says() {
    let server = Lapps::start(&Home::new().on_both("runner", RUNNER, json!({ "preload": PRELOAD })));
    let (run, wrong) = lua_blocks::run(&server, &blocks());
    server.stop();
    assert!(run >= 4, "{run} blocks were run");
    assert!(wrong.is_empty(), "{} blocks do not:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_service_can_be_loaded() {
    let mut home = Home::new();
    let services: Vec<Block> = blocks().into_iter().filter(|block| block.kind == "service").collect();
    assert!(!services.is_empty());
    for (n, block) in services.iter().enumerate() {
        let mut keys = json!({ "preload": PRELOAD });
        if block.text.contains(".run()") {
            keys["placement"] = json!("standalone");
        }
        home = home.service(&format!("example_{n}"), &block.text, keys);
    }
    let server = Lapps::start(&home);
    let failed: Vec<&str> = server.banner.lines().filter(|line| line.contains("FAILED")).collect();
    let names: Vec<String> = services.iter().map(|block| format!("{}:{}", block.file, block.line)).collect();
    let failed = (!failed.is_empty()).then(|| format!("{failed:?} of {names:?}"));
    let log = server.stop();
    assert_eq!(failed, None, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}
