//! The writer.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::utf8;
use crate::value::{Excess, Limits, NodeId, Tree, Value};

/// Why a value cannot be written as JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EncodeError {
    /// It is nested deeper than 128 levels.
    Depth(Excess),
    /// A text is not UTF-8; the JSON pointer to it (RFC 6901).
    Text(String),
    /// A key is not UTF-8; the JSON pointer to it, with U+FFFD for what is wrong.
    Key(String),
}

/// Appends what is at `node` to `out`, without any space.
///
/// # Errors
/// It is nested deeper than 128 levels, or a text in it is not UTF-8. `out` is as before then.
pub fn encode(tree: &Tree, node: NodeId, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(tree, node, None, out)
}

/// Appends what is at `node` to `out`, each member on a line of its own, indented by so many spaces for each level.
///
/// # Errors
/// As [`encode`].
pub fn encode_pretty(tree: &Tree, node: NodeId, indent: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(tree, node, Some(indent), out)
}

fn write(tree: &Tree, node: NodeId, indent: Option<usize>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let mut writer = Writer { tree, indent, out: &mut *out };
    if writer.value(tree.value(node), 0).is_ok() {
        return Ok(());
    }
    out.truncate(start);
    let too_deep = EncodeError::Depth(Excess::Depth(Limits::DEPTH));
    Err(fault(tree, tree.value(node), 0, &mut String::new()).unwrap_or(too_deep))
}

struct Writer<'a> {
    tree: &'a Tree,
    /// `None`: everything on one line.
    indent: Option<usize>,
    out: &'a mut Vec<u8>,
}

/// It cannot be written. Why is found out then.
struct Refused;

impl Writer<'_> {
    fn value(&mut self, value: Value<'_>, level: usize) -> Result<(), Refused> {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Int(value) => self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Value::UInt(value) => self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Value::Float(value) if value.is_finite() => {
                self.out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
            }
            Value::Float(_) => self.out.extend_from_slice(b"null"),
            Value::Text(bytes) => self.text(bytes)?,
            Value::Array(_) | Value::Object(_) if level == Limits::DEPTH => return Err(Refused),
            Value::Array(node) => {
                self.out.push(b'[');
                let items = self.tree.items(node);
                let is_empty = items.len() == 0;
                for (index, item) in items.enumerate() {
                    self.next(index, level + 1);
                    self.value(item, level + 1)?;
                }
                self.end(is_empty, level, b']');
            }
            Value::Object(node) => {
                self.out.push(b'{');
                let entries = self.tree.entries(node);
                let is_empty = entries.len() == 0;
                for (index, (key, value)) in entries.enumerate() {
                    self.next(index, level + 1);
                    self.text(key)?;
                    self.out.push(b':');
                    if self.indent.is_some() {
                        self.out.push(b' ');
                    }
                    self.value(value, level + 1)?;
                }
                self.end(is_empty, level, b'}');
            }
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if !utf8::is_valid(bytes) {
            return Err(Refused);
        }
        self.out.push(b'"');
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            self.out.extend_from_slice(&rest[..at]);
            self.escaped(rest[at]);
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
        Ok(())
    }

    /// RFC 8259 section 7.
    fn escaped(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&digits);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', letter]);
    }

    /// Comes before a member.
    fn next(&mut self, index: usize, level: usize) {
        if index > 0 {
            self.out.push(b',');
        }
        self.line(level);
    }

    fn end(&mut self, is_empty: bool, level: usize, bracket: u8) {
        if !is_empty {
            self.line(level);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, level: usize) {
        if let Some(indent) = self.indent {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + indent * level, b' ');
        }
    }
}

/// What has kept it from being written; `path` leads to it.
fn fault(tree: &Tree, value: Value<'_>, level: usize, path: &mut String) -> Option<EncodeError> {
    let len = path.len();
    match value {
        Value::Array(_) | Value::Object(_) if level == Limits::DEPTH => {
            return Some(EncodeError::Depth(Excess::Depth(Limits::DEPTH)));
        }
        Value::Text(bytes) if !utf8::is_valid(bytes) => return Some(EncodeError::Text(path.clone())),
        Value::Array(node) => {
            for (index, value) in tree.items(node).enumerate() {
                path.push_str(&format!("/{index}"));
                if let Some(fault) = fault(tree, value, level + 1, path) {
                    return Some(fault);
                }
                path.truncate(len);
            }
        }
        Value::Object(node) => {
            for (key, value) in tree.entries(node) {
                path.push('/');
                path.push_str(&String::from_utf8_lossy(key).replace('~', "~0").replace('/', "~1"));
                if !utf8::is_valid(key) {
                    return Some(EncodeError::Key(path.clone()));
                }
                if let Some(fault) = fault(tree, value, level + 1, path) {
                    return Some(fault);
                }
                path.truncate(len);
            }
        }
        _ => {}
    }
    None
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::Depth(excess) => excess.fmt(f),
            EncodeError::Text(path) if path.is_empty() => f.write_str("the text is not UTF-8"),
            EncodeError::Text(path) => write!(f, "the text at {path} is not UTF-8"),
            EncodeError::Key(path) => write!(f, "the key {path} is not UTF-8"),
        }
    }
}

impl core::error::Error for EncodeError {}
