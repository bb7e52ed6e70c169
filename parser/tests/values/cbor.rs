//! CBOR (RFC 8949).

use lapps_parser::cbor::{Fault, decode, encode};
use lapps_parser::value::{Excess, Limits, Value};

use crate::{cbor_of, json_of, nested, tree};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The examples of appendix A that are values of ours, with what JSON says.
const EXAMPLES: &[(&str, &str)] = &[
    ("00", "0"),
    ("01", "1"),
    ("0a", "10"),
    ("17", "23"),
    ("1818", "24"),
    ("1819", "25"),
    ("1864", "100"),
    ("1903e8", "1000"),
    ("1a000f4240", "1000000"),
    ("1b000000e8d4a51000", "1000000000000"),
    ("1bffffffffffffffff", "18446744073709551615"),
    ("20", "-1"),
    ("29", "-10"),
    ("3863", "-100"),
    ("3903e7", "-1000"),
    ("3b7fffffffffffffff", "-9223372036854775808"),
    ("fb3ff199999999999a", "1.1"),
    ("fbc010666666666666", "-4.1"),
    ("f4", "false"),
    ("f5", "true"),
    ("f6", "null"),
    ("60", r#""""#),
    ("6161", r#""a""#),
    ("6449455446", r#""IETF""#),
    ("62225c", r#""\"\\""#),
    ("62c3bc", "\"\u{fc}\""),
    ("64f0908591", "\"\u{10151}\""),
    ("80", "[]"),
    ("83010203", "[1,2,3]"),
    ("8301820203820405", "[1,[2,3],[4,5]]"),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
    ),
    ("a0", "{}"),
    ("a26161016162820203", r#"{"a":1,"b":[2,3]}"#),
    ("826161a161626163", r#"["a",{"b":"c"}]"#),
];

/// The same, in forms that we do not write.
const OTHER_FORMS: &[(&str, &str)] = &[
    ("1800", "0"),
    ("1b0000000000000001", "1"),
    ("3bffffffffffffffff", "-18446744073709551616.0"),
    ("3b8000000000000000", "-9223372036854775808.0"),
    ("f90000", "0.0"),
    ("f93c00", "1.0"),
    ("f93e00", "1.5"),
    ("f97bff", "65504.0"),
    ("fa47c35000", "100000.0"),
    ("f7", "null"),
    ("4161", r#""a""#),
    ("5f42010243030405ff", r#""\u0001\u0002\u0003\u0004\u0005""#),
    ("7f657374726561646d696e67ff", r#""streaming""#),
    ("7fff", r#""""#),
    ("9fff", "[]"),
    ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
    ("83018202039f0405ff", "[1,[2,3],[4,5]]"),
    ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
    ("bf6346756ef563416d7421ff", r#"{"Amt":-2,"Fun":true}"#),
    ("a2616201616102", r#"{"a":2,"b":1}"#),
    ("a3616101616102616103", r#"{"a":3}"#),
    ("a2416101616202", r#"{"a":1,"b":2}"#),
    ("d9d9f7d9d9f701", "1"),
];

#[test]
fn the_standards_examples() {
    for (hex, json) in EXAMPLES {
        let read = decode(&bytes(hex), Limits::default()).unwrap_or_else(|error| panic!("{hex}: {error}"));
        assert_eq!(json_of(&read), *json, "{hex}");
        assert_eq!(cbor_of(&read), bytes(hex), "{hex}");
        assert_eq!(cbor_of(&tree(json)), bytes(hex), "{hex}");
    }
    for (hex, json) in OTHER_FORMS {
        let read = decode(&bytes(hex), Limits::default()).unwrap_or_else(|error| panic!("{hex}: {error}"));
        let expected = tree(json);
        assert!(read.is_same(read.root(), &expected, expected.root()), "{hex}: {}", json_of(&read));
    }
}

#[test]
fn infinite_and_no_number() {
    for (hex, expected) in [("f97c00", f64::INFINITY), ("faff800000", f64::NEG_INFINITY)] {
        let tree = decode(&bytes(hex), Limits::default()).unwrap();
        assert!(matches!(tree.value(tree.root()), Value::Float(value) if value == expected));
    }
    for hex in ["f97e00", "fa7fc00000", "fb7ff8000000000000"] {
        let tree = decode(&bytes(hex), Limits::default()).unwrap();
        assert!(matches!(tree.value(tree.root()), Value::Float(value) if value.is_nan()));
    }
}

#[test]
fn texts_may_be_any_bytes() {
    for bytes in [&b"\x62\xff\xfe"[..], b"\x42\xff\xfe"] {
        let tree = decode(bytes, Limits::default()).unwrap();
        assert!(matches!(tree.value(tree.root()), Value::Text(b"\xff\xfe")));
        assert_eq!(cbor_of(&tree), b"\x42\xff\xfe");
    }
}

#[test]
fn mistakes_have_a_place() {
    let excess = |depth| Fault::Excess(Excess::Depth(depth));
    for (hex, offset, fault) in [
        ("", 0, Fault::Incomplete),
        ("18", 0, Fault::Incomplete),
        ("0000", 1, Fault::Trailing),
        ("820001ff", 3, Fault::Trailing),
        ("82001a0000", 2, Fault::Incomplete),
        ("8200", 0, Fault::Incomplete),
        ("81", 0, Fault::Incomplete),
        ("9f00", 0, Fault::Incomplete),
        ("a16161", 3, Fault::Incomplete),
        ("a1616100ff", 4, Fault::Trailing),
        ("9bffffffffffffffff", 0, Fault::Incomplete),
        ("bb7fffffffffffffff", 0, Fault::Incomplete),
        ("7b7fffffffffffffff00", 0, Fault::Incomplete),
        ("8163616161ff", 5, Fault::Trailing),
        ("8165616161", 1, Fault::Incomplete),
        ("1c", 0, Fault::Undefined(0x1c)),
        ("811f", 1, Fault::Undefined(0x1f)),
        ("3f", 0, Fault::Undefined(0x3f)),
        ("5e", 0, Fault::Undefined(0x5e)),
        ("fc", 0, Fault::Undefined(0xfc)),
        ("f818", 0, Fault::Undefined(0xf8)),
        ("f8ff", 0, Fault::Simple(255)),
        ("f0", 0, Fault::Simple(16)),
        ("81c100", 1, Fault::Tag(1)),
        ("c249010000000000000000", 0, Fault::Tag(2)),
        ("d9d9f7c100", 3, Fault::Tag(1)),
        ("a10102", 1, Fault::Key),
        ("a1f602", 1, Fault::Key),
        ("bf616100010203ff", 4, Fault::Key),
        ("ff", 0, Fault::Break),
        ("8200ff", 2, Fault::Break),
        ("bf6161ff", 3, Fault::Break),
        ("5f61ff", 1, Fault::Chunk),
        ("7f4100ff", 1, Fault::Chunk),
        ("7f7f00ffff", 1, Fault::Chunk),
        ("7f6161", 0, Fault::Incomplete),
    ] {
        if let Ok(error) = decode(&bytes(hex), Limits::default()).map_err(|error| (error.offset, error.fault))
        {
            panic!("{hex} is {}", json_of(&error));
        }
        let error = decode(&bytes(hex), Limits::default()).unwrap_err();
        assert_eq!((error.offset, error.fault), (offset, fault), "{hex}");
    }
    let error = decode(&bytes("81c100"), Limits { depth: 0, ..Limits::default() }).unwrap_err();
    assert_eq!(error.fault, excess(0));
    assert_eq!(error.to_string(), "nested deeper than 0 levels at byte 0");
}

#[test]
fn depth_is_limited() {
    let deep = |levels: usize| {
        let mut bytes = vec![0x81; levels - 1];
        bytes.push(0x80);
        bytes
    };
    let tree = decode(&deep(128), Limits::default()).unwrap();
    assert_eq!(json_of(&tree), nested(128));
    assert_eq!(cbor_of(&tree), deep(128));
    let error = decode(&deep(129), Limits::default()).unwrap_err();
    assert_eq!((error.offset, error.fault), (128, Fault::Excess(Excess::Depth(128))));
    assert!(decode(&deep(1_000_000), Limits::default()).is_err());
    assert!(decode(&[0x9f; 1_000_000], Limits::default()).is_err());
    assert!(decode(&[0xbf; 1_000_000], Limits::default()).is_err());
    let tree = decode(&deep(129), Limits { depth: 300, ..Limits::default() }).unwrap();
    let mut out = b"before".to_vec();
    assert_eq!(encode(&tree, tree.root(), &mut out), Err(Excess::Depth(128)));
    assert_eq!(out, b"before");
}

#[test]
fn a_value_that_is_no_container_is_not_larger_than_the_limit() {
    let whole = decode(&[0], Limits::default()).unwrap().bytes();
    for bytes in 0..whole {
        let error = decode(&[0], Limits { bytes, ..Limits::default() }).unwrap_err();
        assert_eq!(error.fault, Fault::Excess(Excess::Bytes(bytes)));
    }
    assert!(decode(&[0], Limits { bytes: whole, ..Limits::default() }).is_ok());
}

#[test]
fn size_is_limited_and_not_believed() {
    let mut bytes = vec![0x9a, 0, 1, 0, 0];
    bytes.resize(5 + 65536, 0xa0);
    let whole = decode(&bytes, Limits::default()).unwrap().bytes();
    for limit in [0, bytes.len(), whole / 2, whole - 1] {
        let error = decode(&bytes, Limits { bytes: limit, ..Limits::default() }).unwrap_err();
        assert_eq!(error.fault, Fault::Excess(Excess::Bytes(limit)));
    }
    assert!(decode(&bytes, Limits { bytes: whole, ..Limits::default() }).is_ok());
    // Each level claims a million members, which might all be there.
    let mut claims = [0x9a, 0, 0x0f, 0x42, 0x40].repeat(100);
    claims.resize(2_000_000, 0xff);
    let limits = Limits { bytes: claims.len() + 100_000, ..Limits::default() };
    assert_eq!(decode(&claims, limits).unwrap_err().fault, Fault::Break);
}
