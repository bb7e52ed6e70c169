//! Values in JSON and CBOR: examples from the standards, limits, and properties that hold for every value.

mod cbor;
mod json;
mod random;

use lapps_parser::value::{Limits, Tree};
use lapps_parser::{cbor as c, json as j};

/// The value of a JSON text.
#[track_caller]
fn tree(text: &str) -> Tree {
    j::decode(text.as_bytes(), Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn json_of(tree: &Tree) -> String {
    let mut out = Vec::new();
    j::encode(tree, tree.root(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn cbor_of(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    c::encode(tree, tree.root(), &mut out).unwrap();
    out
}

/// An array in an array, so many in all.
fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}
