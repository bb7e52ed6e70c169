//! How eagerly Lua's collector works, by the size of the heap.

use std::ffi::c_int;

use crate::setup::Setup;

/// How eagerly the collector is to work where there is room, in LuaJIT's terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    /// Percentage of the living heap at which the next collection starts.
    pub(crate) pause: c_int,
    /// Percentage of what is allocated meanwhile that a collection handles.
    pub(crate) speed: c_int,
}

impl Pace {
    /// Near the limit: no pause between collections, and shorter ones.
    pub(crate) const CROWDED: Pace = Pace { pause: 100, speed: 400 };

    /// What the service asks for, or else what LuaJIT does by itself: the heap may double. To let small heaps grow to more
    /// than that saves marking, and costs more by what is not in the caches any more when it is swept.
    pub(crate) fn of(setup: &Setup<'_>) -> Pace {
        Pace { pause: setup.pause.unwrap_or(200).into(), speed: setup.stepmul.unwrap_or(200).into() }
    }
}

/// When a thread that has nothing to do collects: the heap has grown so much since the last collection that the next one is
/// near, and better now than while somebody waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Idle {
    /// KiB that were alive after the last collection.
    live: c_int,
    collecting: bool,
}

impl Idle {
    /// Whether there is something to collect in a heap of `used` KiB: three quarters of the way to where a collection starts by
    /// itself.
    pub(crate) fn wants(&mut self, used: c_int, pace: Pace) -> bool {
        if used < self.live || self.live == 0 {
            self.live = used;
        }
        let growth = i64::from(self.live) * i64::from((pace.pause - 100).max(40)) / 100;
        self.collecting |= i64::from(used - self.live) * 4 >= growth * 3 && growth > 0;
        self.collecting
    }

    /// A step was made. `finished`: a collection is over, and `used` KiB are left.
    pub(crate) fn stepped(&mut self, finished: bool, used: c_int) {
        if finished {
            *self = Idle { live: used, collecting: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_used_when_a_collection_is_near_and_until_it_is_over() {
        let pace = Pace { pause: 200, speed: 200 };
        let mut idle = Idle::default();
        assert!(!idle.wants(1000, pace), "the first look");
        assert!(!idle.wants(1700, pace));
        assert!(idle.wants(1750, pace));
        idle.stepped(false, 1700);
        assert!(idle.wants(1200, pace), "it goes on");
        idle.stepped(true, 1100);
        assert!(!idle.wants(1100, pace));
        assert!(!idle.wants(900, pace), "collected by itself meanwhile");
        assert!(idle.wants(1600, pace));
    }

    #[test]
    fn without_a_pause_idle_time_is_not_used_for_every_byte() {
        let pace = Pace { pause: 100, speed: 200 };
        let mut idle = Idle::default();
        assert!(!idle.wants(1000, pace));
        assert!(!idle.wants(1200, pace));
        assert!(idle.wants(1300, pace));
    }
}
