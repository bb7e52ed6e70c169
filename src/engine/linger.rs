//! How long a thread looks for more before it sleeps: a little while after it had something to do, and not at all else.

use std::time::{Duration, Instant};

/// Looks for work instead of sleeping, after there was some.
pub(crate) struct Linger {
    /// How long at most; zero is never.
    spin: Duration,
    /// There was work when it was looked for last.
    busy: bool,
}

impl Linger {
    /// Looks for `spin` at most.
    pub(crate) fn new(spin: Duration) -> Linger {
        Linger { spin, busy: false }
    }

    /// To be called when there was work.
    pub(crate) fn had_work(&mut self) {
        self.busy = true;
    }

    /// To be called before the thread sleeps: `look` tells whether there is work again. Looks only once after work: a thread that
    /// found nothing sleeps, and is idle until there is some. True: there is.
    pub(crate) fn look(&mut self, look: impl FnMut() -> bool) -> bool {
        if self.spin.is_zero() {
            return false;
        }
        let began = Instant::now();
        self.look_by(look, || began.elapsed())
    }

    fn look_by(&mut self, mut look: impl FnMut() -> bool, passed: impl Fn() -> Duration) -> bool {
        if !std::mem::take(&mut self.busy) || self.spin.is_zero() {
            return false;
        }
        loop {
            if look() {
                return true;
            }
            if passed() >= self.spin {
                return false;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock that goes on by a microsecond with every look at it.
    fn clock() -> impl Fn() -> Duration {
        let now = Cell::new(0);
        move || Duration::from_micros(now.replace(now.get() + 1))
    }

    /// How often it looks if it finds nothing.
    fn looks(linger: &mut Linger) -> u32 {
        let mut looks = 0;
        let found = linger.look_by(
            || {
                looks += 1;
                false
            },
            clock(),
        );
        assert!(!found);
        looks
    }

    #[test]
    fn who_had_work_looks_once_for_its_time_and_who_had_none_not_at_all() {
        let mut linger = Linger::new(Duration::from_micros(20));
        assert_eq!(looks(&mut linger), 0);
        linger.had_work();
        assert_eq!(looks(&mut linger), 21);
        assert_eq!(looks(&mut linger), 0, "it sleeps, idle as it is");
        linger.had_work();
        assert_eq!(looks(&mut linger), 21);
    }

    #[test]
    fn who_finds_work_stops_looking() {
        let mut linger = Linger::new(Duration::from_millis(1));
        linger.had_work();
        let mut looks = 0;
        let mut third = || {
            looks += 1;
            looks == 3
        };
        assert!(linger.look_by(&mut third, clock()));
        assert_eq!(looks, 3);
    }

    #[test]
    fn nobody_looks_for_no_time() {
        let mut linger = Linger::new(Duration::ZERO);
        linger.had_work();
        assert_eq!(looks(&mut linger), 0);
    }
}
