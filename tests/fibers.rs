//! Services that wait: handlers, fibers of connections, standalone services, and how all of them end.

mod common;

#[path = "fibers/floods.rs"]
mod floods;
#[path = "fibers/masses.rs"]
mod masses;
#[path = "fibers/standalone.rs"]
mod standalone;
#[path = "fibers/starts.rs"]
mod starts;
#[path = "fibers/stops.rs"]
mod stops;
#[path = "fibers/waits.rs"]
mod waits;

use std::path::PathBuf;

use common::home::Home;
use serde_json::{Value, json};

/// The endings of targets: in the workers, and on a thread of its own.
const PLACEMENTS: [&str; 2] = ["", "-dedicated"];

/// One worker, so that all clients of a service meet in one instance.
fn one_worker() -> Value {
    json!({ "workers": { "workers": 1 } })
}

/// What lets a handler go on that waits: a file that is not there yet. No clock decides how long that takes.
struct Gate(PathBuf);

impl Gate {
    fn new(home: &Home, name: &str) -> Gate {
        Gate(home.path().join(name))
    }

    /// The word by which a client asks a handler of [`WAITS`] to wait here.
    fn wait(&self) -> String {
        format!("wait {}", self.0.display())
    }

    fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}

/// `pass(path)` waits until that file is there.
const PASS: &str = r"
local time = require 'time'
local function pass(path)
    while true do
        local file = io.open(path)
        if file then return file:close() end
        time.sleep(0.005)
    end
end
";

/// The code of an echo service whose `onMessage` waits at a gate when it is asked to, and prints what it does.
fn waits() -> String {
    format!(
        "{PASS}
        local NAME = {{}}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            local path = message:match('^wait (.+)')
            if path then
                print('NAME waits')
                pass(path)
                message = 'woke'
            end
            local ok = ws:send(handler, opcode, message)
            print('NAME handled ' .. message .. ' ' .. tostring(ok))
            return true
        end
        function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
        function NAME.onShutdown() end
        return NAME"
    )
}

/// The lines of a log, from the program and from services, that `word` begins.
fn lines<'l>(log: &'l str, word: &str) -> Vec<&'l str> {
    log.lines().filter(|line| line.starts_with(word)).collect()
}
