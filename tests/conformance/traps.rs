//! The traps in which other servers' ways would catch programs of the original: one test each, named after it.

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// A raw service on both placements whose `onMessage` answers what `answer(handler, message)` returns.
fn answering(name: &str, answer: &str, keys: serde_json::Value) -> Home {
    Home::new().on_both(name, &service(answer), keys)
}

fn service(answer: &str) -> String {
    format!(
        "{answer}
        NAME = {{}}
        NAME.__index = NAME
        NAME['onStart'] = function() end
        NAME['onMessage'] = function(handler, opcode, message)
            return ws:send(handler, opcode, answer(handler, message))
        end
        NAME['onDisconnect'] = function(handler) if gone then gone(handler) end end
        NAME['onShutdown'] = function() end
        return NAME"
    )
}

#[track_caller]
fn ask(client: &mut Client, message: &str) -> String {
    client.text(message);
    match client.get() {
        Got::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn both(name: &str) -> [String; 2] {
    [format!("/{name}"), format!("/{name}-dedicated")]
}

#[test]
fn handler_as_table_key_and_in_string_concatenation() {
    let code = r"
        local counts = {}
        function answer(handler)
            counts[handler] = (counts[handler] or 0) + 1
            counts['' .. handler] = (counts['' .. handler] or 0) + 1
            return handler .. ' ' .. counts[handler] .. ' ' .. counts[tostring(handler)] .. ' ' .. type(handler)
        end";
    let server = Lapps::start(&answering("keys", code, json!({})));
    for target in both("keys") {
        let mut clients: Vec<Client> = (0..8).map(|_| Client::open(&server, &target)).collect();
        let mut names: Vec<String> = Vec::new();
        for count in 1..=3 {
            for (n, client) in clients.iter_mut().enumerate() {
                let said = ask(client, "who am I?");
                let (name, rest) = said.split_once(' ').unwrap();
                assert_eq!(rest, format!("{count} {count} number"), "{said}");
                assert!(name.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
                match count {
                    1 => names.push(name.to_owned()),
                    _ => assert_eq!(name, names[n]),
                }
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), clients.len(), "no two have the same number");
    }
}

#[test]
fn instance_id_is_a_string() {
    let code = "function answer() return type(instance_id) .. instance_id end";
    let alone = r"
        alone = {}
        alone['init'] = function() print('init ' .. type(instance_id) .. instance_id) end
        alone['run'] = function() print('run ' .. type(instance_id) .. instance_id) end
        return alone";
    let home = answering("ids", code, json!({}))
        .service("many", &service(code).replace("NAME", "many"), json!({ "instances": 3 }))
        .service("alone", alone, json!({ "standalone": true, "instances": 2 }));
    let server = Lapps::start(&home);
    assert_eq!(ask(&mut Client::open(&server, "/ids-dedicated"), "?"), "string0");
    for (target, instances) in [("/ids", 2), ("/many", 3)] {
        let mut clients: Vec<Client> = (0..12).map(|_| Client::open(&server, target)).collect();
        let mut ids: Vec<String> = clients.iter_mut().map(|client| ask(client, "?")).collect();
        ids.sort();
        ids.dedup();
        let expected: Vec<String> = (0..instances).map(|id| format!("string{id}")).collect();
        assert_eq!(ids, expected, "{target}");
    }
    let printed = server.banner.clone() + &server.stop();
    for line in ["init string0", "init string1", "run string0", "run string1"] {
        assert_eq!(printed.matches(line).count(), 1, "{line}: {printed}");
    }
}

#[test]
fn two_return_values_from_on_message() {
    let code = r"
        NAME = {}
        NAME['onStart'] = function() end
        NAME['onMessage'] = function(handler, opcode, message)
            if message == 'both' then
                ws:send(handler, 1, 'both')
                return true, 'and something more'
            elseif message == 'sent' then
                return ws:send(handler, 1, 'sent'), nil
            end
            return false, 'this one has to go'
        end
        NAME['onDisconnect'] = function(handler) end
        NAME['onShutdown'] = function() end
        return NAME";
    let server = Lapps::start(&Home::new().on_both("values", code, json!({})));
    for target in both("values") {
        let mut client = Client::open(&server, &target);
        for _ in 0..3 {
            assert_eq!(ask(&mut client, "both"), "both");
            assert_eq!(ask(&mut client, "sent"), "sent");
        }
        let mut other = Client::open(&server, &target);
        other.text("neither");
        assert_eq!(other.get(), Got::Close(1011, String::new()));
        assert_eq!(ask(&mut client, "both"), "both");
    }
}

#[test]
fn numbers_written_by_lua_into_nljson() {
    let code = r#"
        function answer(handler, message)
            local u = nljson.decode([[ { "n": 0, "list": [] } ]])
            u.n = tonumber(message)
            u.list[1] = { tonumber(message) }
            return nljson.encode(u) .. ' ' .. nljson.to_cbor(u.n):byte(1)
        end"#;
    let server = Lapps::start(&answering("numbers", code, json!({})));
    for target in both("numbers") {
        let mut client = Client::open(&server, &target);
        // Whole numbers are whole (major type 0 or 1), all others are doubles (0xfb).
        for (number, text, first) in [
            ("5", "5", 5),
            ("5.0", "5", 5),
            ("-1", "-1", 0x20),
            ("0", "0", 0),
            ("9007199254740992", "9007199254740992", 0x1b),
            ("0.5", "0.5", 0xfb),
            ("-2.25", "-2.25", 0xfb),
            ("1e300", "1e+300", 0xfb),
        ] {
            let expected = format!("{{\"list\":[[{text}]],\"n\":{text}}} {first}");
            assert_eq!(ask(&mut client, number), expected, "{number}");
        }
    }
}

#[test]
fn ws_send_on_a_closed_handler() {
    let code = r"
        local first
        function gone(handler)
            local ok, message = ws:send(handler, 1, 'farewell')
            print('in onDisconnect ' .. tostring(ok) .. ' ' .. tostring(message))
        end
        function answer(handler, message)
            if message == 'keep' then first = handler return 'kept' end
            local ok, text = ws:send(first, 1, 'to nobody')
            return tostring(ok) .. ' ' .. tostring(text)
        end";
    // One worker, so that both clients are served by one instance.
    let home = answering("closed", code, json!({})).ws(json!({ "workers": { "workers": 1 } }));
    let mut server = Lapps::start(&home);
    for target in both("closed") {
        let mut keeper = Client::open(&server, &target);
        let mut leaver = Client::open(&server, &target);
        assert_eq!(ask(&mut leaver, "keep"), "kept");
        leaver.reset();
        server.expect_log("in onDisconnect false connection closed");
        assert_eq!(ask(&mut keeper, "send"), "false connection closed", "{target}");
        let mut heir = Client::open(&server, &target);
        assert_eq!(ask(&mut keeper, "send"), "false connection closed", "{target}");
        assert_eq!(ask(&mut heir, "send"), "false connection closed", "nothing came for somebody else");
        drop((keeper, heir));
        server.expect_log("in onDisconnect false connection closed");
        server.expect_log("in onDisconnect false connection closed");
    }
}

#[test]
fn bcast_unsubscribe_of_one_never_subscribed() {
    let code = r#"
        NAME = {}
        NAME['onStart'] = function() bcast:create(9) end
        NAME['onMessage'] = function(handler, msg_type, message)
            local response = nljson.decode([[ {"cid": 0, "status": 1, "result": []} ]])
            response.result = { bcast:unsubscribe(9, handler) }
            return ws:send(handler, response)
        end
        NAME['onDisconnect'] = function(handler) bcast:unsubscribe(9, handler) end
        NAME['onShutdown'] = function() end
        return NAME"#;
    let server = Lapps::start(&Home::new().on_both("never", code, json!({ "protocol": "LAppS" })));
    for target in both("never") {
        for _ in 0..3 {
            let mut client = Client::open(&server, &target);
            assert_eq!(client.call("leave", &json!([])), json!([false, "not subscribed"]));
            client.close(1000);
            assert_eq!(client.get(), Got::Close(1000, String::new()));
        }
        assert_eq!(
            Client::open(&server, &target).call("leave", &json!([])),
            json!([false, "not subscribed"])
        );
    }
    let log = server.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn the_argument_order_of_cws_send() {
    let code = r"
        function answer(handler, uri)
            local opcode, text, wrong
            local object = assert(cws:new(uri, {
                onopen = function(h)
                    wrong = select(2, pcall(cws.send, cws, h, 2, 'opcode first'))
                    assert(cws:send(h, 'data first', 2))
                end,
                onmessage = function(h, message, code) text, opcode = message, code end,
            }))
            while not text do cws:eventLoop() end
            object:close()
            return opcode .. ' ' .. text .. ' ' .. wrong
        end";
    let keys = json!({ "preload": ["cws"] });
    let home = answering("order", code, keys).service("echo", crate::common::home::ECHO, json!({}));
    let server = Lapps::start(&home);
    let uri = format!("ws://{}/echo", server.address);
    for target in both("order") {
        let said = ask(&mut Client::open(&server, &target), &uri);
        assert_eq!(said, "2 data first cws:send: argument 3 (opcode) must be a number, got string");
    }
}

#[test]
fn time_has_now_and_the_fiber_members() {
    let code = r"
        function answer()
            local names = {}
            for name, member in pairs(time) do names[#names + 1] = name .. ' ' .. type(member) end
            table.sort(names)
            assert(time.now() > 1.7e12 and time.now() % 1 == 0)
            assert(require('time') == time)
            return table.concat(names, ', ')
        end";
    let server = Lapps::start(&answering("clock", code, json!({ "preload": ["time"] })));
    for target in both("clock") {
        let expected = "after function, every function, monotonic function, now function, sleep function, \
                        sleep_for function, steady_timer table";
        assert_eq!(ask(&mut Client::open(&server, &target), "?"), expected);
    }
}

#[test]
fn os_getenv_of_the_applications_directory() {
    let code = "local loading = os.getenv('LAPPS_APPS_DIR')
        function answer() return loading .. ' ' .. os.getenv('LAPPS_APPS_DIR') end";
    let home = answering("where", code, json!({}));
    let server = Lapps::start(&home);
    let apps = home.path().join("apps").to_str().unwrap().to_owned();
    for target in both("where") {
        assert_eq!(ask(&mut Client::open(&server, &target), "?"), format!("{apps} {apps}"));
    }
}

#[test]
fn internal_instead_of_standalone() {
    let code = r"
        NAME = {}
        NAME['init'] = function() print('NAME init ' .. type(ws)) end
        NAME['run'] = function()
            print('NAME run ' .. type(bcast) .. ' ' .. type(nljson) .. ' ' .. tostring(must_stop()))
        end
        return NAME";
    let home = Home::new()
        .service("older", &code.replace("NAME", "older"), json!({ "internal": true, "instances": 1 }))
        .service("newer", &code.replace("NAME", "newer"), json!({ "standalone": true, "instances": 1 }))
        .service("echo", crate::common::home::ECHO, json!({ "internal": false, "instances": 1 }));
    let server = Lapps::start(&home);
    Client::open(&server, "/echo").echo("internal: false is a service with clients");
    let mut stranger = Client::connect(&server);
    stranger.write(crate::common::client::upgrade("/older").as_bytes());
    assert_eq!(stranger.read_response().status, 404);
    let printed = server.banner.clone() + &server.stop();
    for name in ["older", "newer"] {
        for line in [format!("{name} init nil"), format!("{name} run table table false")] {
            assert!(printed.contains(&line), "{line}: {printed}");
        }
    }
}

#[test]
fn require_of_modules_beside_the_service() {
    let code = "local beside, theirs = require('beside'), require('of_another')
        function answer() return beside.name .. ' ' .. theirs.name .. ' ' .. tostring(require('beside') == beside) end";
    let home = answering("asks", code, json!({})).service(
        "zz_other",
        crate::common::home::ECHO,
        json!({ "auto_start": false }),
    );
    for directory in ["asks", "asks_dedicated"] {
        home.write(
            &format!("apps/{directory}/beside.lua"),
            &format!("return {{ name = 'beside {directory}' }}"),
        );
    }
    home.write("apps/zz_other/of_another.lua", "return { name = 'of another service' }");
    let server = Lapps::start(&home);
    for (target, directory) in both("asks").iter().zip(["asks", "asks_dedicated"]) {
        let said = ask(&mut Client::open(&server, target), "?");
        assert_eq!(said, format!("beside {directory} of another service true"));
    }
}

#[test]
fn a_lua_error_in_a_handler_of_one_client_while_another_is_being_served() {
    let code = r"
        local count = 0
        function answer(handler, message)
            count = count + 1
            if message == 'fail' then local nothing = nil; return nothing.here end
            if message == 'slow' then nap:usleep(20000) end
            return message .. ' ' .. count
        end";
    let home =
        answering("fails", code, json!({ "preload": ["nap"] })).ws(json!({ "workers": { "workers": 1 } }));
    let mut server = Lapps::start(&home);
    for target in both("fails") {
        let mut served = Client::open(&server, &target);
        for round in 0..3 {
            let mut failing = Client::open(&server, &target);
            served.text("slow");
            failing.text("fail");
            assert_eq!(served.get(), Got::Text(format!("slow {}", round * 3 + 1)), "{target}");
            assert_eq!(failing.get(), Got::Close(1011, String::new()), "{target}");
            server.expect_log("attempt to index local 'nothing'");
            assert_eq!(ask(&mut served, "again"), format!("again {}", round * 3 + 3), "the same instance");
        }
    }
}
