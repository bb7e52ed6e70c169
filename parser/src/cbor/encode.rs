//! The writer.

use alloc::vec::Vec;

use crate::utf8;
use crate::value::{Excess, Limits, NodeId, Tree, Value};

const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const MAP: u8 = 5 << 5;

/// Appends what is at `node` to `out`.
///
/// # Errors
/// It is nested deeper than 128 levels. `out` is as before then.
pub fn encode(tree: &Tree, node: NodeId, out: &mut Vec<u8>) -> Result<(), Excess> {
    let start = out.len();
    let result = item(tree, tree.value(node), out, Limits::DEPTH);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn item(tree: &Tree, value: Value<'_>, out: &mut Vec<u8>, levels: usize) -> Result<(), Excess> {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(value) => out.push(0xf4 | u8::from(value)),
        Value::Int(value) => match u64::try_from(value) {
            Ok(value) => head(out, 0, value),
            Err(_) => head(out, 1 << 5, !value as u64),
        },
        Value::UInt(value) => head(out, 0, value),
        Value::Float(value) => {
            out.push(0xfb);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Text(bytes) => text(out, bytes),
        Value::Array(node) => {
            let levels = levels.checked_sub(1).ok_or(Excess::Depth(Limits::DEPTH))?;
            let items = tree.items(node);
            head(out, ARRAY, items.len() as u64);
            for value in items {
                item(tree, value, out, levels)?;
            }
        }
        Value::Object(node) => {
            let levels = levels.checked_sub(1).ok_or(Excess::Depth(Limits::DEPTH))?;
            let entries = tree.entries(node);
            head(out, MAP, entries.len() as u64);
            for (key, value) in entries {
                text(out, key);
                item(tree, value, out, levels)?;
            }
        }
    }
    Ok(())
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let major = if utf8::is_valid(bytes) { TEXT } else { BYTES };
    head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The shortest head (section 4.1).
#[inline]
fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    match value {
        0..24 => out.push(major | value as u8),
        24..0x100 => out.extend_from_slice(&[major | 24, value as u8]),
        0x100..0x1_0000 => {
            let [a, b] = (value as u16).to_be_bytes();
            out.extend_from_slice(&[major | 25, a, b]);
        }
        0x1_0000..0x1_0000_0000 => {
            let [a, b, c, d] = (value as u32).to_be_bytes();
            out.extend_from_slice(&[major | 26, a, b, c, d]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}
