//! Copies of subtrees, and whether two are equal.

use alloc::vec::Vec;
use core::fmt;

use super::{Entry, Node, NodeId, Slot, Text, Tree, Value};

/// What a tree may become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Levels: a scalar has none, an array of scalars has one.
    pub depth: usize,
    /// Memory of the tree, as [`Tree::bytes`] counts it.
    pub bytes: usize,
}

/// What a tree would have become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// Nested deeper than so many levels.
    Depth(usize),
    /// Greater than so many bytes of memory.
    Bytes(usize),
}

impl Limits {
    /// Levels of nesting that are taken, and written, if nobody says otherwise.
    pub const DEPTH: usize = 128;
}

impl Default for Limits {
    /// 128 levels, and as many bytes as there are.
    fn default() -> Limits {
        Limits { depth: Limits::DEPTH, bytes: usize::MAX }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Depth(levels) => write!(f, "nested deeper than {levels} levels"),
            Excess::Bytes(bytes) => write!(f, "it takes more than {bytes} bytes of memory"),
        }
    }
}

impl core::error::Error for Excess {}

impl Tree {
    /// Copies `node` of another tree, with all that it holds, to a node that is part of nothing yet.
    ///
    /// # Errors
    /// The copy is nested too deep, or this tree becomes too big. It is as before then.
    pub fn graft(&mut self, from: &Tree, node: NodeId, limits: Limits) -> Result<NodeId, Excess> {
        self.copy(Some(from), node, limits, limits.depth)
    }

    /// The same with a node of this tree.
    ///
    /// # Errors
    /// As [`Tree::graft`].
    pub fn graft_own(&mut self, node: NodeId, limits: Limits) -> Result<NodeId, Excess> {
        self.copy(None, node, limits, limits.depth)
    }

    /// Whether `node` and what is at `other_node` hold the same. Numbers are compared by their value.
    #[must_use]
    pub fn is_same(&self, node: NodeId, other: &Tree, other_node: NodeId) -> bool {
        let mut pairs = Vec::new();
        let mut next = Some((node, other_node));
        while let Some((a, b)) = next {
            let is_same = match (self.value(a), other.value(b)) {
                (Value::Array(a), Value::Array(b)) => {
                    self.len(a) == other.len(b)
                        && self
                            .items(a)
                            .zip(other.items(b))
                            .all(|(a, b)| is_same_but_for_containers(a, b, &mut pairs))
                }
                (Value::Object(a), Value::Object(b)) => {
                    self.len(a) == other.len(b)
                        && self.entries(a).zip(other.entries(b)).all(|((key, a), (other_key, b))| {
                            key == other_key && is_same_but_for_containers(a, b, &mut pairs)
                        })
                }
                (a, b) => a.is_same_scalar(&b),
            };
            if !is_same {
                return false;
            }
            next = pairs.pop();
        }
        true
    }

    /// `None`: the node is one of this tree.
    fn copy(
        &mut self,
        from: Option<&Tree>,
        node: NodeId,
        limits: Limits,
        levels: usize,
    ) -> Result<NodeId, Excess> {
        let original = &from.unwrap_or(self).nodes[node.index()];
        let (members, levels) = match original {
            Node::Array(items) => (items.len() * size_of::<Slot>(), levels.checked_sub(1)),
            Node::Object(entries) => (entries.len() * size_of::<Entry>(), levels.checked_sub(1)),
            Node::Single(_) | Node::Free(_) => (0, Some(levels)),
        };
        let levels = levels.ok_or(Excess::Depth(limits.depth))?;
        self.has_room(members, limits)?;
        let mut copied = original.clone();
        let mut outcome = Ok(());
        match &mut copied {
            Node::Array(items) => {
                for slot in items {
                    self.settle(from, slot, limits, levels, &mut outcome);
                }
            }
            Node::Object(entries) => {
                for (key, slot) in entries {
                    self.settle_text(from, key);
                    self.settle(from, slot, limits, levels, &mut outcome);
                }
            }
            Node::Single(slot) => self.settle(from, slot, limits, levels, &mut outcome),
            Node::Free(_) => copied = Node::Single(Slot::Null),
        }
        let copied = self.add(copied);
        match outcome.and_then(|()| self.has_room(0, limits)) {
            Ok(()) => Ok(copied),
            Err(excess) => {
                self.free(copied, |_| false);
                Err(excess)
            }
        }
    }

    /// Makes what was copied with its container this tree's own. After a failure nothing more is.
    fn settle(
        &mut self,
        from: Option<&Tree>,
        slot: &mut Slot,
        limits: Limits,
        levels: usize,
        outcome: &mut Result<(), Excess>,
    ) {
        match slot {
            Slot::Text(text) => self.settle_text(from, text),
            Slot::Node(node) => {
                let copied = outcome.and_then(|()| self.copy(from, *node, limits, levels));
                *slot = match copied {
                    Ok(node) => Slot::Node(node),
                    Err(excess) => {
                        *outcome = Err(excess);
                        Slot::Null
                    }
                };
            }
            _ => {}
        }
    }

    fn settle_text(&mut self, from: Option<&Tree>, text: &mut Text) {
        *text = self.texts.adopt(*text, from.map(|from| &from.texts));
    }

    fn has_room(&self, bytes: usize, limits: Limits) -> Result<(), Excess> {
        let is_fine = self.bytes().saturating_add(bytes) <= limits.bytes;
        if is_fine { Ok(()) } else { Err(Excess::Bytes(limits.bytes)) }
    }
}

/// Two containers are left for later.
fn is_same_but_for_containers(a: Value<'_>, b: Value<'_>, pairs: &mut Vec<(NodeId, NodeId)>) -> bool {
    match (a.node(), b.node()) {
        (Some(a), Some(b)) => {
            pairs.push((a, b));
            true
        }
        (None, None) => a.is_same_scalar(&b),
        _ => false,
    }
}
