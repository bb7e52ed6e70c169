//! Building a tree from a document, within its limits.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use super::{Entry, Excess, Limits, Node, NodeId, Slot, Text, Tree};

/// A tree that is being decoded.
pub(crate) struct Builder {
    tree: Tree,
    limits: Limits,
    /// Bytes of containers that are not in the tree yet.
    pending: usize,
    /// The limit that was exceeded.
    excess: Cell<Option<Excess>>,
}

impl Builder {
    /// Longer ones cannot be decoded.
    pub(crate) const LONGEST: usize = Text::LONGEST - 1;

    /// For a document of at most [`Builder::LONGEST`] bytes.
    pub(crate) fn new(document: &[u8], limits: Limits) -> Result<Builder, Excess> {
        let tree = Tree::of_source(Arc::default());
        let builder = Builder { tree, limits, pending: 0, excess: Cell::new(None) };
        builder.has_room(document.len())?;
        Ok(Builder { tree: Tree::of_source(document.into()), ..builder })
    }

    /// Fewer levels by one.
    pub(crate) fn descend(&self, levels: usize) -> Result<usize, Excess> {
        levels.checked_sub(1).ok_or_else(|| self.exceeded(Excess::Depth(self.limits.depth)))
    }

    /// Makes room for one more member. The last one is number `expected`, as far as anybody has said.
    #[inline]
    pub(crate) fn extend<T>(&mut self, members: &mut Vec<T>, expected: usize) -> Result<(), Excess> {
        if members.len() < members.capacity() {
            return Ok(());
        }
        // Never more than twice of what is there, whatever the document claims.
        let more = members.len().max(FIRST).min(expected.saturating_sub(members.len())).max(1);
        let bytes = more * size_of::<T>();
        self.has_room(bytes)?;
        self.pending += bytes;
        members.reserve_exact(more);
        Ok(())
    }

    pub(crate) fn own(&mut self, bytes: &[u8]) -> Result<Text, Excess> {
        self.has_room(bytes.len())?;
        Ok(self.tree.own(bytes))
    }

    pub(crate) fn array(&mut self, items: Vec<Slot>) -> Result<Slot, Excess> {
        self.pending = self.pending.saturating_sub(items.capacity() * size_of::<Slot>());
        let node = self.tree.add(Node::Array(items));
        self.taken(node)
    }

    pub(crate) fn object(&mut self, entries: Vec<Entry>) -> Result<Slot, Excess> {
        self.pending = self.pending.saturating_sub(entries.capacity() * size_of::<Entry>());
        let node = self.tree.add_object(entries);
        self.taken(node)
    }

    /// The limit that has made it fail, if one has.
    pub(crate) fn excess(&self) -> Option<Excess> {
        self.excess.get()
    }

    pub(crate) fn finish(mut self, root: Slot) -> Result<Tree, Excess> {
        let root = match root {
            Slot::Node(node) => node,
            single => self.tree.add(Node::Single(single)),
        };
        self.has_room(0)?;
        self.tree.set_root(root);
        Ok(self.tree)
    }

    fn taken(&self, node: NodeId) -> Result<Slot, Excess> {
        self.has_room(0)?;
        Ok(Slot::Node(node))
    }

    #[inline]
    fn has_room(&self, bytes: usize) -> Result<(), Excess> {
        let is_fine = (self.tree.bytes() + self.pending).saturating_add(bytes) <= self.limits.bytes;
        if is_fine { Ok(()) } else { Err(self.exceeded(Excess::Bytes(self.limits.bytes))) }
    }

    #[cold]
    fn exceeded(&self, excess: Excess) -> Excess {
        self.excess.set(Some(excess));
        excess
    }
}

/// Room of a container that is not known to have fewer members.
const FIRST: usize = 4;
