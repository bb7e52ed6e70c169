//! Changes of a tree: setting and erasing members, and giving back what nobody needs any more.

use alloc::vec::Vec;
use core::mem;

use super::{Entry, Node, NodeId, Slot, Tree, Value, WrongKind};

impl Tree {
    /// Sets the member of an object that has this key. Null, and an array without members, become an object.
    ///
    /// Returns the container that was there before, which is now part of nothing and the caller's to [`Tree::free`].
    ///
    /// # Errors
    /// The node is anything else.
    pub fn set_key(
        &mut self,
        node: NodeId,
        key: &[u8],
        value: Value<'_>,
    ) -> Result<Option<NodeId>, WrongKind> {
        self.gather_texts();
        self.change_kind(node, Node::Object(Vec::new()));
        let Node::Object(entries) = &self.nodes[node.0 as usize] else { return Err(WrongKind) };
        let place = self.search(entries, key);
        let slot = self.keep(value);
        match place {
            Ok(at) => {
                let Node::Object(entries) = &mut self.nodes[node.0 as usize] else { return Err(WrongKind) };
                let old = mem::replace(&mut entries[at].1, slot);
                Ok(self.forget(old))
            }
            Err(at) => {
                let key = self.own(key);
                let Node::Object(entries) = &mut self.nodes[node.0 as usize] else { return Err(WrongKind) };
                let before = entries.capacity();
                entries.insert(at, (key, slot));
                self.heap += (entries.capacity() - before) * size_of::<Entry>();
                Ok(None)
            }
        }
    }

    /// Sets the member of an array that has this index, from 0. What is missing up to there becomes null: the caller has
    /// looked whether that is too much. Null becomes an array.
    ///
    /// Returns the container that was there before, as [`Tree::set_key`] does.
    ///
    /// # Errors
    /// The node is anything else.
    pub fn set_at(
        &mut self,
        node: NodeId,
        index: usize,
        value: Value<'_>,
    ) -> Result<Option<NodeId>, WrongKind> {
        self.gather_texts();
        self.change_kind(node, Node::Array(Vec::new()));
        let Node::Array(_) = &self.nodes[node.0 as usize] else { return Err(WrongKind) };
        let slot = self.keep(value);
        let Node::Array(items) = &mut self.nodes[node.0 as usize] else { return Err(WrongKind) };
        if let Some(place) = items.get_mut(index) {
            let old = mem::replace(place, slot);
            return Ok(self.forget(old));
        }
        let before = items.capacity();
        items.resize(index, Slot::Null);
        items.push(slot);
        self.heap += (items.capacity() - before) * size_of::<Slot>();
        Ok(None)
    }

    /// Adds a member to the end of an array.
    ///
    /// # Errors
    /// The node is neither an array nor null.
    pub fn push(&mut self, node: NodeId, value: Value<'_>) -> Result<(), WrongKind> {
        self.set_at(node, self.len(node), value).map(|_| ())
    }

    /// Adds a member to an object, wherever its key belongs and whether it is there or not. Many are added so; until
    /// [`Tree::sort`] the object is not to be used in any other way, but to be freed.
    ///
    /// # Errors
    /// The node is no object.
    pub fn add_unsorted(&mut self, node: NodeId, key: &[u8], value: Value<'_>) -> Result<(), WrongKind> {
        let Node::Object(_) = &self.nodes[node.0 as usize] else { return Err(WrongKind) };
        let entry = (self.own(key), self.keep(value));
        let Node::Object(entries) = &mut self.nodes[node.0 as usize] else { return Err(WrongKind) };
        let before = entries.capacity();
        entries.push(entry);
        self.heap += (entries.capacity() - before) * size_of::<Entry>();
        Ok(())
    }

    /// Brings the members of an object in order after [`Tree::add_unsorted`]. Of those with equal keys the last wins.
    pub fn sort(&mut self, node: NodeId) {
        if let Node::Object(entries) = &mut self.nodes[node.0 as usize] {
            let mut entries = mem::take(entries);
            self.in_order(&mut entries);
            self.nodes[node.0 as usize] = Node::Object(entries);
        }
    }

    /// Takes out the member that has this key. `None`: there is none. The container that it was is part of nothing from
    /// now on, and the caller's to [`Tree::free`].
    pub fn erase_key(&mut self, node: NodeId, key: &[u8]) -> Option<Option<NodeId>> {
        let Node::Object(entries) = &self.nodes[node.0 as usize] else { return None };
        let at = self.find(entries, key)?;
        let Node::Object(entries) = &mut self.nodes[node.0 as usize] else { return None };
        let before = entries.capacity();
        let (key, slot) = entries.remove(at);
        if entries.len() < before / 4 {
            entries.shrink_to(entries.len() * 2);
        }
        self.heap -= (before - entries.capacity()) * size_of::<Entry>();
        self.texts.forget(key);
        Some(self.forget(slot))
    }

    /// Takes out the member that has this index, from 0; as [`Tree::erase_key`].
    pub fn erase_at(&mut self, node: NodeId, index: usize) -> Option<Option<NodeId>> {
        let Node::Array(items) = &mut self.nodes[node.0 as usize] else { return None };
        if index >= items.len() {
            return None;
        }
        let before = items.capacity();
        let slot = items.remove(index);
        if items.len() < before / 4 {
            items.shrink_to(items.len() * 2);
        }
        self.heap -= (before - items.capacity()) * size_of::<Slot>();
        Some(self.forget(slot))
    }

    /// Gives back a node that is part of nothing, with all that it holds. What `keep` is true for stays, with all that
    /// that holds, and is part of nothing from now on. Costs as much as it gives back.
    pub fn free(&mut self, node: NodeId, mut keep: impl FnMut(NodeId) -> bool) {
        let mut rest = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next {
            if !keep(node) {
                self.free_one(node, &mut rest);
            }
            next = rest.pop();
        }
    }

    fn free_one(&mut self, node: NodeId, rest: &mut Vec<NodeId>) {
        let place = &mut self.nodes[node.0 as usize];
        if let Node::Free(_) = place {
            return;
        }
        let old = mem::replace(place, Node::Free(self.free));
        self.free = node.0;
        match old {
            Node::Array(items) => {
                self.heap -= items.capacity() * size_of::<Slot>();
                rest.extend(items.into_iter().filter_map(|slot| self.forget(slot)));
            }
            Node::Object(entries) => {
                self.heap -= entries.capacity() * size_of::<Entry>();
                for (key, slot) in entries {
                    self.texts.forget(key);
                    rest.extend(self.forget(slot));
                }
            }
            Node::Single(slot) => rest.extend(self.forget(slot)),
            Node::Free(_) => {}
        }
    }

    /// Null, and an array without members, become what the first member makes of them.
    fn change_kind(&mut self, node: NodeId, kind: Node) {
        let place = &mut self.nodes[node.0 as usize];
        match (&*place, &kind) {
            (Node::Single(Slot::Null), _) => *place = kind,
            (Node::Array(items), Node::Object(_)) if items.is_empty() => {
                self.heap -= items.capacity() * size_of::<Slot>();
                *place = kind;
            }
            _ => {}
        }
    }

    /// Gives back the bytes of texts that are gone. What is on its way into the tree must be part of a node by now.
    #[inline]
    fn gather_texts(&mut self) {
        if self.texts.is_wasteful(self.heap) {
            self.gather_all_texts();
        }
    }

    #[cold]
    fn gather_all_texts(&mut self) {
        let mut gather = self.texts.gather();
        for node in &mut self.nodes {
            match node {
                Node::Array(items) => {
                    for slot in items {
                        if let Slot::Text(text) = slot {
                            gather(text);
                        }
                    }
                }
                Node::Object(entries) => {
                    for (key, slot) in entries {
                        gather(key);
                        if let Slot::Text(text) = slot {
                            gather(text);
                        }
                    }
                }
                Node::Single(Slot::Text(text)) => gather(text),
                Node::Single(_) | Node::Free(_) => {}
            }
        }
    }
}
