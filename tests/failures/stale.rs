//! Handlers of connections that have gone, or never were: refused, and never somebody else's.

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// Keeps handlers in a table, and sends to them, or to any number, when told to.
const KEEPER: &str = r"
    local NAME = { kept = {} }
    local function told(what, ok, why) return what .. ' ' .. tostring(ok) .. ' ' .. tostring(why) end
    function NAME.onStart() end
    function NAME.onMessage(handler, opcode, message)
        local order, number = message:match('^(%a+) ?(%S*)$')
        if order == 'keep' then
            NAME.kept[#NAME.kept + 1] = handler
            return ws:send(handler, 1, string.format('%.0f', handler))
        elseif order == 'poke' then
            -- What the service kept itself, or the number it was told.
            local aim = tonumber(number) or number == 'nan' and 0 / 0 or NAME.kept[#NAME.kept]
            ws:send(handler, 1, told('send', ws:send(aim, 1, 'stale')))
            return ws:send(handler, 1, told('close', ws:close(aim, 1000, 'stale')))
        end
        return ws:send(handler, opcode, message)
    end
    function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
    function NAME.onShutdown() end
    return NAME";

const TARGETS: [&str; 2] = ["/keeper", "/keeper-dedicated"];

fn is_refused(client: &mut Client, order: &str) {
    client.text(order);
    for what in ["send", "close"] {
        assert_eq!(client.get(), Got::Text(format!("{what} false connection closed")), "{order}");
    }
}

#[test]
fn a_handler_of_a_connection_that_has_gone_is_refused_wherever_it_comes_from() {
    // Two workers, so that handlers also come from the other one; one instance each on the dedicated side.
    let home = Home::new().on_both("keeper", KEEPER, json!({})).on_both("other", KEEPER, json!({}));
    let mut server = Lapps::start(&home);
    for (target, name) in TARGETS.into_iter().zip(["keeper", "keeper_dedicated"]) {
        for round in 0..6 {
            let mut gone = Client::open(&server, target);
            gone.text("keep");
            let Got::Text(number) = gone.get() else { panic!("no number") };
            if round % 2 == 0 {
                gone.close(1000);
                assert_eq!((gone.get(), gone.get()), (Got::Close(1000, String::new()), Got::Eof));
            } else {
                gone.reset();
            }
            server.expect_log(&format!("{name} lost {number}"));
            // These sit where the old one sat.
            let mut heirs: Vec<Client> = (0..4).map(|_| Client::open(&server, target)).collect();
            for any in ["/keeper", "/keeper-dedicated", "/other", "/other-dedicated"] {
                let mut asker = Client::open(&server, any);
                is_refused(&mut asker, &format!("poke {number}"));
            }
            for heir in &mut heirs {
                // From the service's own table, too, wherever the instance that has it is asked.
                heir.echo("nothing else has come");
            }
        }
    }
}

#[test]
fn a_handler_that_the_service_kept_itself_is_refused() {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("keeper", KEEPER, json!({}));
    let mut server = Lapps::start(&home);
    for (target, name) in TARGETS.into_iter().zip(["keeper", "keeper_dedicated"]) {
        let mut asker = Client::open(&server, target);
        let mut gone = Client::open(&server, target);
        gone.text("keep");
        let Got::Text(number) = gone.get() else { panic!("no number") };
        drop(gone);
        server.expect_log(&format!("{name} lost {number}"));
        is_refused(&mut asker, "poke");
        let mut heir = Client::open(&server, target);
        is_refused(&mut asker, "poke");
        heir.echo("nothing else has come");
    }
}

#[test]
fn numbers_that_are_no_handler_are_refused() {
    let home = Home::new().on_both("keeper", KEEPER, json!({}));
    let server = Lapps::start(&home);
    for target in TARGETS {
        let mut client = Client::open(&server, target);
        for number in [
            "0",
            "2097151",
            "-1",
            "1.5",
            "2097152",
            "4294967296",
            "9007199254740991",
            "9007199254740992",
            "1e300",
            "-1e300",
            "inf",
            "-inf",
            "nan",
            "0x1fffffffffffff",
        ] {
            is_refused(&mut client, &format!("poke {number}"));
        }
        client.echo("and the service goes on");
    }
}

#[test]
fn a_live_handler_reaches_its_connection_from_every_service_and_worker() {
    let home = Home::new().on_both("keeper", KEEPER, json!({})).on_both("other", KEEPER, json!({}));
    let server = Lapps::start(&home);
    for target in TARGETS {
        for any in ["/keeper", "/keeper-dedicated", "/other", "/other-dedicated"] {
            for _ in 0..4 {
                let mut live = Client::open(&server, target);
                live.text("keep");
                let Got::Text(number) = live.get() else { panic!("no number") };
                let mut asker = Client::open(&server, any);
                asker.text(&format!("poke {number}"));
                assert_eq!(asker.get(), Got::Text("send true nil".into()));
                assert_eq!(asker.get(), Got::Text("close true nil".into()));
                assert_eq!(live.get(), Got::Text("stale".into()));
                assert_eq!(live.get(), Got::Close(1000, "stale".into()));
                live.close(1000);
                assert_eq!(live.get(), Got::Eof);
            }
        }
    }
}
