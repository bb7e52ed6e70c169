//! Generational slots: a key that outlives its value finds nothing, never another value.

/// Slots per chunk. Chunks never move, so growing copies nothing and an old connection keeps its address.
const CHUNK: usize = 256;

/// The largest generation: 21 bits of a connection's number.
pub(crate) const MAX_GENERATION: u32 = (1 << 21) - 1;

/// The largest number of slots: 24 bits of a connection's number.
pub(crate) const MAX_SLOTS: usize = 1 << 24;

/// Where a value lies, and which of the values that lay there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    /// From 1 to [`MAX_GENERATION`].
    pub(crate) generation: u32,
}

/// Values in slots that are used again.
pub(crate) struct Slab<T> {
    chunks: Vec<Box<[Entry<T>]>>,
    /// Slots that may be used again, the last freed first: its memory is the warmest.
    free: Vec<u32>,
    /// Slots handed out so far.
    used: usize,
    len: usize,
}

struct Entry<T> {
    /// Of the value in the slot, or of the next one when the slot is empty.
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { chunks: Vec::new(), free: Vec::new(), used: 0, len: 0 }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a value in, or gives it back when all slots are taken.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        let slot = match self.free.pop() {
            Some(slot) => slot as usize,
            None if self.used == MAX_SLOTS => return Err(value),
            None => {
                if self.used == self.chunks.len() * CHUNK {
                    self.chunks.push((0..CHUNK).map(|_| Entry { generation: 1, value: None }).collect());
                }
                self.used += 1;
                self.used - 1
            }
        };
        let entry = &mut self.chunks[slot / CHUNK][slot % CHUNK];
        entry.value = Some(value);
        self.len += 1;
        Ok(Key { slot: slot as u32, generation: entry.generation })
    }

    /// The value of `key`, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.chunks.get_mut(key.slot as usize / CHUNK)?.get_mut(key.slot as usize % CHUNK)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// The value of `key`, if it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let entry = self.chunks.get(key.slot as usize / CHUNK)?.get(key.slot as usize % CHUNK)?;
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    /// Takes the value of `key` out. A slot whose generations are used up is not used again, so that no key ever means
    /// two values.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.chunks.get_mut(key.slot as usize / CHUNK)?.get_mut(key.slot as usize % CHUNK)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.len -= 1;
        if entry.generation < MAX_GENERATION {
            entry.generation += 1;
            self.free.push(key.slot);
        }
        Some(value)
    }

    /// The keys of all values, in slot order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter()).enumerate();
        entries
            .filter(|(_, entry)| entry.value.is_some())
            .map(|(slot, entry)| Key { slot: slot as u32, generation: entry.generation })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new();
        let a = slab.insert("a").unwrap();
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b").unwrap();
        assert_eq!(a.slot, b.slot);
        assert!(slab.get_mut(a).is_none() && slab.get(a).is_none());
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get_mut(b), Some(&mut "b"));
    }

    #[test]
    fn an_invented_key_finds_nothing() {
        let mut slab: Slab<()> = Slab::new();
        assert!(slab.get_mut(Key { slot: 9_999_999, generation: 1 }).is_none());
        slab.insert(()).unwrap();
        assert!(slab.get_mut(Key { slot: 0, generation: 2 }).is_none());
        assert!(slab.get_mut(Key { slot: 1, generation: 1 }).is_none());
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut slab = Slab::new();
        for generation in 1..=MAX_GENERATION {
            let key = slab.insert(()).unwrap();
            assert_eq!(key, Key { slot: 0, generation });
            slab.remove(key);
        }
        assert_eq!(slab.insert(()).unwrap(), Key { slot: 1, generation: 1 });
    }

    #[test]
    fn many_values_are_found_again() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..1000).map(|n| slab.insert(n).unwrap()).collect();
        assert_eq!(slab.len(), 1000);
        assert_eq!(slab.keys(), keys);
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(slab.get(*key), Some(&n));
        }
    }
}
