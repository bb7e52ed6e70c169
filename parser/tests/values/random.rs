//! What holds for every value, and for every input.

use lapps_parser::value::{Limits, Tree, Value};
use lapps_parser::{cbor, json};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{cbor_of, json_of};

/// Any value, as the slow twins know it.
fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-300_i64..300).prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no such number", |float| float.is_finite()).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        "[\\x00-\\x7f]{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 100, 12, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Into::into),
            btree_map(".{0,6}", inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value in a tree, made by setting one member after the other.
fn set(tree: &mut Tree, value: &serde_json::Value) -> lapps_parser::NodeId {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => {
            let node = tree.new_array(0);
            for item in items {
                let child = set(tree, item);
                let value = held(tree, child, item);
                tree.push(node, value).unwrap();
            }
            node
        }
        Json::Object(entries) => {
            let node = tree.new_object(0);
            for (key, item) in entries {
                let child = set(tree, item);
                let value = held(tree, child, item);
                assert_eq!(tree.set_key(node, key.as_bytes(), value), Ok(None));
            }
            node
        }
        scalar => tree.new_single(plain(scalar)),
    }
}

/// What to put into a container: a container's node, or a scalar, whose node is not needed.
fn held<'a>(tree: &mut Tree, node: lapps_parser::NodeId, value: &'a serde_json::Value) -> Value<'a> {
    match tree.value(node) {
        Value::Array(node) => Value::Array(node),
        Value::Object(node) => Value::Object(node),
        _ => {
            tree.free(node, |_| false);
            plain(value)
        }
    }
}

fn plain(value: &serde_json::Value) -> Value<'_> {
    use serde_json::Value as Json;
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) if number.is_i64() => Value::Int(number.as_i64().unwrap()),
        Json::Number(number) if number.is_u64() => Value::UInt(number.as_u64().unwrap()),
        Json::Number(number) => Value::Float(number.as_f64().unwrap()),
        Json::String(text) => Value::Text(text.as_bytes()),
        _ => Value::Null,
    }
}

proptest! {
    #[test]
    fn json_and_cbor_come_back(value in values()) {
        let text = serde_json::to_string(&value).unwrap();
        let tree = json::decode(text.as_bytes(), Limits::default()).unwrap();
        prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&json_of(&tree)).unwrap(), &value);
        let bytes = cbor_of(&tree);
        prop_assert_eq!(&ciborium::from_reader::<serde_json::Value, _>(&bytes[..]).unwrap(), &value);
        let again = cbor::decode(&bytes, Limits::default()).unwrap();
        prop_assert!(again.is_same(again.root(), &tree, tree.root()));
        prop_assert_eq!(json_of(&again), json_of(&tree));
        let mut theirs = Vec::new();
        ciborium::into_writer(&value, &mut theirs).unwrap();
        let theirs = cbor::decode(&theirs, Limits::default()).unwrap();
        prop_assert!(theirs.is_same(theirs.root(), &tree, tree.root()));
        let mut pretty = Vec::new();
        json::encode_pretty(&tree, tree.root(), 3, &mut pretty).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(&pretty).unwrap(), &value);

        let mut made = Tree::new();
        let node = set(&mut made, &value);
        prop_assert!(made.is_same(node, &tree, tree.root()));
        let copy = made.graft(&tree, tree.root(), Limits::default()).unwrap();
        prop_assert!(made.is_same(copy, &made, node));
        made.set_root(copy);
        prop_assert_eq!(json_of(&made), json_of(&tree));
    }

    #[test]
    fn a_part_of_a_document_is_none(value in values(), cut in any::<Index>()) {
        let text = serde_json::to_string(&value).unwrap();
        let tree = json::decode(text.as_bytes(), Limits::default()).unwrap();
        let bytes = cbor_of(&tree);
        prop_assert!(cbor::decode(&bytes[..cut.index(bytes.len())], Limits::default()).is_err());
        // Half a number is a number.
        if !value.is_number() {
            prop_assert!(json::decode(&text.as_bytes()[..cut.index(text.len())], Limits::default()).is_err());
        }
    }

    #[test]
    fn no_input_is_too_much(
        value in values(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        limit in 0_usize..20_000,
    ) {
        let limits = Limits { depth: 20, bytes: limit };
        let text = serde_json::to_string(&value).unwrap().into_bytes();
        let bytes = cbor_of(&json::decode(&text, Limits::default()).unwrap());
        for mut document in [text, bytes] {
            for (place, byte) in &changes {
                let at = place.index(document.len());
                document[at] = *byte;
            }
            for read in [json::decode(&document, limits).ok(), cbor::decode(&document, limits).ok()].into_iter().flatten() {
                prop_assert!(read.bytes() <= limit);
                let again = cbor::decode(&cbor_of(&read), Limits::default()).unwrap();
                let (one, other) = (cbor_of(&read), cbor_of(&again));
                prop_assert_eq!(one, other);
            }
        }
    }
}
