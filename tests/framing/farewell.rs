//! Closing that begins at the server: its close frame is the last thing it says, and the client's the last that counts.

use serde_json::json;

use super::PLACEMENTS;
use super::case::{frame, unmasked};
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// Closes with the code and reason that a message names; prints every message.
const CLOSER: &str = r"
    local NAME = {}
    function NAME.onStart() end
    function NAME.onMessage(handler, opcode, message)
        print('NAME heard ' .. message)
        local code, reason = message:match('^close (%S+) ?(.*)$')
        if code then
            local ok, why = ws:close(handler, tonumber(code), reason ~= '' and reason or nil)
            if not ok then return ws:send(handler, 1, why) end
            -- Nothing can follow.
            local again, gone = ws:close(handler, 1000)
            local sent, too_late = ws:send(handler, 1, 'too late')
            print('NAME', again, gone, sent, too_late)
        end
        return true
    end
    function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
    function NAME.onShutdown() end
    return NAME";

fn home() -> Home {
    Home::new().on_both("closer", CLOSER, json!({})).ws(json!({ "close_timeout_ms": 1000 }))
}

#[test]
fn a_service_closes_with_code_and_reason_and_sends_nothing_more() {
    for home in [home(), home().tls()] {
        let mut server = Lapps::start(&home);
        for (placement, name) in PLACEMENTS.into_iter().zip(["closer", "closer_dedicated"]) {
            for (code, reason) in [
                (1000, ""),
                (1001, "moved"),
                (1003, ""),
                (1008, "käse"),
                (1011, "r".repeat(123).as_str()),
                (3000, ""),
                (4999, "bye"),
            ] {
                let mut client = Client::open(&server, &format!("/closer{placement}"));
                client.text(&format!("close {code} {reason}"));
                assert_eq!(client.get(), Got::Close(code, reason.into()));
                server.expect_log(&format!("{name}\tfalse\tconnection closed\tfalse\tconnection closed\n"));
                client.close(code);
                assert_eq!(client.get(), Got::Eof);
            }
            // Codes that a service may not use.
            let mut client = Client::open(&server, &format!("/closer{placement}"));
            for code in ["999", "1004", "1005", "1006", "1012", "1015", "2999", "5000", "1000.5", "-1"] {
                client.text(&format!("close {code}"));
                let Got::Text(why) = client.get() else { panic!("{code} was taken") };
                assert!(why.contains("1000-1003, 1007-1011 or 3000-4999"), "{why}");
            }
        }
    }
}

#[test]
fn what_comes_after_the_servers_close_frame_is_ignored_until_the_clients() {
    for home in [home(), home().tls()] {
        let server = Lapps::start(&home);
        for placement in PLACEMENTS {
            let mut client = Client::open(&server, &format!("/closer{placement}"));
            client.text("close 4000");
            assert_eq!(client.get(), Got::Close(4000, String::new()));
            client.write(
                &[frame(0x81, b"late"), frame(0x89, b"late ping"), frame(0x01, b"late part")].concat(),
            );
            client.write(&frame(0x80, b"late end"));
            client.close(1000);
            assert_eq!(client.get(), Got::Eof, "no pong, no second close");
        }
        let output = server.stop();
        assert!(!output.contains("late"), "{output}");
        assert_eq!(output.matches(" heard close 4000\n").count(), 2, "{output}");
        assert_eq!(output.matches(" lost ").count(), 2, "{output}");
    }
}

#[test]
fn a_client_may_answer_the_servers_close_frame_in_any_way() {
    let server = Lapps::start(&home());
    let answers = [
        ("the same code", frame(0x88, &4000u16.to_be_bytes())),
        ("another code", frame(0x88, &1001u16.to_be_bytes())),
        ("no code", frame(0x88, b"")),
        ("a close that may not be", frame(0x88, &1005u16.to_be_bytes())),
        ("a violation", frame(0x83, b"")),
        ("an unmasked frame", unmasked(0x81, b"x")),
        ("text that is none", frame(0x81, b"\xff")),
        ("nothing, until the server has waited enough", Vec::new()),
    ];
    for placement in PLACEMENTS {
        crate::common::table::run(
            &answers,
            |(name, _)| name.to_string(),
            |(_, answer)| {
                let mut client = Client::open(&server, &format!("/closer{placement}"));
                client.text("close 4000");
                assert_eq!(client.get(), Got::Close(4000, String::new()));
                client.write(answer);
                assert_eq!(client.get(), Got::Eof);
            },
        );
        let mut silent = Client::open(&server, &format!("/closer{placement}"));
        silent.text("close 4000");
        assert_eq!(silent.get(), Got::Close(4000, String::new()));
        silent.half_close();
        assert_eq!(silent.get(), Got::Eof);
    }
}
