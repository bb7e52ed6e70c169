//! The values that an instance holds: shared with other threads without a copy, copied when somebody writes, and counted.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use lapps_parser::value::{NodeId, Tree};

/// A value as it passes between threads. Taking it copies nothing; who writes first to what is shared copies it then.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The document of which it is a part.
    pub tree: Arc<Tree>,
    /// Where in it.
    pub root: NodeId,
}

impl From<Tree> for Shared {
    fn from(tree: Tree) -> Shared {
        let root = tree.root();
        Shared { tree: Arc::new(tree), root }
    }
}

/// What the documents of one instance take.
#[derive(Debug)]
pub(crate) struct Account {
    /// Bytes of all documents.
    held: Cell<usize>,
    /// Bytes that were added since [`Account::take_grown`].
    grown: Cell<usize>,
    /// What `held` may be before the next collection begins.
    threshold: Cell<usize>,
    /// Bytes that documents and Lua's heap may take together.
    limit: Cell<usize>,
    /// A buffer for the next document that is encoded.
    spare: RefCell<Vec<u8>>,
    /// What is being copied by Lua, which may call finalizers before it does.
    lent: RefCell<Vec<Lent>>,
}

/// Bytes that stay where they are.
#[derive(Debug)]
enum Lent {
    Tree { _tree: Arc<Tree> },
    Encoded(Vec<u8>),
}

/// One document, as the references of one Lua state see it.
#[derive(Debug)]
pub(crate) struct Document {
    tree: RefCell<Held>,
    pins: RefCell<Pins>,
    /// Where the document begins: this node is part of nothing, and stays.
    root: NodeId,
    /// Bytes that stand on the account for it.
    counted: Cell<usize>,
    account: Rc<Account>,
}

/// A tree is this document's alone until it is shared.
#[derive(Debug)]
enum Held {
    Own(Tree),
    Shared(Arc<Tree>),
}

/// To which nodes, but for the root, there are references.
///
/// A node that is taken out of the tree while there are some is an orphan: it is given back at the first change after the
/// last of them has gone. Not sooner, because that is a finalizer's doing, and those run while Lua copies from the tree.
#[derive(Debug, Default)]
struct Pins {
    /// By node: so many references, and `ORPHAN`.
    few: [u32; FEW],
    /// Those from `FEW` on.
    more: Vec<u32>,
    /// Orphans to which there is no reference any more.
    gone: Vec<NodeId>,
}

/// Documents may always take so much before anything is collected for their sake.
const SMALL: usize = 2 << 20;

/// Without a limit no more than this is taken at once: the texts of one document have 4 GiB.
const MOST: usize = 1 << 31;

/// A buffer that has become greater than this by one document is not kept for the next one.
const KEPT: usize = 1 << 20;

/// So many nodes have most documents at the most.
const FEW: usize = 8;

const ORPHAN: u32 = 1 << 31;

impl Account {
    pub(crate) fn new() -> Account {
        Account {
            held: Cell::new(0),
            grown: Cell::new(0),
            threshold: Cell::new(SMALL),
            limit: Cell::new(usize::MAX),
            spare: RefCell::default(),
            lent: RefCell::default(),
        }
    }

    /// 0 = no limit.
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.set(if bytes == 0 { usize::MAX } else { bytes });
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that may be added beside a Lua heap of this size.
    pub(crate) fn room(&self, heap: usize) -> usize {
        self.limit.get().saturating_sub(heap).saturating_sub(self.held.get()).min(MOST)
    }

    pub(crate) fn grown(&self) -> usize {
        self.grown.get()
    }

    pub(crate) fn take_grown(&self) -> usize {
        self.grown.replace(0)
    }

    /// Whether a collection is to begin, or to go on.
    pub(crate) fn is_due(&self) -> bool {
        self.held.get() >= self.threshold.get()
    }

    /// A collection has ended. The next one begins when there is twice as much as was left by this one.
    pub(crate) fn collected(&self) {
        self.threshold.set((2 * self.held.get()).max(SMALL));
    }

    /// An empty buffer.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.spare.take()
    }

    /// Keeps what was encoded where it is until [`Account::take_back`].
    pub(crate) fn lend(&self, encoded: Vec<u8>) -> usize {
        let mut lent = self.lent.borrow_mut();
        lent.push(Lent::Encoded(encoded));
        lent.len() - 1
    }

    /// Ends what `lend` has begun, and what was begun since and has not come to its end for want of memory.
    pub(crate) fn take_back(&self, number: usize) {
        let mut lent = self.lent.borrow_mut();
        while lent.len() > number {
            if let Some(Lent::Encoded(mut buffer)) = lent.pop()
                && buffer.capacity() <= KEPT
            {
                buffer.clear();
                self.spare.replace(buffer);
            }
        }
    }

    fn count(&self, before: usize, now: usize) {
        self.held.set(self.held.get() + now - before);
        if now > before {
            self.grown.set(self.grown.get() + (now - before));
        }
    }
}

impl Document {
    /// A document that has just been made.
    pub(crate) fn of_tree(tree: Tree, account: Rc<Account>) -> Rc<Document> {
        let (root, bytes) = (tree.root(), tree.bytes());
        Document::with(Held::Own(tree), root, bytes, account)
    }

    pub(crate) fn new(shared: Shared, account: Rc<Account>) -> Rc<Document> {
        let bytes = shared.tree.bytes();
        Document::with(Held::Shared(shared.tree), shared.root, bytes, account)
    }

    fn with(held: Held, root: NodeId, bytes: usize, account: Rc<Account>) -> Rc<Document> {
        let counted = mem::size_of::<Document>() + bytes;
        account.count(0, counted);
        let (tree, counted) = (RefCell::new(held), Cell::new(counted));
        Rc::new(Document { tree, pins: RefCell::default(), root, counted, account })
    }

    #[inline]
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Tree) -> R) -> R {
        match &*self.tree.borrow() {
            Held::Own(tree) => read(tree),
            Held::Shared(tree) => read(tree),
        }
    }

    /// Lets `change` write. What it returns beside its result is a node that it took out.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Tree) -> (R, Option<NodeId>)) -> R {
        let mut held = self.tree.borrow_mut();
        let tree = match &mut *held {
            Held::Own(tree) => tree,
            Held::Shared(tree) => Arc::make_mut(tree),
        };
        let mut pins = self.pins.borrow_mut();
        while let Some(node) = pins.gone.pop() {
            *pins.count(node) = 0;
            tree.free(node, |node| pins.keep(node));
        }
        let (result, taken_out) = change(tree);
        if let Some(node) = taken_out {
            tree.free(node, |node| pins.keep(node));
        }
        let now = mem::size_of::<Document>() + tree.bytes() + pins.bytes();
        self.account.count(self.counted.replace(now), now);
        result
    }

    /// A reference to `node` begins. It may begin in vain: then the node stays as long as the document.
    #[inline]
    pub(crate) fn pin(&self, node: NodeId) {
        if node != self.root {
            *self.pins.borrow_mut().count(node) += 1;
        }
    }

    /// One of them ends.
    #[inline]
    pub(crate) fn unpin(&self, node: NodeId) {
        if node != self.root {
            let mut pins = self.pins.borrow_mut();
            let count = pins.count(node);
            *count -= 1;
            if *count == ORPHAN {
                pins.gone.push(node);
            }
        }
    }

    pub(crate) fn share(&self, node: NodeId) -> Shared {
        Shared { tree: self.shared(), root: node }
    }

    /// Keeps the bytes of the tree where they are until [`Account::take_back`], whoever writes meanwhile.
    pub(crate) fn lend(&self) -> usize {
        let mut lent = self.account.lent.borrow_mut();
        lent.push(Lent::Tree { _tree: self.shared() });
        lent.len() - 1
    }

    fn shared(&self) -> Arc<Tree> {
        let mut held = self.tree.borrow_mut();
        if let Held::Own(tree) = &mut *held {
            let tree = mem::replace(tree, Tree::empty());
            *held = Held::Shared(Arc::new(tree));
        }
        match &*held {
            Held::Shared(tree) => Arc::clone(tree),
            Held::Own(_) => unreachable!("it was shared just now"),
        }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.account.count(self.counted.get(), 0);
    }
}

impl Pins {
    #[inline]
    fn count(&mut self, node: NodeId) -> &mut u32 {
        let index = node.index();
        if index < FEW {
            return &mut self.few[index];
        }
        if self.more.len() <= index - FEW {
            self.more.resize(index - FEW + 1, 0);
        }
        &mut self.more[index - FEW]
    }

    /// Whether there are references to a node that is taken out; it is an orphan then.
    fn keep(&mut self, node: NodeId) -> bool {
        let index = node.index();
        let count = if index < FEW { self.few.get_mut(index) } else { self.more.get_mut(index - FEW) };
        let count = count.filter(|count| **count > 0);
        if let Some(count) = count {
            *count |= ORPHAN;
            true
        } else {
            false
        }
    }

    fn bytes(&self) -> usize {
        self.more.capacity() * mem::size_of::<u32>() + self.gone.capacity() * mem::size_of::<NodeId>()
    }
}

#[cfg(test)]
mod tests {
    use lapps_parser::json;
    use lapps_parser::value::{Limits, Value};

    use super::*;

    fn document(text: &str, account: &Rc<Account>) -> Rc<Document> {
        let tree = json::decode(text.as_bytes(), Limits::default()).unwrap();
        Document::of_tree(tree, Rc::clone(account))
    }

    fn text(document: &Document, node: NodeId) -> String {
        let mut out = Vec::new();
        document.read(|tree| json::encode(tree, node, &mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn child(document: &Document, node: NodeId, key: &str) -> NodeId {
        document.read(|tree| tree.get(node, key.as_bytes()).and_then(|value| value.node())).unwrap()
    }

    fn set(document: &Document, node: NodeId, key: &str, value: i64) {
        document
            .change(|tree| match tree.set_key(node, key.as_bytes(), Value::Int(value)) {
                Ok(old) => (Ok(()), old),
                Err(wrong) => (Err(wrong), None),
            })
            .unwrap();
    }

    #[test]
    fn writing_to_what_is_shared_copies_it() {
        let account = Rc::new(Account::new());
        let one = document(r#"{"a":{"b":1}}"#, &account);
        let a = child(&one, one.root, "a");
        let other = Document::new(one.share(a), Rc::clone(&account));
        set(&one, a, "b", 2);
        assert_eq!(
            (text(&one, one.root), text(&other, other.root)),
            (r#"{"a":{"b":2}}"#.into(), r#"{"b":1}"#.into())
        );
        set(&other, a, "b", 3);
        assert_eq!((text(&one, a), text(&other, a)), (r#"{"b":2}"#.into(), r#"{"b":3}"#.into()));
    }

    #[test]
    fn orphans_live_as_long_as_their_references() {
        let account = Rc::new(Account::new());
        let one = document(r#"{"a":{"b":{"c":{"d":1}}}}"#, &account);
        let a = child(&one, one.root, "a");
        let b = child(&one, a, "b");
        let c = child(&one, b, "c");
        one.pin(a);
        one.pin(c);
        one.pin(c);
        set(&one, one.root, "a", 0);
        assert_eq!(text(&one, a), r#"{"b":{"c":{"d":1}}}"#);
        one.unpin(a);
        set(&one, one.root, "a", 1);
        assert_eq!(text(&one, c), r#"{"d":1}"#);
        assert_eq!(text(&one, a), "null", "nobody refers to it");
        one.unpin(c);
        set(&one, c, "d", 2);
        assert_eq!(text(&one, c), r#"{"d":2}"#);
        one.unpin(c);
        set(&one, one.root, "a", 2);
        assert_eq!(text(&one, c), "null");
        assert_eq!(one.pins.borrow().few, [0; FEW]);
        let before = account.held();
        for _ in 0..1000 {
            let made = one.change(|tree| {
                let made = tree.new_object(0);
                let old = tree.set_key(one.root, b"a", Value::Object(made)).unwrap();
                (made, old)
            });
            one.pin(made);
            set(&one, one.root, "a", 3);
            set(&one, made, "x", 3);
            one.unpin(made);
        }
        assert!(account.held() < before + 3000, "{} {before}", account.held());
    }

    #[test]
    fn the_account_knows_what_there_is() {
        let account = Rc::new(Account::new());
        account.set_limit(100_000);
        let one = document(&format!("[\"{}\"]", "x".repeat(10_000)), &account);
        assert!((10_000..11_000).contains(&account.held()));
        assert_eq!(account.room(50_000), 50_000 - account.held());
        assert_eq!(account.take_grown(), account.held());
        let two = Document::new(one.share(one.root), Rc::clone(&account));
        assert!((20_000..22_000).contains(&account.held()), "each side answers for all of it");
        drop(one);
        drop(two);
        assert_eq!((account.held(), account.room(200_000)), (0, 0));
    }
}
