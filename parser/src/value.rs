//! A tree of values, as JSON and CBOR know them: what messages are decoded into and encoded from.
//!
//! Arrays and objects are nodes of one arena; what they hold lies in them. So a document of a few hundred bytes costs a
//! handful of allocations, copying a tree is copying a few vectors, and a [`NodeId`] stays valid whatever happens to the
//! rest of the tree. The texts of a decoded document are places in the one buffer that it came in.

mod build;
mod change;
mod copy;
mod number;
#[cfg(test)]
mod tests;
mod text;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, mem};

pub(crate) use build::Builder;
pub use copy::{Excess, Limits};
pub(crate) use text::{Text, Texts};

/// One array, one object, or a root that is neither.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(u32);

/// One value of a tree, as it is read from and given to it.
///
/// A node that is given to a tree must be one of its own, made by it, and not be part of anything yet. If it is neither
/// array nor object, it gives its value and is gone.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// A text; nobody has looked whether it is UTF-8.
    Text(&'a [u8]),
    /// An array.
    Array(NodeId),
    /// An object.
    Object(NodeId),
}

/// The node is of a kind that has no such members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongKind;

/// The values of one document.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The first of the nodes that are free, or `NONE`.
    free: u32,
    root: NodeId,
    texts: Texts,
    /// Bytes of what the nodes have on the heap.
    heap: usize,
}

/// What stands at a [`NodeId`].
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Array(Vec<Slot>),
    /// In the order of the keys' bytes, each once.
    Object(Vec<Entry>),
    /// A root that is no container.
    Single(Slot),
    /// Followed by the next one, or `NONE`.
    Free(u32),
}

pub(crate) type Entry = (Text, Slot);

/// A value where it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Text),
    /// An array or object.
    Node(NodeId),
}

const NONE: u32 = u32::MAX;
/// Objects up to this size are searched from the first to the last key.
const FEW: usize = 8;

impl Tree {
    /// A tree that is null.
    #[must_use]
    pub fn new() -> Tree {
        let mut tree = Tree::empty();
        tree.root = tree.add(Node::Single(Slot::Null));
        tree
    }

    /// A tree that has no node yet: the first that is made is its root, until another is set.
    #[must_use]
    pub fn empty() -> Tree {
        Tree::of_source(Arc::default())
    }

    /// The node at which the document begins.
    #[inline]
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Lets the document begin elsewhere. What began it until now stays, and is the caller's to [`Tree::free`].
    pub fn set_root(&mut self, root: NodeId) {
        self.root = root;
    }

    /// Bytes of memory that it takes, about.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Tree>() + self.nodes.capacity() * size_of::<Node>() + self.texts.bytes() + self.heap
    }

    /// What stands at this node.
    #[inline]
    #[must_use]
    pub fn value(&self, node: NodeId) -> Value<'_> {
        match &self.nodes[node.0 as usize] {
            Node::Array(_) => Value::Array(node),
            Node::Object(_) => Value::Object(node),
            Node::Single(slot) => self.look(slot),
            Node::Free(_) => Value::Null,
        }
    }

    /// The member of an object that has this key. `None`: there is none, or it is no object.
    #[inline]
    #[must_use]
    pub fn get(&self, node: NodeId, key: &[u8]) -> Option<Value<'_>> {
        let Node::Object(entries) = &self.nodes[node.0 as usize] else { return None };
        self.find(entries, key).map(|at| self.look(&entries[at].1))
    }

    /// The member of an array that has this index, from 0. `None`: there is none, or it is no array.
    #[inline]
    #[must_use]
    pub fn at(&self, node: NodeId, index: usize) -> Option<Value<'_>> {
        let Node::Array(items) = &self.nodes[node.0 as usize] else { return None };
        items.get(index).map(|slot| self.look(slot))
    }

    /// How many members it has; 0 if it can have none.
    #[inline]
    #[must_use]
    pub fn len(&self, node: NodeId) -> usize {
        match &self.nodes[node.0 as usize] {
            Node::Array(items) => items.len(),
            Node::Object(entries) => entries.len(),
            Node::Single(_) | Node::Free(_) => 0,
        }
    }

    /// Bytes by which the tree grows when a container gets one more member, beside that itself.
    #[must_use]
    pub fn growth(&self, node: NodeId) -> usize {
        let (len, capacity, size) = match &self.nodes[node.0 as usize] {
            Node::Array(items) => (items.len(), items.capacity(), size_of::<Slot>()),
            Node::Object(entries) => (entries.len(), entries.capacity(), size_of::<Entry>()),
            Node::Single(_) | Node::Free(_) => (0, 0, 0),
        };
        if len == capacity { capacity * size } else { 0 }
    }

    /// The member of an object that is number `index` in the order of the keys' bytes, from 0.
    #[must_use]
    pub fn entry(&self, node: NodeId, index: usize) -> Option<(&[u8], Value<'_>)> {
        let Node::Object(entries) = &self.nodes[node.0 as usize] else { return None };
        entries.get(index).map(|(key, slot)| (key.bytes(&self.texts), self.look(slot)))
    }

    /// The members of an array, in order; none if it is no array.
    pub fn items(&self, node: NodeId) -> impl ExactSizeIterator<Item = Value<'_>> {
        let items: &[Slot] = match &self.nodes[node.0 as usize] {
            Node::Array(items) => items,
            _ => &[],
        };
        items.iter().map(|slot| self.look(slot))
    }

    /// The members of an object, in the order of their keys' bytes; none if it is no object.
    pub fn entries(&self, node: NodeId) -> impl ExactSizeIterator<Item = (&[u8], Value<'_>)> {
        let entries: &[Entry] = match &self.nodes[node.0 as usize] {
            Node::Object(entries) => entries,
            _ => &[],
        };
        entries.iter().map(|(key, slot)| (key.bytes(&self.texts), self.look(slot)))
    }

    /// The member of an object whose key comes next after this one, which need not be there; the first without one.
    #[must_use]
    pub fn after(&self, node: NodeId, key: Option<&[u8]>) -> Option<(&[u8], Value<'_>)> {
        let Node::Object(entries) = &self.nodes[node.0 as usize] else { return None };
        let at = key.map_or(0, |key| match self.search(entries, key) {
            Ok(at) => at + 1,
            Err(at) => at,
        });
        entries.get(at).map(|(key, slot)| (key.bytes(&self.texts), self.look(slot)))
    }

    /// Makes an array that is part of nothing yet.
    pub fn new_array(&mut self, capacity: usize) -> NodeId {
        let items = Vec::with_capacity(capacity);
        self.add(Node::Array(items))
    }

    /// Makes an object that is part of nothing yet.
    pub fn new_object(&mut self, capacity: usize) -> NodeId {
        let entries = Vec::with_capacity(capacity);
        self.add(Node::Object(entries))
    }

    /// Makes a node of any value, for a root. That of a container is the container's.
    pub fn new_single(&mut self, value: Value<'_>) -> NodeId {
        match self.keep(value) {
            Slot::Node(node) => node,
            slot => self.add(Node::Single(slot)),
        }
    }
}

/// For the decoders.
impl Tree {
    /// A tree without nodes, whose texts may lie in `source`.
    pub(crate) fn of_source(source: Arc<[u8]>) -> Tree {
        Tree { nodes: Vec::new(), free: NONE, root: NodeId(0), texts: Texts::new(source), heap: 0 }
    }

    /// Takes a node in, whose texts come from this tree.
    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.heap += match &node {
            Node::Array(items) => items.capacity() * size_of::<Slot>(),
            Node::Object(entries) => entries.capacity() * size_of::<Entry>(),
            Node::Single(_) | Node::Free(_) => 0,
        };
        if self.free != NONE {
            let id = NodeId(self.free);
            let place = &mut self.nodes[id.0 as usize];
            if let Node::Free(next) = *place {
                self.free = next;
                *place = node;
                return id;
            }
        }
        let id = u32::try_from(self.nodes.len()).ok().filter(|&id| id != NONE);
        self.nodes.push(node);
        NodeId(id.expect("fewer nodes than the memory of any machine holds"))
    }

    /// Takes an object in, whose keys may come in any order; of those that are equal the last wins.
    pub(crate) fn add_object(&mut self, mut entries: Vec<Entry>) -> NodeId {
        self.in_order(&mut entries);
        self.add(Node::Object(entries))
    }

    fn in_order(&mut self, entries: &mut Vec<Entry>) {
        let texts = &self.texts;
        let is_sorted = entries.windows(2).all(|pair| pair[0].0.bytes(texts) < pair[1].0.bytes(texts));
        if !is_sorted {
            // Stable, so equal keys stay in their order.
            entries.sort_by(|(a, _), (b, _)| a.bytes(texts).cmp(b.bytes(texts)));
            let mut lost = Vec::new();
            entries.dedup_by(|later, kept| {
                let is_equal = later.0.bytes(texts) == kept.0.bytes(texts);
                if is_equal {
                    mem::swap(later, kept);
                    lost.push(*later);
                }
                is_equal
            });
            for (key, slot) in lost {
                self.texts.forget(key);
                if let Some(node) = self.forget(slot) {
                    self.free(node, |_| false);
                }
            }
        }
    }

    /// A text of its own.
    pub(crate) fn own(&mut self, bytes: &[u8]) -> Text {
        if bytes.is_empty() { Text::default() } else { self.texts.add(bytes) }
    }

    /// A value as it is kept.
    pub(crate) fn keep(&mut self, value: Value<'_>) -> Slot {
        match value {
            Value::Null => Slot::Null,
            Value::Bool(value) => Slot::Bool(value),
            Value::Int(value) => Slot::Int(value),
            Value::UInt(value) => i64::try_from(value).map_or(Slot::UInt(value), Slot::Int),
            Value::Float(value) => Slot::Float(value),
            Value::Text(bytes) => Slot::Text(self.own(bytes)),
            Value::Array(node) | Value::Object(node) => self.put(node),
        }
    }

    /// A node as a container keeps it. One that is no container is given back, and only its value is kept.
    fn put(&mut self, node: NodeId) -> Slot {
        let place = &mut self.nodes[node.0 as usize];
        let Node::Single(slot) = place else { return Slot::Node(node) };
        let slot = mem::replace(slot, Slot::Null);
        *place = Node::Free(self.free);
        self.free = node.0;
        slot
    }

    /// Drops what a slot owns; returns the container that it was.
    fn forget(&mut self, slot: Slot) -> Option<NodeId> {
        match slot {
            Slot::Text(text) => {
                self.texts.forget(text);
                None
            }
            Slot::Node(node) => Some(node),
            _ => None,
        }
    }

    #[inline]
    fn look<'a>(&'a self, slot: &'a Slot) -> Value<'a> {
        match slot {
            Slot::Null => Value::Null,
            Slot::Bool(value) => Value::Bool(*value),
            Slot::Int(value) => Value::Int(*value),
            Slot::UInt(value) => Value::UInt(*value),
            Slot::Float(value) => Value::Float(*value),
            Slot::Text(text) => Value::Text(text.bytes(&self.texts)),
            Slot::Node(node) => self.value(*node),
        }
    }

    fn find(&self, entries: &[Entry], key: &[u8]) -> Option<usize> {
        if entries.len() <= FEW {
            return entries.iter().position(|(other, _)| other.bytes(&self.texts) == key);
        }
        self.search(entries, key).ok()
    }

    fn search(&self, entries: &[Entry], key: &[u8]) -> Result<usize, usize> {
        entries.binary_search_by(|(other, _)| other.bytes(&self.texts).cmp(key))
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl NodeId {
    /// A small number: the nodes of a tree are numbered from 0.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Value<'_> {
    /// The name of its kind: `object`, `array`, `string`, `number`, `boolean` or `null`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => "number",
            Value::Text(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// The node, if it is an array or an object.
    #[inline]
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Value::Array(node) | Value::Object(node) => Some(*node),
            _ => None,
        }
    }

    /// The number, if it is one; whole numbers beyond 2^53 are rounded.
    #[inline]
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match *self {
            Value::Int(value) => Some(value as f64),
            Value::UInt(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this kind of value has no such members")
    }
}

impl core::error::Error for WrongKind {}
