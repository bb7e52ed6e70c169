//! Target `cbor`: any bytes as a CBOR item, and what it is changed to.

use lapps_parser::value::{Limits, NodeId, Tree, Value};
use lapps_parser::{cbor, json, lapps};

/// The first byte is the limit of levels, the rest of `data` the item.
///
/// # Panics
/// If what is read exceeds its limits, cannot be written, or is written otherwise when it has been read again; if the
/// tree loses count of its memory, or a copy differs.
pub fn cbor(data: &[u8]) {
    let Some((&depth, bytes)) = data.split_first() else { return };
    let limits = Limits { depth: usize::from(depth % 129), bytes: 1 << 16 };
    let Ok(mut tree) = cbor::decode(bytes, limits) else { return };
    assert!(tree.bytes() <= limits.bytes);
    let written = write(&tree, tree.root());
    let again = cbor::decode(&written, Limits::default()).expect("CBOR");
    assert_eq!(write(&again, again.root()), written);
    let _ = json::encode(&tree, tree.root(), &mut Vec::new());
    if let Err(message) = lapps::classify(&tree) {
        assert!(message.len() <= 123);
    }
    let _ = (lapps::check_outgoing(&tree, tree.root()), lapps::check_broadcast(&tree, tree.root()));

    let root = tree.root();
    let mut copy = Tree::new();
    let node = copy.graft(&tree, root, Limits::default()).expect("a copy is not deeper");
    assert_eq!(write(&copy, node), written);
    change(&mut tree, root, depth);
    let _ = write(&tree, root);
    assert_eq!(write(&copy, node), written);
}

fn write(tree: &Tree, node: NodeId) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::encode(tree, node, &mut out).expect("what was read is not too deep");
    out
}

/// Replaces a member by itself or something else, erases another.
fn change(tree: &mut Tree, root: NodeId, choice: u8) {
    let limits = Limits { depth: 100, ..Limits::default() };
    let len = tree.len(root);
    let taken_out = match tree.value(root) {
        Value::Array(node) if len > 0 => {
            let at = usize::from(choice) % len;
            let copied =
                tree.at(node, at).and_then(|value| value.node()).map(|node| tree.graft_own(node, limits));
            let value = copied.and_then(Result::ok).map_or(Value::Text(b"new"), Value::Array);
            let old = tree.set_at(node, len - 1, value).expect("an array");
            [old, tree.erase_at(node, at).expect("it is there")]
        }
        Value::Object(node) if len > 0 => {
            let key = tree.entry(node, usize::from(choice) % len).expect("it is there").0.to_vec();
            let old = tree.set_key(node, b"key", Value::Text(b"new")).expect("an object");
            [old, tree.erase_key(node, &key).expect("it is there")]
        }
        _ => return,
    };
    for node in taken_out.into_iter().flatten() {
        tree.free(node, |_| false);
    }
}
