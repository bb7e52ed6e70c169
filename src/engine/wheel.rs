//! A timer wheel: about one entry per connection, checked late and armed again, so that the message path never touches it.

use super::slab::Key;

/// Milliseconds per tick.
pub(crate) const TICK_MS: u64 = 100;

const SLOTS: usize = 1024;

/// Entries by tick. An entry means "look at this connection then"; whether something is really due is for the owner to
/// say, who puts the entry back for a later tick if not. An entry beyond the horizon (102 s) fires early, at the horizon.
pub(crate) struct Wheel {
    slots: Vec<Vec<Key>>,
    /// One bit per slot that has entries.
    filled: [u64; SLOTS / 64],
    /// The next tick that has not been taken.
    next: u64,
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel { slots: vec![Vec::new(); SLOTS], filled: [0; SLOTS / 64], next: 0 }
    }

    /// Asks for `key` at `tick`, or at the next turn if that has passed. Tells the tick at which it comes.
    pub(crate) fn insert(&mut self, tick: u64, key: Key) -> u64 {
        let tick = tick.clamp(self.next, self.next + SLOTS as u64 - 1);
        let slot = tick as usize % SLOTS;
        self.slots[slot].push(key);
        self.filled[slot / 64] |= 1 << (slot % 64);
        tick
    }

    /// Moves all entries up to and including `now` into `due`.
    pub(crate) fn take(&mut self, now: u64, due: &mut Vec<Key>) {
        // After a long pause one round of the wheel has everything.
        let last = now.min(self.next + SLOTS as u64 - 1);
        while self.next <= last {
            let slot = self.next as usize % SLOTS;
            if self.filled[slot / 64] & (1 << (slot % 64)) != 0 {
                // Taken whole, so that a slot that once was crowded gives its memory back.
                due.append(&mut std::mem::take(&mut self.slots[slot]));
                self.filled[slot / 64] &= !(1 << (slot % 64));
            }
            self.next += 1;
        }
        self.next = self.next.max(now + 1);
    }

    /// The tick of the earliest entry.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let from = self.next as usize % SLOTS;
        let words = self.filled.len();
        for step in 0..=words {
            let word = (from / 64 + step) % words;
            let mut bits = self.filled[word];
            if step == 0 {
                bits &= u64::MAX << (from % 64);
            } else if step == words {
                bits &= !(u64::MAX << (from % 64));
            }
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(self.next + ((slot + SLOTS - from) % SLOTS) as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 1 }
    }

    fn taken(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.take(now, &mut due);
        due.iter().map(|key| key.slot).collect()
    }

    #[test]
    fn entries_come_when_due_and_once() {
        let mut wheel = Wheel::new();
        wheel.insert(5, key(1));
        wheel.insert(7, key(2));
        wheel.insert(5, key(3));
        assert_eq!(wheel.earliest(), Some(5));
        assert_eq!(taken(&mut wheel, 4), [0u32; 0]);
        assert_eq!(taken(&mut wheel, 5), [1, 3]);
        assert_eq!(wheel.earliest(), Some(7));
        assert_eq!(taken(&mut wheel, 100), [2]);
        assert_eq!(wheel.earliest(), None);
    }

    #[test]
    fn an_entry_in_the_past_comes_at_the_next_turn() {
        let mut wheel = Wheel::new();
        assert_eq!(taken(&mut wheel, 50), [0u32; 0]);
        wheel.insert(3, key(1));
        assert_eq!(wheel.earliest(), Some(51));
        assert_eq!(taken(&mut wheel, 51), [1]);
    }

    #[test]
    fn an_entry_beyond_the_horizon_comes_early_rather_than_never() {
        let mut wheel = Wheel::new();
        wheel.insert(1_000_000, key(1));
        assert_eq!(wheel.earliest(), Some(SLOTS as u64 - 1));
        assert_eq!(taken(&mut wheel, SLOTS as u64 - 1), [1]);
    }

    #[test]
    fn a_long_pause_loses_nothing() {
        let mut wheel = Wheel::new();
        taken(&mut wheel, 77);
        for n in 0..SLOTS as u64 {
            wheel.insert(78 + n, key(n as u32));
        }
        assert_eq!(taken(&mut wheel, 1_000_000).len(), SLOTS);
        assert_eq!(wheel.earliest(), None);
        wheel.insert(1_000_002, key(9));
        assert_eq!(wheel.earliest(), Some(1_000_002));
    }

    #[test]
    fn the_earliest_is_found_wherever_the_wheel_stands() {
        for start in [0u64, 1, 63, 64, 1000, 1023, 1024, 5000] {
            for ahead in [0u64, 1, 62, 63, 64, 500, 1022] {
                let mut wheel = Wheel::new();
                taken(&mut wheel, start);
                wheel.insert(start + 1 + ahead, key(1));
                assert_eq!(wheel.earliest(), Some(start + 1 + ahead), "start {start} ahead {ahead}");
            }
        }
    }
}
