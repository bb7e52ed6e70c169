//! Random heads: arbitrary bytes never panic and are read alike however they are cut; valid heads come back
//! as they were made.

mod heads;

use heads::scan_every_way;
use lapps_parser::handshake::{check_response, read_upgrade};
use lapps_parser::http::{HeadLimits, RequestHead, ResponseHead, is_field_value, is_host, is_token};
use proptest::prelude::*;

/// Bytes with many of those that mean something in a head.
fn headish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b": ".to_vec()),
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 101 x\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"Content-Length: 1\r\n".to_vec()),
        Just(b"Upgrade: websocket\r\nConnection: upgrade\r\n".to_vec()),
        prop::sample::select(vec![
            b'\r', b'\n', b' ', b'\t', b':', b',', 0, 0x7f, 0x80, b'[', b'%', b'?', b'/'
        ])
        .prop_map(|b| vec![b]),
        "[ -~]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Spaces and tabs around a value.
fn ows() -> impl Strategy<Value = String> {
    "[ \t]{0,3}"
}

/// A field value, perhaps with spaces at its ends.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0x21_u8..0x7f, 0x80_u8..=0xff, Just(b' ')], 0..60)
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_never_panic_and_cuts_never_matter(
        bytes in headish(),
        head in prop_oneof![Just(16_384_usize), 0_usize..200],
        target in prop_oneof![Just(8192_usize), 0_usize..50],
        fields in 0_usize..5,
    ) {
        let limits = HeadLimits { head, fields, target };
        let whole = scan_every_way(&bytes, &limits);
        let end = whole.ok().flatten().unwrap_or(bytes.len());
        if let Ok(head) = RequestHead::parse(&bytes[..end], &limits) {
            prop_assert!(whole.is_ok_and(|end| end.is_some()), "what parses has an end");
            prop_assert!(is_token(head.method));
            prop_assert!(head.fields.iter().count() <= fields);
            prop_assert!(head.fields.iter().all(|(name, value)| is_token(name) && is_field_value(value)));
            let _ = read_upgrade(&head).map(|upgrade| upgrade.protocols().count());
        }
        if let Ok(head) = ResponseHead::parse(&bytes[..end], &limits) {
            let _ = check_response(&head, &[b'A'; 24]);
        }
        let _ = (is_host(&bytes), is_field_value(&bytes));
    }

    #[test]
    fn valid_heads_come_back(
        blank in 0_usize..3,
        method in "[A-Z]{1,8}",
        path in "/[!\"$->@-~]{0,40}",
        query in prop::option::of("[!-\"$-~]{0,40}"),
        host in "[a-z0-9.-]{1,20}(:[0-9]{1,4})?",
        fields in prop::collection::vec(
            ("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,30}", ows(), value(), ows()),
            0..20,
        ),
        rest in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        prop_assume!(method != "CONNECT");
        let target = query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let mut bytes = b"\r\n".repeat(blank);
        bytes.extend_from_slice(format!("{method} {target} HTTP/1.1\r\n").as_bytes());
        let mut expected = vec![("Host".to_owned(), host.clone().into_bytes())];
        bytes.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
        for (name, before, value, after) in fields {
            bytes.extend_from_slice(format!("{name}:{before}").as_bytes());
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(format!("{after}\r\n").as_bytes());
            let from = value.iter().position(|&b| b != b' ').unwrap_or(value.len());
            let to = value.iter().rposition(|&b| b != b' ').map_or(from, |last| last + 1);
            expected.push((name, value[from..to].to_vec()));
        }
        bytes.extend_from_slice(b"\r\n");
        let len = bytes.len();
        bytes.extend_from_slice(&rest);

        let limits = HeadLimits::default();
        prop_assert_eq!(scan_every_way(&bytes, &limits), Ok(Some(len)));
        let head = RequestHead::parse(&bytes[..len], &limits).map_err(fail)?;
        prop_assert_eq!(head.method, method);
        prop_assert_eq!(head.target, target);
        prop_assert_eq!(head.path, path);
        prop_assert_eq!(head.query, query.as_deref());
        let owned = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
        let found: Vec<_> = head.fields.iter().map(owned).collect();
        prop_assert_eq!(&found, &expected);
        for (name, _) in &expected {
            let same_name = expected.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let all = head.fields.all(&name.to_ascii_uppercase()).collect::<Vec<_>>();
            prop_assert_eq!(all, same_name.map(|(_, value)| &value[..]).collect::<Vec<_>>());
        }
    }
}
