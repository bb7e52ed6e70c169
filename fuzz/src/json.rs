//! Target `json`: any bytes as a JSON text.

use lapps_parser::value::{Limits, Tree};
use lapps_parser::{cbor, json};

/// The first byte is the limit of levels, the rest of `data` the text.
///
/// # Panics
/// If what is read exceeds its limits, cannot be written, or is another value when it has been written and read again.
pub fn json(data: &[u8]) {
    let Some((&depth, text)) = data.split_first() else { return };
    let limits = Limits { depth: usize::from(depth % 129), bytes: 1 << 16 };
    let Ok(tree) = json::decode(text, limits) else { return };
    assert!(tree.bytes() <= limits.bytes);
    let (mut plain, mut pretty) = (Vec::new(), Vec::new());
    json::encode(&tree, tree.root(), &mut plain).expect("what was read is UTF-8");
    json::encode_pretty(&tree, tree.root(), 2, &mut pretty).expect("what was read is UTF-8");
    for written in [&plain, &pretty] {
        same(&tree, &json::decode(written, Limits::default()).expect("JSON"));
    }
    let mut binary = Vec::new();
    cbor::encode(&tree, tree.root(), &mut binary).expect("what was read is not too deep");
    same(&tree, &cbor::decode(&binary, Limits::default()).expect("CBOR"));
}

/// Panics if two trees differ; floats that are no numbers cannot have come from JSON.
fn same(one: &Tree, other: &Tree) {
    assert!(one.is_same(one.root(), other, other.root()));
}
