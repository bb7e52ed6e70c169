//! One JSON file as a tree that knows its lines, and the list of what is wrong in it.

use std::cell::RefCell;
use std::collections::HashMap;

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use super::mistakes::Mistake;

/// No value is quoted with more characters than this.
const SHOWN: usize = 60;

/// A file's text; what is read from it reports its mistakes here.
pub(super) struct Document<'t> {
    file: String,
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

/// A value with the names of the keys that lead to it.
#[derive(Clone)]
pub(super) struct Node<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) path: String,
    pub(super) value: &'d Value<'d>,
}

impl<'t> Document<'t> {
    pub(super) fn new(file: impl Into<String>, text: &'t str) -> Document<'t> {
        Document { file: file.into(), text, mistakes: RefCell::default() }
    }

    /// Parses strict JSON. `None` means that a syntax error was reported and there is nothing to read.
    pub(super) fn parse(&self) -> Option<Value<'t>> {
        match parse_strictly(self.text) {
            Ok(value) => {
                self.report_duplicates(&value, "");
                Some(value)
            }
            Err((at, wrong)) => {
                let (line, column) = position(self.text, at);
                self.report(Mistake {
                    file: self.file.clone(),
                    line: Some(line),
                    column: Some(column),
                    key: String::new(),
                    value: None,
                    wrong,
                    allowed: String::new(),
                    nearest: None,
                });
                None
            }
        }
    }

    pub(super) fn report(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// A mistake in this file; the caller fills in what else it knows.
    pub(super) fn mistake(&self, at: Option<usize>, key: &str, wrong: impl Into<String>) -> Mistake {
        Mistake {
            file: self.file.clone(),
            line: at.map(|at| self.line(at)),
            column: None,
            key: key.to_string(),
            value: None,
            wrong: wrong.into(),
            allowed: String::new(),
            nearest: None,
        }
    }

    /// All mistakes in the order of their lines.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        position(self.text, at).0
    }

    fn report_duplicates(&self, value: &Value<'_>, path: &str) {
        match value {
            Value::Object(object) => {
                let mut first_lines: HashMap<&str, usize> = HashMap::new();
                for property in &object.properties {
                    let name = property.name.as_str();
                    let path = join(path, name);
                    let line = self.line(property.name.start());
                    if let Some(first) = first_lines.get(name) {
                        let wrong = format!("the key is there twice, first in line {first}");
                        let mut mistake = self.mistake(Some(property.name.start()), &path, wrong);
                        mistake.allowed = "keep one of them".to_string();
                        self.report(mistake);
                    } else {
                        first_lines.insert(name, line);
                    }
                    self.report_duplicates(&property.value, &path);
                }
            }
            Value::Array(array) => {
                for element in &array.elements {
                    self.report_duplicates(element, path);
                }
            }
            _ => {}
        }
    }
}

impl<'d> Node<'d> {
    pub(super) fn new(document: &'d Document<'d>, path: String, value: &'d Value<'d>) -> Node<'d> {
        Node { document, path, value }
    }

    /// Reports that this value is wrong.
    pub(super) fn wrong(&self, wrong: impl Into<String>, allowed: impl Into<String>) {
        self.wrong_near(wrong, allowed, None);
    }

    /// As [`Node::wrong`], with a known name that may have been meant.
    pub(super) fn wrong_near(
        &self,
        wrong: impl Into<String>,
        allowed: impl Into<String>,
        nearest: Option<&str>,
    ) {
        let mut mistake = self.document.mistake(Some(self.value.start()), &self.path, wrong);
        mistake.value = Some(self.shown());
        mistake.allowed = allowed.into();
        mistake.nearest = nearest.map(str::to_string);
        self.document.report(mistake);
    }

    pub(super) fn line(&self) -> usize {
        self.document.line(self.value.start())
    }

    /// The properties, if this is an object.
    pub(super) fn object(&self) -> Option<&'d Object<'d>> {
        self.value.as_object()
    }

    /// The node of a property of this object.
    pub(super) fn below(&self, property: &'d ObjectProp<'d>) -> Node<'d> {
        Node::new(self.document, join(&self.path, property.name.as_str()), &property.value)
    }

    /// The node of an element of this list.
    pub(super) fn element(&self, index: usize, element: &'d Value<'d>) -> Node<'d> {
        Node::new(self.document, format!("{}[{index}]", self.path), element)
    }

    /// The type of the value, in words.
    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            Value::StringLit(_) => "a string",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "a boolean",
            Value::Object(_) => "an object",
            Value::Array(_) => "a list",
            Value::NullKeyword(_) => "null",
        }
    }

    fn shown(&self) -> String {
        match self.value {
            Value::Object(_) => "{..}".to_string(),
            value => {
                let source = value.text(self.document.text);
                let one_line = source.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
                match one_line.char_indices().nth(SHOWN) {
                    Some((cut, _)) => format!("{}..", &one_line[..cut]),
                    None => one_line,
                }
            }
        }
    }
}

/// Appends a name, as it can be shown in one line, to a path of names.
pub(super) fn join(path: &str, name: &str) -> String {
    let name = name.escape_debug();
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// The known name that resembles `written` most, if one does at all.
pub(super) fn nearest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const RESEMBLES: f64 = 0.8;
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written.to_ascii_lowercase(), &name.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score >= RESEMBLES)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Line and column of a byte offset, both counted from 1; a column is a character.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Parses RFC 8259 JSON; an error is a byte offset and what is wrong there.
fn parse_strictly(text: &str) -> Result<Value<'_>, (usize, String)> {
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: true };
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &collect, &strict).map_err(|error| explain(text, &error))?;
    check_bytes(text, &parsed.tokens.unwrap_or_default())?;
    parsed.value.ok_or_else(|| (text.len(), "the file is empty; at least {} has to stand in it".to_string()))
}

/// Refuses what the parser lets pass and JSON does not: control characters in strings, other white space than blank, tab and line ends.
fn check_bytes(text: &str, tokens: &[TokenAndRange<'_>]) -> Result<(), (usize, String)> {
    let mut end = 0;
    for token in tokens {
        check_space(text, end, token.range.start)?;
        end = token.range.end;
        if let Token::String(_) = token.token
            && let Some(at) = text[token.range.start..end].find(|c| c < ' ')
        {
            let wrong =
                "a control character (a line end, a tab) in a string; write it as \\n, \\t or \\u00XX";
            return Err((token.range.start + at, wrong.to_string()));
        }
    }
    check_space(text, end, text.len())
}

fn check_space(text: &str, start: usize, end: usize) -> Result<(), (usize, String)> {
    match text[start..end].char_indices().find(|(_, c)| !matches!(c, ' ' | '\t' | '\r' | '\n')) {
        Some((at, c)) => {
            Err((start + at, format!("a character that JSON does not know as a blank: U+{:04X}", c as u32)))
        }
        None => Ok(()),
    }
}

fn explain(text: &str, error: &ParseError) -> (usize, String) {
    let at = error.range().start;
    let wrong = match error.kind() {
        ParseErrorKind::CommentsNotAllowed | ParseErrorKind::UnterminatedCommentBlock => {
            "a comment; JSON has none".to_string()
        }
        ParseErrorKind::TrailingCommasNotAllowed => "a comma before the closing bracket".to_string(),
        ParseErrorKind::ExpectedComma => "a comma is missing here".to_string(),
        ParseErrorKind::ExpectedColonAfterObjectKey => "a key must be followed by a colon".to_string(),
        ParseErrorKind::ExpectedObjectValue => "the value after the colon is missing".to_string(),
        ParseErrorKind::ExpectedStringObjectProperty => "a key must stand in double quotes".to_string(),
        ParseErrorKind::SingleQuotedStringsNotAllowed => "a string must stand in double quotes".to_string(),
        ParseErrorKind::UnterminatedObject => "this { has no matching }".to_string(),
        ParseErrorKind::UnterminatedArray => "this [ has no matching ]".to_string(),
        ParseErrorKind::MultipleRootJsonValues => {
            "something follows after the end of the document".to_string()
        }
        ParseErrorKind::UnexpectedToken if text[at..].starts_with('\u{feff}') => {
            "a byte order mark; save the file as UTF-8 without one".to_string()
        }
        kind => {
            let mut words = kind.to_string();
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            words
        }
    };
    (at, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mistakes(text: &str) -> Vec<String> {
        let document = Document::new("x.json", text);
        let value = document.parse();
        drop(value);
        document.into_mistakes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_syntax_error_is_told_with_line_and_column() {
        for (text, told) in [
            ("", "x.json:1:1: the file is empty; at least {} has to stand in it"),
            ("\n \n", "x.json:3:1: the file is empty; at least {} has to stand in it"),
            ("{\n  \"a\": 1,\n}", "x.json:2:9: a comma before the closing bracket"),
            ("{\"a\": 1\n \"b\": 2}", "x.json:1:8: a comma is missing here"),
            ("{\n\"a\": 1 // one\n}", "x.json:2:8: a comment; JSON has none"),
            ("{/* one */}", "x.json:1:2: a comment; JSON has none"),
            ("{/* one }", "x.json:1:2: a comment; JSON has none"),
            ("{a: 1}", "x.json:1:2: a key must stand in double quotes"),
            ("{'a': 1}", "x.json:1:2: a string must stand in double quotes"),
            ("{\"a\" 1}", "x.json:1:6: a key must be followed by a colon"),
            ("{\"a\": ", "x.json:1:7: the value after the colon is missing"),
            ("{\n\"a\": {\n}", "x.json:1:1: this { has no matching }"),
            ("{\"a\": [1, 2", "x.json:1:7: this [ has no matching ]"),
            ("{} {}", "x.json:1:4: something follows after the end of the document"),
            ("\u{feff}{}", "x.json:1:1: a byte order mark; save the file as UTF-8 without one"),
            ("{\"é\": 01}", "x.json:1:8: a comma is missing here"),
            (
                "{\"a\": \"x\ny\"}",
                "x.json:1:9: a control character (a line end, a tab) in a string; write it as \\n, \\t or \\u00XX",
            ),
            ("{\u{a0}\"a\": 1}", "x.json:1:2: a character that JSON does not know as a blank: U+00A0"),
            ("{\"a\": \"", "x.json:1:7: unterminated string literal"),
            ("{\"a\": +1}", "x.json:1:7: unary plus on numbers is not allowed"),
        ] {
            assert_eq!(mistakes(text), [told], "{text:?}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_with_both_lines() {
        let text = "{\"a\": 1,\n\"b\": [{\"c\": 1}, {\"c\": 1, \"\\u0063\": 2}],\n\"a\": 2}";
        assert_eq!(
            mistakes(text),
            [
                "x.json:2: b.c: the key is there twice, first in line 2; keep one of them",
                "x.json:3: a: the key is there twice, first in line 1; keep one of them",
            ]
        );
    }

    #[test]
    fn deep_nesting_is_a_mistake_and_not_a_crash() {
        assert_eq!(mistakes(&"[".repeat(100_000)).len(), 1);
        assert_eq!(mistakes(&"{\"a\":".repeat(100_000)).len(), 1);
    }

    #[test]
    fn a_long_value_is_shortened() {
        let text = format!("{{\"a\": \"{}\"}}", "é".repeat(100));
        let document = Document::new("x.json", &text);
        let value = document.parse().unwrap();
        let node = Node::new(&document, String::new(), &value);
        let shown = node.below(&node.object().unwrap().properties[0]).shown();
        assert_eq!(shown, format!("\"{}..", "é".repeat(SHOWN - 1)));
    }

    #[test]
    fn only_what_resembles_is_suggested() {
        let known = ["port", "ip", "listeners", "max_connections"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("Port", known), Some("port"));
        assert_eq!(nearest("maxConnections", known), Some("max_connections"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    proptest! {
        /// A JSON reader that is known to be strict agrees about what is JSON.
        #[test]
        fn a_strict_reader_agrees_about_what_is_json(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "0", "1", "-", "1.5", "e", "E+2", ".", "+", "true", "null",
                    " ", "\n", "\t", "\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\\", "\"", "\"\\n\"", "\"\\u0041\"", "\"\\x\"",
                    "\"\\ud800\"", "\"\\ud83d\\ude00\"", "'", "a", "//", "/*", "*/", "\u{1}", "\u{7f}", "NaN", "Infinity", "0x1",
                    "{\"a\":", "[1,", "]}",
                ]),
                0..8,
            ),
            around in prop::sample::select(vec![("", ""), ("[", "]"), ("[1,", "]"), ("{\"a\":", "}"), ("\"", "\"")]),
        ) {
            let text = [around.0, &pieces.concat(), around.1].concat();
            let oracle = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(parse_strictly(&text).is_ok(), oracle.is_ok(), "{:?}: {:?}", text, oracle);
        }
    }
}
