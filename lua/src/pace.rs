//! How eagerly Lua's collector works, by the size of the heap.

use std::ffi::c_int;

/// How eagerly the collector works.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(crate) enum Pace {
    /// The heap may grow to five times of what was alive in it.
    Small,
    /// It may double, as LuaJIT has it.
    Normal,
    /// No pause between collections, and shorter ones.
    Crowded,
}

impl Pace {
    /// Up to here a heap is small, in KiB.
    const SMALL: c_int = 4096;

    /// The pace for a heap of `used` KiB that is crowded from `crowded` KiB on.
    pub(crate) fn next(self, used: c_int, crowded: c_int) -> Pace {
        if used >= crowded {
            Pace::Crowded
        } else if used >= Pace::SMALL {
            Pace::Normal
        } else if used < Pace::SMALL / 2 {
            Pace::Small
        } else {
            // Not to and fro at the border.
            if self == Pace::Small { Pace::Small } else { Pace::Normal }
        }
    }

    /// Percentage of the living heap at which the next collection starts.
    pub(crate) fn pause(self) -> c_int {
        if self == Pace::Small { 500 } else { 200 }
    }

    /// Percentage of what is allocated meanwhile that a collection handles.
    pub(crate) fn speed(self) -> c_int {
        if self == Pace::Crowded { 400 } else { 200 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_follows_the_heap() {
        let limit = 160 << 10;
        let mut pace = Pace::Normal;
        let mut seen = Vec::new();
        for used in [300, 4000, 4096, 3000, 2047, 2048, 5000, limit - 1, limit, limit * 2, limit - 1, 100] {
            pace = pace.next(used, limit);
            seen.push(pace);
        }
        use Pace::{Crowded, Normal, Small};
        let expected =
            [Small, Small, Normal, Normal, Small, Small, Normal, Normal, Crowded, Crowded, Normal, Small];
        assert_eq!(seen, expected);
        assert_eq!(Pace::Small.next(1000, 500), Crowded, "a low limit comes first");
    }
}
