//! The server's own frames, byte by byte: never masked, lengths in the shortest form, fragments only where they are configured.

use serde_json::json;

use super::case::{fragments, frame};
use super::{PLACEMENTS, home};
use crate::common::client::Client;
use crate::common::process::Lapps;

/// What the server has to write: opcode and FIN, the shortest length, the payload as it is.
fn written(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let length = match len {
        0..=125 => vec![len as u8],
        126..=65_535 => [&[126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[127][..], &(len as u64).to_be_bytes()].concat(),
    };
    [&[first][..], &length, payload].concat()
}

#[test]
fn frames_of_the_server_are_whole_unmasked_and_minimal() {
    for home in [home(), home().tls()] {
        let server = Lapps::start(&home);
        for placement in PLACEMENTS {
            let mut client = Client::open(&server, &format!("/echo{placement}"));
            for len in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
                let payload: Vec<u8> = (0..len).map(|n| (n % 127) as u8).collect();
                for opcode in [1, 2] {
                    client.write(&frame(0x80 | opcode, &payload));
                    let expected = written(0x80 | opcode, &payload);
                    assert!(
                        client.take(expected.len()) == expected,
                        "{placement}: opcode {opcode}, {len} bytes"
                    );
                }
            }
            // What came in fragments goes out as one frame.
            client.write(&fragments(1, &[b"a", b"b", b"c"]));
            assert_eq!(client.take(5), written(0x81, b"abc"));
            client.write(&frame(0x89, b"ping"));
            assert_eq!(client.take(6), written(0x8a, b"ping"));
            client.write(&frame(0x88, &[3, 232, b'b', b'y', b'e']));
            assert_eq!(client.take(4), written(0x88, &[3, 232]));
        }
    }
}

#[test]
fn with_auto_fragment_long_messages_go_out_in_frames_of_1392_bytes() {
    let home = home().ws(json!({ "workers": { "auto_fragment": true } }));
    let server = Lapps::start(&home);
    for placement in PLACEMENTS {
        let mut client = Client::open(&server, &format!("/echo{placement}"));
        for len in [0usize, 1392, 1393, 2783, 2784, 2785, 3 * 1392, 100_000] {
            let payload: Vec<u8> = (0..len).map(|n| (n % 127) as u8).collect();
            client.write(&frame(0x82, &payload));
            let expected = if len < 2 * 1392 {
                written(0x82, &payload)
            } else {
                let last = len.div_ceil(1392) - 1;
                let parts = payload.chunks(1392).enumerate();
                let first = |nth| if nth == 0 { 0x02 } else { 0 } | if nth == last { 0x80 } else { 0 };
                parts.flat_map(|(nth, part)| written(first(nth), part)).collect()
            };
            assert!(client.take(expected.len()) == expected, "{placement}: {len} bytes");
        }
    }
}
