//! Rules about one Rust file: its first line, where `unsafe` stands, what may not be left in it.

use crate::Complaint;

/// Where `unsafe` may stand: files, and directories with a `/` at the end.
const UNSAFE_PLACES: &[&str] = &[
    "src/engine/spsc.rs",
    "src/sys/",
    "lua/src/raw/",
    // A baseline that nothing of ours is linked with: io_uring has no safe interface.
    "bench/peers/bare-uring/src/",
];
/// How many lines above a block its reason may begin.
const REASON_WITHIN: usize = 8;

pub(crate) fn first_line(path: &str, text: &str) -> Option<Complaint> {
    let job = text.lines().next().and_then(|line| line.strip_prefix("//!"));
    match job {
        Some(job) if !job.trim().is_empty() => None,
        _ => Some(format!("{path}:1: the first line has to be `//! ` and the file's one job")),
    }
}

pub(crate) fn unsafe_places(path: &str, text: &str) -> Vec<Complaint> {
    let may =
        UNSAFE_PLACES.iter().any(|place| path == *place || place.ends_with('/') && path.starts_with(place));
    let code = code_only(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for at in words(&code, "unsafe") {
        let line = line_of(&code, at);
        let next = code[at + "unsafe".len()..].trim_start();
        if !may {
            complaints.push(format!("{path}:{line}: `unsafe` may not stand in this file"));
        } else if next.starts_with('{') || starts_with_word(next, "impl") {
            let from = line.saturating_sub(1 + REASON_WITHIN);
            if !lines[from..line].iter().any(|line| line.contains("// SAFETY:")) {
                complaints.push(format!("{path}:{line}: `unsafe` without a `// SAFETY:` reason above it"));
            }
        }
    }
    complaints
}

pub(crate) fn left_for_later(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for marker in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")] {
        for at in words(text, marker) {
            complaints.push(format!("{path}:{}: {marker}", line_of(text, at)));
        }
    }
    let code = code_only(text);
    for name in ["dbg", "todo", "unimplemented"] {
        for at in words(&code, name) {
            if code[at + name.len()..].starts_with('!') {
                complaints.push(format!("{path}:{}: {name}!", line_of(&code, at)));
            }
        }
    }
    complaints
}

/// The same text with comments and the inside of literals blanked: every other byte stays where it was.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Blanks replace whole literals and comments, so no character is cut in two.
    String::from_utf8(code).expect("still UTF-8")
}

/// Where the comment or literal that begins at `at` ends; `at` if none begins there.
fn literal_or_comment(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    match rest[0] {
        b'"' => at + quoted(rest, b'"'),
        b'r' if at == 0 || !is_word(bytes[at - 1]) || is_raw_prefix(bytes, at) => at + raw_string(rest),
        b'\'' => at + character(rest),
        _ => at,
    }
}

/// `br"…"` and `cr"…"`: the byte before the `r` is a prefix of its own.
fn is_raw_prefix(bytes: &[u8], at: usize) -> bool {
    matches!(bytes[at - 1], b'b' | b'c') && (at == 1 || !is_word(bytes[at - 2]))
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r#"…"#`; 0 if it is just a name with an `r`.
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    rest[body..]
        .windows(end.len())
        .position(|w| w == end)
        .map_or(rest.len(), |found| body + found + end.len())
}

/// The length of `'x'`; 0 if it is a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return quoted(rest, b'\'');
    }
    let Some(&first) = rest.get(1) else { return 0 };
    let width = match first {
        0x00..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// The places of a whole word.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let after = at + word.len();
        (at == 0 || !is_word(bytes[at - 1])) && (after == bytes.len() || !is_word(bytes[after]))
    })
}

fn starts_with_word(text: &str, word: &str) -> bool {
    words(text, word).next() == Some(0)
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count()
}

#[test]
fn wants_a_first_line() {
    assert_eq!(first_line("a.rs", "//! The job.\n"), None);
    assert!(first_line("a.rs", "//!\n//! The job.\n").is_some());
    assert!(first_line("a.rs", "use std;\n//! The job.\n").is_some());
    assert!(first_line("a.rs", "").is_some());
}

#[test]
fn finds_unsafe_in_code_only() {
    assert_eq!(
        unsafe_places("src/net/a.rs", "// unsafe { }\nlet a = \"unsafe {\"; #![deny(unsafe_code)]"),
        [""; 0]
    );
    let found = unsafe_places("src/net/a.rs", "fn a() {\n    unsafe { b() }\n}\nunsafe fn c() {}");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/net/a.rs:2:"));
}

#[test]
fn wants_a_reason_for_unsafe() {
    let place = "src/sys/a.rs";
    assert_eq!(unsafe_places(place, "// SAFETY: `b` is\n// harmless.\nunsafe { b() }"), [""; 0]);
    assert_eq!(unsafe_places(place, "type F = unsafe extern \"C\" fn();"), [""; 0]);
    assert_eq!(unsafe_places(place, "unsafe { b() }").len(), 1);
    assert_eq!(unsafe_places(place, "unsafe impl Send for A {}").len(), 1);
    let far = format!("// SAFETY: too far.\n{}unsafe {{ b() }}", "\n".repeat(REASON_WITHIN));
    assert_eq!(unsafe_places(place, &far).len(), 1);
}

#[test]
fn finds_what_was_left_for_later() {
    assert_eq!(left_for_later("a.rs", "let todo = 1; // dbg! and todo!() in words"), [""; 0]);
    assert_eq!(
        left_for_later("a.rs", concat!("// TO", "DO: more\nfn a() { todo!() }\nlet b = dbg!(c);")).len(),
        3
    );
}

#[test]
fn blanks_comments_and_literals() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"x("a\"b", c)"#, "x(      , c)"),
        ("x('\\'', 'é', b'c', 'a: loop)", "x(    ,     , b   , 'a: loop)"),
        ("&'a str, 'b'", "&'a str,    "),
        (r##"r#"a " b"# c"##, "           c"),
        (r##"br"a" cr#"b"# r#fn for"##, "b     c       r#fn for"),
    ];
    for (text, code) in cases {
        assert_eq!(code_only(text), code, "{text}");
    }
}

#[test]
fn finds_whole_words() {
    assert_eq!(words("unsafe unsafe_code a_unsafe (unsafe)", "unsafe").collect::<Vec<_>>(), [0, 29]);
}
