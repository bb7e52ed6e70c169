//! Generational slots: a key that outlives its value finds nothing, never another value.

use crate::sys::prefetch::prefetch;

/// Slots per chunk. Chunks never move, so growing copies nothing and an old connection keeps its address.
pub(crate) const CHUNK: usize = 256;

/// The largest generation: 21 bits of a connection's number.
pub(crate) const MAX_GENERATION: u32 = (1 << 21) - 1;

/// The largest number of slots: 24 bits of a connection's number.
pub(crate) const MAX_SLOTS: usize = 1 << 24;

/// The generation of a slot whose generations are used up; no key has it.
const RETIRED: u32 = 0;

/// Where a value lies, and which of the values that lay there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    /// From 1 to [`MAX_GENERATION`].
    pub(crate) generation: u32,
}

/// Values in slots that are used again.
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// Slots of chunks that are awake and have no value, the last freed first: its memory is the warmest.
    free: Vec<u32>,
    /// The chunks that rest.
    resting: Vec<u32>,
    len: usize,
}

/// Slots side by side.
enum Chunk<T> {
    Awake {
        entries: Box<[Entry<T>]>,
        len: usize,
    },
    /// Without values. What is left are the generations of its slots, so that old keys still find nothing.
    Resting(Box<[u32]>),
}

struct Entry<T> {
    /// Of the value in the slot, or of the next one when the slot is empty; or [`RETIRED`].
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// Bytes that a value takes.
    #[cfg(test)]
    pub(crate) const SLOT: usize = size_of::<Entry<T>>();

    pub(crate) fn new() -> Slab<T> {
        Slab { chunks: Vec::new(), free: Vec::new(), resting: Vec::new(), len: 0 }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a value in, or gives it back when all slots are taken.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        while self.free.is_empty() {
            if !self.wake_chunk() {
                return Err(value);
            }
        }
        let slot = self.free.pop().map_or(0, |slot| slot as usize);
        let Chunk::Awake { entries, len } = &mut self.chunks[slot / CHUNK] else {
            unreachable!("free slots are those of chunks that are awake");
        };
        let entry = &mut entries[slot % CHUNK];
        entry.value = Some(value);
        *len += 1;
        self.len += 1;
        Ok(Key { slot: slot as u32, generation: entry.generation })
    }

    /// The value of `key`, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let Chunk::Awake { entries, .. } = self.chunks.get_mut(key.slot as usize / CHUNK)? else {
            return None;
        };
        let entry = &mut entries[key.slot as usize % CHUNK];
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// The value of `key`, if it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let Chunk::Awake { entries, .. } = self.chunks.get(key.slot as usize / CHUNK)? else { return None };
        let entry = &entries[key.slot as usize % CHUNK];
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    /// Lets the slot of `key` be loaded, which will be asked for soon. The key may be invented.
    #[inline]
    pub(crate) fn prefetch(&self, key: Key) {
        if let Some(Chunk::Awake { entries, .. }) = self.chunks.get(key.slot as usize / CHUNK) {
            prefetch(&entries[key.slot as usize % CHUNK]);
        }
    }

    /// Takes the value of `key` out. A slot whose generations are used up is not used again, so that no key ever means
    /// two values.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let chunk = self.chunks.get_mut(key.slot as usize / CHUNK)?;
        let Chunk::Awake { entries, len } = chunk else { return None };
        let entry = &mut entries[key.slot as usize % CHUNK];
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        *len -= 1;
        self.len -= 1;
        if entry.generation < MAX_GENERATION {
            entry.generation += 1;
            self.free.push(key.slot);
        } else {
            entry.generation = RETIRED;
        }
        Some(value)
    }

    /// Gives back the memory of chunks without values, but for 4 bytes per slot, and tells their numbers: chunk `n` has the
    /// [`CHUNK`] slots from `n * CHUNK` on. From now on the lowest slots are taken first, so that others become empty.
    pub(crate) fn rest(&mut self) -> Vec<usize> {
        let mut rested = Vec::new();
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            let Chunk::Awake { entries, len: 0 } = chunk else { continue };
            *chunk = Chunk::Resting(entries.iter().map(|entry| entry.generation).collect());
            rested.push(number);
        }
        let chunks = &self.chunks;
        self.free.retain(|slot| matches!(chunks[*slot as usize / CHUNK], Chunk::Awake { .. }));
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        self.free.shrink_to_fit();
        self.resting.extend(rested.iter().map(|number| *number as u32));
        self.resting.sort_unstable_by(|a, b| b.cmp(a));
        rested
    }

    /// Makes room in a chunk that rests, or in a new one. False: there are no more.
    fn wake_chunk(&mut self) -> bool {
        let number = match self.resting.pop() {
            Some(number) => number as usize,
            None if self.chunks.len() * CHUNK == MAX_SLOTS => return false,
            None => {
                self.chunks.push(Chunk::Resting([1; CHUNK].into()));
                self.chunks.len() - 1
            }
        };
        if let Chunk::Resting(generations) = &self.chunks[number] {
            let usable = (0..CHUNK).rev().filter(|at| generations[*at] != RETIRED);
            self.free.extend(usable.map(|at| (number * CHUNK + at) as u32));
            let entry = |generation: &u32| Entry { generation: *generation, value: None };
            self.chunks[number] = Chunk::Awake { entries: generations.iter().map(entry).collect(), len: 0 };
        }
        true
    }

    /// The keys of all values, in slot order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::with_capacity(self.len);
        for (number, chunk) in self.chunks.iter().enumerate() {
            let Chunk::Awake { entries, .. } = chunk else { continue };
            let taken = (number * CHUNK..).zip(entries).filter(|(_, entry)| entry.value.is_some());
            keys.extend(taken.map(|(slot, entry)| Key { slot: slot as u32, generation: entry.generation }));
        }
        keys
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
    fn chunks_that_have_rested_are_used_again_and_old_keys_find_nothing() {
        let mut slab = Slab::new();
        let old: Vec<Key> = (0..3 * CHUNK).map(|n| slab.insert(n).unwrap()).collect();
        for key in &old {
            if key.slot as usize != CHUNK + 7 {
                slab.remove(*key).unwrap();
            }
        }
        assert_eq!(slab.rest(), [0, 2], "the one between has a value");
        assert_eq!(slab.rest(), [0usize; 0]);
        assert_eq!(slab.keys(), [old[CHUNK + 7]]);
        assert!(old.iter().filter(|key| slab.get(**key).is_some()).eq([&old[CHUNK + 7]]));
        assert!(slab.remove(old[0]).is_none() && slab.get_mut(old[0]).is_none());
        let new: Vec<Key> = (1..3 * CHUNK).map(|n| slab.insert(n).unwrap()).collect();
        let slots: Vec<usize> = new.iter().map(|key| key.slot as usize).collect();
        let lowest_first = (CHUNK..2 * CHUNK).filter(|slot| *slot != CHUNK + 7);
        assert!(slots.into_iter().eq(lowest_first.chain(0..CHUNK).chain(2 * CHUNK..3 * CHUNK)));
        assert!(new.iter().all(|key| key.generation == 2));
        assert_eq!(slab.insert(0).unwrap(), Key { slot: 3 * CHUNK as u32, generation: 1 });
    }

    #[test]
    fn a_retired_slot_stays_so_when_its_chunk_has_rested() {
        let mut slab = Slab::new();
        for _ in 1..=MAX_GENERATION {
            let key = slab.insert(()).unwrap();
            slab.remove(key).unwrap();
        }
        assert_eq!(slab.rest(), [0]);
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
