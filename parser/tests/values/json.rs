//! JSON (RFC 8259).

use lapps_parser::cbor;
use lapps_parser::json::{decode, encode, encode_pretty};
use lapps_parser::value::{Limits, Tree};

use crate::{json_of, nested, tree};

#[test]
fn what_is_read_is_written() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1.0",
        "0.1",
        "-2.5e-7",
        "1.7976931348623157e+308",
        "5e-324",
        r#""""#,
        r#""a\"\\\b\f\n\r\t\u0000\u001f/""#,
        "\"\u{e9}\u{20ac}\u{1f980}\u{7f}\"",
        "[]",
        "{}",
        r#"{"":{"":[]}}"#,
        r#"{"a":1,"b":[1.5,null,{"c":""}]}"#,
    ] {
        assert_eq!(json_of(&tree(text)), text);
    }
}

#[test]
fn what_is_written_is_in_one_form() {
    for (text, expected) in [
        (" [ 1 , 2 ] \n", "[1,2]"),
        ("\u{feff}{}", "{}"),
        (r#"{"b":1,"a":2,"B":3}"#, r#"{"B":3,"a":2,"b":1}"#),
        (r#"{"a":[1],"b":0,"a":{"x":2}}"#, r#"{"a":{"x":2},"b":0}"#),
        (r#""\u0041\/\ud83e\udd80""#, "\"A/\u{1f980}\""),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("1E2", "100.0"),
        ("-0", "-0.0"),
        ("1e-400", "0.0"),
    ] {
        let written = json_of(&tree(text));
        let same: f64 = written.parse().unwrap_or(f64::NAN);
        assert!(written == expected || Ok(same) == expected.parse(), "{text}: {written}");
    }
}

#[test]
fn mistakes_have_a_place() {
    for (text, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\"a\":1,\n \"b\": x}", "expected value at line 2 column 7"),
        ("[1,]", "trailing comma at line 1 column 4"),
        ("[1] 2", "trailing characters at line 1 column 5"),
        ("{1:2}", "key must be a string at line 1 column 2"),
        ("{'a':2}", "key must be a string at line 1 column 2"),
        ("[\"a", "EOF while parsing a string at line 1 column 3"),
        ("1e999", "number out of range at line 1 column 5"),
        ("NaN", "expected value at line 1 column 1"),
        ("01", "invalid number at line 1 column 2"),
        (r#""\ud800""#, "unexpected end of hex escape at line 1 column 8"),
        ("\"a\nb\"", "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0"),
    ] {
        let error = decode(text.as_bytes(), Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let error = decode(b"[\n\"a\xff\"]", Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "a byte that is not UTF-8 at line 2 column 3");
}

#[test]
fn depth_is_limited() {
    assert_eq!(json_of(&tree(&nested(128))), nested(128));
    let error = decode(nested(129).as_bytes(), Limits::default()).unwrap_err();
    assert_eq!((error.line, error.column), (1, 130));
    assert_eq!(error.message, "nested deeper than 128 levels");
    let deep = nested(100_000);
    assert!(decode(deep.as_bytes(), Limits::default()).is_err());
    let limits = Limits { depth: 0, ..Limits::default() };
    assert!(decode(b"5", limits).is_ok() && decode(b"[]", limits).is_err());
    let limits = Limits { depth: 300, ..Limits::default() };
    let tree = decode(nested(129).as_bytes(), limits).unwrap();
    let mut out = b"before".to_vec();
    let error = encode(&tree, tree.root(), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "nested deeper than 128 levels");
    assert_eq!(out, b"before");
}

#[test]
fn size_is_limited() {
    let text = format!("[{}{{}}]", "1,".repeat(10_000));
    let whole = tree(&text).bytes();
    let result = |bytes| decode(text.as_bytes(), Limits { bytes, ..Limits::default() });
    assert!(result(whole).is_ok());
    for bytes in [0, text.len(), whole / 2, whole - 1] {
        let error = result(bytes).unwrap_err();
        assert!(error.message.ends_with("bytes of memory"), "{error}");
    }
}

#[test]
fn a_value_that_is_no_container_is_not_larger_than_the_limit() {
    let whole = tree("1").bytes();
    let result = |bytes| decode(b"1", Limits { bytes, ..Limits::default() });
    assert!(result(whole).is_ok());
    for bytes in 0..whole {
        let error = result(bytes).unwrap_err();
        assert!(error.message.ends_with("bytes of memory"), "{error}");
    }
}

#[test]
fn indented_as_it_was_asked_for() {
    let tree = tree(r#"{"a":[1,{"b":[]}],"c":{},"d":"x"}"#);
    let pretty = |indent| {
        let mut out = Vec::new();
        encode_pretty(&tree, tree.root(), indent, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let four = "{\n    \"a\": [\n        1,\n        {\n            \"b\": []\n        }\n    ],\n    \"c\": {},\n    \"d\": \"x\"\n}";
    assert_eq!(pretty(4), four);
    assert_eq!(pretty(1), four.replace("    ", " "));
    assert_eq!(pretty(0), four.replace("    ", ""));
}

#[test]
fn what_json_cannot_say() {
    let tree =
        cbor::decode(b"\x83\xfb\x7f\xf8\0\0\0\0\0\0\xf9\x7c\x00\xf9\xfc\x00", Limits::default()).unwrap();
    assert_eq!(json_of(&tree), "[null,null,null]");
    for (bytes, expected) in [
        (&b"\x61\xff"[..], "the text is not UTF-8"),
        (b"\xa2\x61a\x01\x63b/~\x82\x00\xa1\x61c\x61\xe9", "the text at /b~1~0/1/c is not UTF-8"),
        (b"\x81\xa1\x62a\xff\x00", "the key /0/a\u{fffd} is not UTF-8"),
    ] {
        let tree: Tree = cbor::decode(bytes, Limits::default()).unwrap();
        let mut out = Vec::new();
        assert_eq!(encode(&tree, tree.root(), &mut out).unwrap_err().to_string(), expected);
        assert!(out.is_empty());
    }
}
