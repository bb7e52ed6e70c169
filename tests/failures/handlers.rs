//! Handlers that fail: it costs the connection they were called for, and is told in the log.

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// Fails in the way that the message asks for.
const MOODY: &str = r"local NAME = {}
local function deep(what) error('deep: ' .. what) end
local ways = {
    ['raise'] = function() error('no bananas today') end,
    ['raise deep'] = function() deep('really') end,
    ['raise a table'] = function() error({ code = 7 }) end,
    ['raise nothing'] = function() error() end,
    ['raise itself'] = function() error(setmetatable({}, { __tostring = function() error('again') end })) end,
    ['index nil'] = function() return NAME.missing.field end,
    ['recurse'] = function() local function f() return 1 + f() end return f() end,
    ['wrong type'] = function() ws:send('nobody', 1, 'x') end,
    ['exit'] = function() os.exit(3) end,
    ['nothing'] = function() end,
    ['false'] = function() return false end,
    ['a string'] = function() return 'true' end,
    ['a number'] = function() return 1 end,
    ['memory'] = function()
        local all = {}
        for n = 1, 1e9 do all[n] = ('x'):rep(1e6) .. n end
    end,
    ['sends first'] = function(handler)
        ws:send(handler, 1, 'before')
        error('after sending')
    end,
}
function NAME.onStart() end
function NAME.onMessage(handler, opcode, message)
    if message == 'two values' then return true, 'and more' end
    local way = ways[message]
    if way then local answer = way(handler) return answer end
    return ws:send(handler, opcode, message)
end
function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
function NAME.onShutdown() end
return NAME
";

/// Each way to fail, and what the log has to say about it beside service, handler and connection. `LUA` is the file.
const WAYS: &[(&str, &[&str])] = &[
    ("raise", &["LUA:4: no bananas today", "stack traceback:", "LUA:30: in function"]),
    ("raise deep", &["LUA:2: deep: really", "stack traceback:", "LUA:5"]),
    ("raise a table", &["table"]),
    ("raise nothing", &["nil"]),
    ("raise itself", &[]),
    ("index nil", &["LUA:9: attempt to index field 'missing' (a nil value)"]),
    ("recurse", &["stack overflow"]),
    ("wrong type", &["LUA:11:", "handler", "number", "string"]),
    ("exit", &["os.exit", "cannot end the server"]),
    ("nothing", &["returned nil", "must return true"]),
    ("false", &["returned false", "return true to keep the connection"]),
    ("a string", &["returned", "string", "must return true"]),
    ("a number", &["returned", "number", "must return true"]),
    ("memory", &["not enough memory", "16777216 bytes"]),
    ("sends first", &["LUA:23: after sending"]),
];

#[test]
fn a_handler_that_fails_costs_its_connection_and_says_what_where_and_for_whom() {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both(
        "moody",
        MOODY,
        json!({ "max_lua_memory": 16 << 20 }),
    );
    let mut server = Lapps::start(&home);
    for (target, name) in [("/moody", "moody"), ("/moody-dedicated", "moody_dedicated")] {
        // The same instance serves all clients of a target.
        let mut bystander = Client::open(&server, target);
        bystander.echo("before");
        for (way, words) in WAYS {
            let mut client = Client::open(&server, target);
            client.text(way);
            if *way == "sends first" {
                assert_eq!(client.get(), Got::Text("before".into()));
            }
            assert!(matches!(client.get(), Got::Close(1011, _)), "{target}: {way}");
            client.close(1011);
            assert_eq!(client.get(), Got::Eof, "{target}: {way}");
            bystander.echo(way.to_uppercase().as_str());

            let lost = format!("{name} lost ");
            let entry = format!("service '{name}', onMessage, connection ");
            let words: Vec<String> =
                words.iter().map(|word| word.replace("LUA", &format!("{name}.lua"))).collect();
            let texts = [&lost[..], &entry].into_iter().chain(words.iter().map(String::as_str));
            let log = server.expect_all(&texts.collect::<Vec<_>>());
            let number = |after: &str| {
                let digits =
                    log[log.find(after).unwrap() + after.len()..].split(|c: char| !c.is_ascii_digit());
                digits.map(str::to_owned).next()
            };
            assert_eq!(number(&lost), number(&entry), "{log}");
        }
        let mut content = Client::open(&server, target);
        content.text("two values");
        content.echo("still here");
        drop(content);
        server.expect_log(&format!("{name} lost "));
    }
    server.stop();
}

#[test]
fn after_a_failure_what_the_client_sent_behind_it_is_not_delivered() {
    let home = Home::new().on_both("moody", MOODY, json!({}));
    let server = Lapps::start(&home);
    for target in ["/moody", "/moody-dedicated"] {
        let mut client = Client::open(&server, target);
        let mut bytes = Vec::new();
        for text in ["raise", "not", "delivered"] {
            let opcode = lapps_parser::frame::OpCode::Text;
            lapps_parser::frame::write_masked_frame(&mut bytes, true, opcode, text.as_bytes(), [9; 4]);
        }
        client.write(&bytes);
        assert!(matches!(client.get(), Got::Close(1011, _)), "{target}");
        client.close(1011);
        assert_eq!(client.get(), Got::Eof);
    }
}

#[test]
fn failures_in_the_other_handlers_are_told_and_cost_nothing() {
    let code = r"
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
        function NAME.onDisconnect(handler) error('I do not let you go') end
        function NAME.onShutdown() error('I do not stop') end
        return NAME";
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("clingy", code, json!({}));
    let mut server = Lapps::start(&home);
    for (target, name) in [("/clingy", "clingy"), ("/clingy-dedicated", "clingy_dedicated")] {
        let mut bystander = Client::open(&server, target);
        let mut client = Client::open(&server, target);
        client.close(1000);
        assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
        let log = server.expect_log(&format!("service '{name}', onDisconnect, connection "));
        assert!(log.contains(&format!("{name}.lua:5: I do not let you go")), "{log}");
        bystander.echo("still served");
    }
    // A clean end: the exit code is 0.
    let output = server.stop();
    for name in ["clingy", "clingy_dedicated"] {
        assert!(output.contains(&format!("service '{name}', onShutdown: ")), "{output}");
        assert!(output.contains(&format!("{name}.lua:6: I do not stop")), "{output}");
    }
}

#[test]
fn a_strict_instance_ends_at_its_first_failure_as_in_the_original_and_others_go_on() {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both(
        "moody",
        MOODY,
        json!({
            "lapps_strict": true
        }),
    );
    let server = Lapps::start(&home.on_both("other", MOODY, json!({})));
    for placement in ["", "-dedicated"] {
        let mut first = Client::open(&server, &format!("/moody{placement}"));
        let mut second = Client::open(&server, &format!("/moody{placement}"));
        first.text("raise");
        assert!(matches!(first.get(), Got::Close(1011, _)));
        second.text("hello");
        assert!(matches!(second.get(), Got::Close(1011, _)));
        Client::open(&server, &format!("/other{placement}")).echo("served");
    }
}
