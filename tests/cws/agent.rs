//! A service that runs the Lua it is told to, and tells in the log what that says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// On which kind of instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Worker,
    Dedicated,
    Standalone,
}

pub(crate) const ALL: [Kind; 3] = [Kind::Worker, Kind::Dedicated, Kind::Standalone];

/// What scripts find.
const TOOLS: &str = r"
local function say(...)
    local words = {}
    for n = 1, select('#', ...) do words[n] = tostring((select(n, ...))) end
    io.stderr:write('[say] ' .. table.concat(words, ' ') .. '\n')
end
local function run(text)
    local script = assert(loadstring(text, '=script'))
    local tools = { say = say }
    -- Handlers that say what they are told.
    function tools.talking(name, more)
        local all = {
            onopen = function(h, ...) say(name, 'open', ...) end,
            onmessage = function(h, message, opcode) say(name, 'message', #message < 100 and message or #message, opcode) end,
            onerror = function(h, text) say(name, 'error', text) end,
            onclose = function(h, payload, code, reason) say(name, 'close', #payload, code, reason) end,
        }
        for key, f in pairs(more or {}) do all[key] = f end
        return all
    end
    setfenv(script, setmetatable(tools, { __index = _G, __newindex = _G }))
    script()
end
";

const REACTIVE: &str = r"
local agent = {}
function agent.onStart() end
function agent.onOpen() end
function agent.onMessage(handler, opcode, text) spawn(run, text):detach() return true end
function agent.onDisconnect() end
function agent.onShutdown() say('onShutdown') end
return agent
";

const STANDALONE: &str = r"
local agent = {}
function agent.init() end
function agent.run()
    local n = 1
    while not must_stop() do
        local file = io.open('DIRECTORY/script' .. n .. '.lua')
        if file then
            local text = file:read('*a')
            file:close()
            n = n + 1
            spawn(run, text):detach()
        end
        time.sleep(0.005)
    end
    say('run ends')
end
return agent
";

/// A server with an agent and an echo service.
pub(crate) struct Agent {
    pub(crate) server: Lapps,
    kind: Kind,
    directory: PathBuf,
    scripts: u32,
    _home: Home,
}

impl Agent {
    pub(crate) fn start(kind: Kind) -> Agent {
        Agent::on(kind, Home::new(), json!({}))
    }

    /// With a home that has more in it, and further keys for the agent.
    pub(crate) fn on(kind: Kind, home: Home, keys: Value) -> Agent {
        let directory = home.path().to_owned();
        let (code, placement) = match kind {
            Kind::Worker => (REACTIVE, json!({ "preload": ["cws", "time"] })),
            Kind::Dedicated => (REACTIVE, json!({ "preload": ["cws", "time"], "instances": 1 })),
            Kind::Standalone => {
                (STANDALONE, json!({ "preload": ["cws", "time"], "placement": "standalone", "instances": 1 }))
            }
        };
        let code = format!("{TOOLS}{code}").replace("DIRECTORY", directory.to_str().unwrap());
        let mut all = placement;
        for (key, value) in keys.as_object().unwrap() {
            all[key] = value.clone();
        }
        let home = home.service("agent", &code, all).service(
            "echo",
            ECHO,
            json!({ "max_inbound_message_size": 8 << 20 }),
        );
        let server = Lapps::start(&home);
        Agent { server, kind, directory, scripts: 0, _home: home }
    }

    /// The home of its server.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs these lines in a fiber. `URI` is the echo service of the same server.
    pub(crate) fn run(&mut self, lua: &str) {
        let scheme = if self.server.tls { "wss" } else { "ws" };
        let lua = lua.replace("URI", &format!("'{scheme}://{}/echo'", self.server.address));
        if self.kind == Kind::Standalone {
            self.scripts += 1;
            let name = self.directory.join(format!("script{}.lua", self.scripts));
            let half = name.with_extension("half");
            fs::write(&half, lua).unwrap();
            fs::rename(&half, &name).unwrap();
        } else {
            Client::open(&self.server, "/agent").text(&lua);
        }
    }

    /// Waits until it has said all these lines, in any order, and gives the log up to there.
    #[track_caller]
    pub(crate) fn hear(&mut self, lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| format!("[say] {line}\n")).collect();
        self.server.expect_all(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}
