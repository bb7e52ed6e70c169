//! What a tree holds after each change, and what it counts.

use std::string::{String, ToString};
use std::{format, vec};

use super::*;
use crate::json;

/// As JSON writes it, but for texts that need escapes.
fn text(tree: &Tree, value: Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Value::Array(node) => {
            let items: Vec<_> = tree.items(node).map(|value| text(tree, value)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(node) => {
            let entries: Vec<_> = tree
                .entries(node)
                .map(|(key, value)| format!("\"{}\":{}", String::from_utf8_lossy(key), text(tree, value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// Counts anew what the tree counts as it goes.
fn heap(tree: &Tree) -> usize {
    let node = |node: &Node| match node {
        Node::Array(items) => items.capacity() * size_of::<Slot>(),
        Node::Object(entries) => entries.capacity() * size_of::<Entry>(),
        Node::Single(_) | Node::Free(_) => 0,
    };
    tree.nodes.iter().map(node).sum()
}

#[track_caller]
fn holds(tree: &Tree, expected: &str) {
    assert_eq!(text(tree, tree.value(tree.root())), expected);
    assert_eq!(tree.heap, heap(tree), "the count of bytes is right");
}

fn sample() -> Tree {
    let mut tree = Tree::new();
    let root = tree.root();
    let list = tree.new_array(0);
    assert_eq!(tree.set_key(root, b"list", Value::Array(list)), Ok(None));
    assert_eq!(tree.set_key(root, b"a", Value::Text(b"text")), Ok(None));
    let inner = tree.new_object(0);
    tree.push(list, Value::Int(1)).unwrap();
    tree.push(list, Value::Object(inner)).unwrap();
    tree.set_key(inner, b"deep", Value::UInt(u64::MAX)).unwrap();
    tree
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Text>(), 8);
    assert_eq!(size_of::<Slot>(), 16);
    assert_eq!(size_of::<Entry>(), 24);
    assert_eq!(size_of::<Node>(), 32);
}

#[test]
fn members_are_read_as_they_were_set() {
    let tree = sample();
    holds(&tree, r#"{"a":"text","list":[1,{"deep":18446744073709551615}]}"#);
    let list = tree.get(tree.root(), b"list").and_then(|list| list.node()).unwrap();
    assert_eq!((tree.len(list), tree.len(tree.root())), (2, 2));
    assert!(matches!(tree.at(list, 0), Some(Value::Int(1))));
    assert!(tree.at(list, 2).is_none() && tree.get(list, b"0").is_none());
    assert!(tree.get(tree.root(), b"b").is_none() && tree.at(tree.root(), 0).is_none());
}

#[test]
fn many_members_are_found() {
    let mut tree = Tree::new();
    for number in (0..100).rev() {
        tree.set_key(tree.root(), format!("{number}").as_bytes(), Value::Int(number)).unwrap();
    }
    for number in 0..100 {
        let found = tree.get(tree.root(), format!("{number}").as_bytes());
        assert!(matches!(found, Some(Value::Int(value)) if value == number));
    }
    let keys: Vec<_> = tree.entries(tree.root()).map(|(key, _)| key).collect();
    assert!(keys.is_sorted() && keys.len() == 100);
    assert_eq!(tree.heap, heap(&tree));
}

#[test]
fn the_next_key_is_found_whether_the_last_is_there_or_not() {
    let mut tree = sample();
    let root = tree.root();
    let next = |tree: &Tree, key: Option<&[u8]>| tree.after(root, key).map(|(key, _)| key.to_vec());
    assert_eq!(next(&tree, None), Some(b"a".to_vec()));
    assert_eq!(next(&tree, Some(b"a")), Some(b"list".to_vec()));
    assert_eq!(next(&tree, Some(b"list")), None);
    tree.erase_key(root, b"a");
    assert_eq!(next(&tree, Some(b"a")), Some(b"list".to_vec()));
}

#[test]
fn indices_past_the_end_fill_with_null() {
    let mut tree = Tree::new();
    tree.set_at(tree.root(), 3, Value::Bool(true)).unwrap();
    holds(&tree, "[null,null,null,true]");
}

#[test]
fn null_and_empty_arrays_become_what_they_are_used_as() {
    let mut tree = Tree::new();
    tree.set_key(tree.root(), b"a", Value::Null).unwrap();
    let list = tree.new_array(4);
    tree.set_key(tree.root(), b"list", Value::Array(list)).unwrap();
    tree.set_key(list, b"x", Value::Float(0.5)).unwrap();
    holds(&tree, r#"{"a":null,"list":{"x":0.5}}"#);
    assert_eq!(tree.push(list, Value::Null), Err(WrongKind));
    assert_eq!(tree.set_at(tree.root(), 0, Value::Text(b"lost")), Err(WrongKind));
    holds(&tree, r#"{"a":null,"list":{"x":0.5}}"#);
    let number = tree.new_single(Value::Int(5));
    tree.set_root(number);
    assert_eq!(tree.set_key(number, b"a", Value::Null), Err(WrongKind));
    assert_eq!(tree.set_at(number, 0, Value::Null), Err(WrongKind));
}

#[test]
fn what_is_replaced_is_given_back_but_for_what_is_kept() {
    let mut tree = sample();
    let root = tree.root();
    let list = tree.get(root, b"list").and_then(|value| value.node()).unwrap();
    let inner = tree.at(list, 1).and_then(|value| value.node()).unwrap();
    let old = tree.set_key(root, b"list", Value::Null).unwrap();
    assert_eq!(old, Some(list));
    let mut kept = Vec::new();
    tree.free(list, |node| {
        let keep = node == inner;
        kept.extend(keep.then_some(node));
        keep
    });
    assert_eq!(kept, [inner]);
    holds(&tree, r#"{"a":"text","list":null}"#);
    assert_eq!(text(&tree, tree.value(inner)), r#"{"deep":18446744073709551615}"#);
    tree.free(inner, |_| false);
    holds(&tree, r#"{"a":"text","list":null}"#);
    let nodes = tree.nodes.len();
    for _ in 0..2 {
        let again = tree.new_array(0);
        tree.push(root, Value::Array(again)).unwrap_err();
    }
    assert_eq!(tree.nodes.len(), nodes, "both places are used again");
}

#[test]
fn a_tree_that_is_written_for_ever_does_not_grow() {
    let mut tree = sample();
    let root = tree.root();
    let mut sizes = Vec::new();
    for round in 0..1000 {
        let list = tree.new_array(2);
        tree.push(list, Value::Text(b"some text of some length")).unwrap();
        for (key, value) in [("list", Value::Array(list)), ("a", Value::Text(b"other"))] {
            if let Some(old) = tree.set_key(root, key.as_bytes(), value).unwrap() {
                tree.free(old, |_| false);
            }
        }
        let key = format!("{round}");
        tree.set_key(root, key.as_bytes(), Value::Text(key.as_bytes())).unwrap();
        assert_eq!(tree.erase_key(root, key.as_bytes()), Some(None));
        sizes.push(tree.bytes());
    }
    let most = |rounds: &[usize]| rounds.iter().copied().max().unwrap();
    assert!(most(&sizes) < 3000 && most(&sizes[900..]) <= most(&sizes[..100]), "{sizes:?}");
    holds(&tree, r#"{"a":"other","list":["some text of some length"]}"#);
}

#[test]
fn texts_that_are_gone_give_their_bytes_back_and_the_others_stay_what_they_are() {
    let document = json::decode(br#"{"from":"the document","list":["too"]}"#, Limits::default()).unwrap();
    let mut tree = document.clone();
    let (root, text) = (tree.root(), "0123456789".repeat(100));
    let list = tree.get(root, b"list").and_then(|list| list.node()).unwrap();
    for round in 0..50 {
        let key = format!("key {round}");
        tree.set_key(root, key.as_bytes(), Value::Text(key.as_bytes())).unwrap();
        tree.set_at(list, round % 5 + 1, Value::Text(text.as_bytes())).unwrap();
        tree.set_key(root, b"other", Value::Text(text.as_bytes())).unwrap();
        let copy = tree.graft_own(list, Limits::default()).unwrap();
        if let Some(old) = tree.set_key(root, b"copy", Value::Array(copy)).unwrap() {
            tree.free(old, |_| false);
        }
        let other = tree.graft(&document, document.root(), Limits::default()).unwrap();
        if let Some(old) = tree.set_key(root, b"original", Value::Object(other)).unwrap() {
            tree.free(old, |_| false);
        }
    }
    for round in 0..50 {
        let key = format!("key {round}");
        assert!(matches!(tree.get(root, key.as_bytes()), Some(Value::Text(text)) if text == key.as_bytes()));
    }
    let original = tree.get(root, b"original").and_then(|value| value.node()).unwrap();
    assert!(tree.is_same(original, &document, document.root()));
    let copy = tree.get(root, b"copy").and_then(|value| value.node()).unwrap();
    assert!(tree.is_same(copy, &tree, list));
    assert!(
        tree.items(list).skip(1).all(|item| matches!(item, Value::Text(bytes) if bytes == text.as_bytes()))
    );
    assert!(tree.bytes() < 60_000, "{}", tree.bytes());
}

#[test]
fn erasing_gives_memory_back() {
    let mut tree = Tree::new();
    let root = tree.root();
    for _ in 0..1000 {
        tree.push(root, Value::Int(1)).unwrap();
    }
    let full = tree.bytes();
    while tree.len(root) > 1 {
        assert_eq!(tree.erase_at(root, 1), Some(None));
    }
    assert_eq!((tree.erase_at(root, 1), tree.erase_key(root, b"1")), (None, None));
    assert!(tree.bytes() < full / 50);
    holds(&tree, "[1]");
}

#[test]
fn copies_are_equal_and_their_own() {
    let sample = sample();
    let mut tree = Tree::new();
    let copy = tree.graft(&sample, sample.root(), Limits::default()).unwrap();
    assert!(tree.is_same(copy, &sample, sample.root()));
    let root = tree.root();
    assert_eq!(tree.set_key(root, b"copy", Value::Object(copy)), Ok(None));
    let inside = tree.graft_own(root, Limits::default()).unwrap();
    tree.set_key(copy, b"all", Value::Object(inside)).unwrap();
    let one = r#""a":"text","list":[1,{"deep":18446744073709551615}]"#;
    holds(&tree, &format!(r#"{{"copy":{{"a":"text","all":{{"copy":{{{one}}}}},{}}}}}"#, &one[11..]));
    assert!(!tree.is_same(copy, &sample, sample.root()));
}

#[test]
fn copies_have_limits_and_leave_nothing_behind() {
    let sample = sample();
    let mut tree = Tree::new();
    for depth in 0..3 {
        let limits = Limits { depth, ..Limits::default() };
        assert_eq!(tree.graft(&sample, sample.root(), limits), Err(Excess::Depth(depth)));
    }
    let bytes = tree.bytes();
    for more in 0..200 {
        let limits = Limits { depth: 3, bytes: bytes + more };
        assert_eq!(tree.graft(&sample, sample.root(), limits), Err(Excess::Bytes(bytes + more)));
        holds(&tree, "null");
    }
    let limits = Limits { depth: 3, bytes: 10_000 };
    assert!(tree.graft(&sample, sample.root(), limits).is_ok());
}

#[test]
fn deep_trees_are_compared_and_given_back_without_recursion() {
    let deep = || {
        let mut tree = Tree::new();
        let mut node = tree.root();
        for _ in 0..200_000 {
            let inner = tree.new_array(0);
            tree.push(node, Value::Array(inner)).unwrap();
            node = inner;
        }
        tree
    };
    let (mut one, two) = (deep(), deep());
    assert!(one.is_same(one.root(), &two, two.root()));
    one.free(one.root(), |_| false);
    assert_eq!(one.heap, 0);
}

#[test]
fn of_equal_keys_the_last_wins() {
    let mut tree = Tree::of_source(Arc::default());
    let lost = tree.new_array(3);
    let entries = vec![
        (tree.own(b"b"), Slot::Node(lost)),
        (tree.own(b"a"), Slot::Int(1)),
        (tree.own(b"b"), Slot::Int(2)),
        (tree.own(b"b"), Slot::Int(3)),
        (tree.own(b"a"), Slot::Int(4)),
    ];
    let root = tree.add_object(entries);
    tree.set_root(root);
    holds(&tree, r#"{"a":4,"b":3}"#);
}
