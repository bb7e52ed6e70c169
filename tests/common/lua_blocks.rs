//! The blocks of Lua in a document: they compile, and print what they say.

use super::client::{Client, Got};
use super::process::Lapps;

/// Runs the text of a message as a handler of its own and answers with what it printed; what follows it in the handler's
/// fiber is undone. `example.lua` is the name of the chunk.
pub const RUNNER: &str = r"
load_error = select(2, pcall(require('time').sleep, 0))
local NAME = {}
local function describe(...)
    local words = {}
    for n = 1, select('#', ...) do words[n] = tostring((select(n, ...))) end
    return table.concat(words, '\t')
end
function NAME.onStart() end
function NAME.onOpen(handler) end
function NAME.onMessage(handler, opcode, text)
    local lines = {}
    local chunk, wrong = loadstring(text, '=example.lua')
    if not chunk then return ws:send(handler, 1, 'does not compile: ' .. wrong) end
    local function put(...) lines[#lines + 1] = describe(...) end
    local function fails(f)
        local ok, err = pcall(f)
        put('! ' .. (ok and 'no error' or tostring(err):gsub('^example.lua:%d+: ', '', 1)))
    end
    local mine = { handler = handler, print = put, fails = fails }
    setfenv(chunk, setmetatable(mine, { __index = _G }))
    local ok, err = pcall(chunk)
    if not ok then put('fails: ' .. tostring(err)) end
    return ws:send(handler, 1, table.concat(lines, '\n'))
end
function NAME.onDisconnect(handler) end
function NAME.onShutdown() end
return NAME
";

/// A fenced block of Lua.
pub struct Block {
    pub file: String,
    pub line: usize,
    /// What stands behind `lua` at the fence.
    pub kind: String,
    pub text: String,
}

/// All blocks of Lua of a document.
pub fn of(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, content) in (1..).zip(text.lines()) {
        match &mut open {
            Some(_) if content == "```" => blocks.extend(open.take()),
            Some(block) => block.text.extend([content, "\n"]),
            None => {
                open = content.strip_prefix("```lua").map(|kind| Block {
                    file: file.to_string(),
                    line,
                    kind: kind.trim().to_string(),
                    text: String::new(),
                });
            }
        }
    }
    assert!(open.is_none(), "{file}: a block without an end");
    blocks
}

/// Sends those blocks to [`RUNNER`] at `/runner` and `/runner-dedicated` of which nothing special is said. How many there are,
/// and what is wrong with them: `-->` promises what `print` writes, `--!` the error of its line; a block without either is only
/// compiled.
pub fn run(server: &Lapps, blocks: &[Block]) -> (usize, Vec<String>) {
    let (mut wrong, mut run) = (Vec::new(), 0);
    for block in blocks.iter().filter(|block| block.kind.is_empty()) {
        let promised = promised(&block.text).join("\n");
        let code = match promised.is_empty() {
            true => format!("local function block()\n{}\nend", block.text),
            false => catching(&block.text),
        };
        for target in ["/runner", "/runner-dedicated"] {
            let mut client = Client::open(server, target);
            client.text(&code);
            let got = client.get();
            if got != Got::Text(promised.clone()) {
                wrong.push(format!("{}:{} at {target}: {got:?}", block.file, block.line));
            }
        }
        run += 1;
    }
    (run, wrong)
}

/// The lines that a block says it prints: `--> text` what `print` writes, `--! text` the error of its line.
fn promised(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| match (line.split_once("--> "), line.split_once("--! ")) {
            (Some((_, output)), _) => Some(output.to_string()),
            (_, Some((_, error))) => Some(format!("! {error}")),
            _ => None,
        })
        .collect()
}

/// The block with each line that promises an error as a call that catches it.
fn catching(text: &str) -> String {
    let caught = |line: &str| match line.split_once("--! ") {
        Some((code, _)) => format!("fails(function() {} end)", code.trim()),
        None => line.to_string(),
    };
    text.lines().map(caught).collect::<Vec<_>>().join("\n")
}
