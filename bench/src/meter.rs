//! Which echoes count, and how long each took.

use hdrhistogram::Histogram;

/// Longest latency that is told apart, in nanoseconds: one minute.
const LONGEST: u64 = 60_000_000_000;

/// How the window of measurement decides which latencies belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// An echo belongs to the window in which it arrives.
    ClosedLoop,
    /// An echo belongs to the window in which its message was due, however late it arrives.
    Scheduled,
}

/// Counts echoes and their latencies inside of one window. All times are nanoseconds on the run's own clock.
#[derive(Debug)]
pub struct Meter {
    pace: Pace,
    window: Window,
    arrived: u64,
    latency: Histogram<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Ahead,
    Open { from: u64 },
    Shut { from: u64, to: u64 },
}

/// Latencies in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Echoes that were timed.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p99_9: u64,
    /// The longest one.
    pub max: u64,
    /// The average.
    pub mean: f64,
}

impl Meter {
    /// A meter whose window is still ahead.
    pub fn new(pace: Pace) -> Meter {
        #[expect(clippy::expect_used, reason = "constant bounds that the library accepts")]
        let latency = Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds of the latency histogram");
        Meter { pace, window: Window::Ahead, arrived: 0, latency }
    }

    /// The warm-up is over.
    pub fn open(&mut self, now: u64) {
        self.window = Window::Open { from: now };
    }

    /// The measurement is over; latencies of messages that were due before may still come in.
    pub fn shut(&mut self, now: u64) {
        if let Window::Open { from } = self.window {
            self.window = Window::Shut { from, to: now };
        }
    }

    /// An echo arrived at `now`; its message was sent (closed loop) or due (scheduled) at `since`.
    #[inline]
    pub fn echo(&mut self, now: u64, since: u64) {
        let belongs = match (self.window, self.pace) {
            (Window::Ahead, _) => return,
            (Window::Open { .. }, Pace::ClosedLoop) => true,
            (Window::Shut { .. }, Pace::ClosedLoop) => false,
            (Window::Open { from }, Pace::Scheduled) => since >= from,
            (Window::Shut { from, to }, Pace::Scheduled) => (from..to).contains(&since),
        };
        self.arrived += u64::from(matches!(self.window, Window::Open { .. }));
        if belongs {
            self.latency.saturating_record(now.saturating_sub(since));
        }
    }

    /// Echoes that arrived while the window was open.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Length of the window in nanoseconds; 0 before it is shut.
    pub fn length(&self) -> u64 {
        match self.window {
            Window::Shut { from, to } => to - from,
            Window::Ahead | Window::Open { .. } => 0,
        }
    }

    /// The latencies so far.
    pub fn latency(&self) -> Latency {
        Latency {
            count: self.latency.len(),
            p50: self.latency.value_at_quantile(0.5),
            p99: self.latency.value_at_quantile(0.99),
            p99_9: self.latency.value_at_quantile(0.999),
            max: self.latency.max(),
            mean: self.latency.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_counts_what_arrives_in_the_window() {
        let mut meter = Meter::new(Pace::ClosedLoop);
        meter.echo(50, 0);
        meter.open(100);
        meter.echo(110, 90);
        meter.echo(120, 110);
        meter.shut(200);
        meter.echo(210, 190);
        assert_eq!((meter.arrived(), meter.length()), (2, 100));
        let latency = meter.latency();
        assert_eq!((latency.count, latency.p50, latency.max), (2, 10, 20));
    }

    #[test]
    fn a_schedule_counts_what_was_due_in_the_window_however_late_it_comes() {
        let mut meter = Meter::new(Pace::Scheduled);
        meter.open(100);
        meter.echo(110, 90);
        meter.echo(120, 110);
        meter.shut(200);
        meter.echo(1150, 150);
        meter.echo(1200, 200);
        assert_eq!(meter.arrived(), 2, "one from the warm-up, one of its own");
        let latency = meter.latency();
        assert_eq!((latency.count, latency.p50), (2, 10));
        assert!((999..=1001).contains(&latency.max), "{latency:?}");
    }

    /// A server that stands still for a second while 1000 messages are due: half of them waited half a second or
    /// more. Counted from the sending, 999 of them would look fast.
    #[test]
    fn a_stall_is_seen_by_every_message_that_was_due_in_it() {
        const MS: u64 = 1_000_000;
        let mut schedule = crate::schedule::Schedule::new(1000, 1, 0, 2000 * MS);
        let mut meter = Meter::new(Pace::Scheduled);
        meter.open(0);
        let mut message = 0;
        // Stands still in [0, 1000), then answers everything at once, and from then on in 1 ms.
        while schedule.take(1000 * MS - 1).is_some() {
            meter.echo(1000 * MS, schedule.due(0, message));
            message += 1;
        }
        while schedule.take(2000 * MS).is_some() {
            meter.echo(schedule.due(0, message) + MS, schedule.due(0, message));
            message += 1;
        }
        meter.shut(2000 * MS);
        let latency = meter.latency();
        assert_eq!(latency.count, 2000);
        let near = |value: u64, ms: u64| value.abs_diff(ms * MS) <= 2 * MS;
        assert!(near(latency.p99, 980) && near(latency.max, 1000), "{latency:?}");
        assert!((latency.mean / 1e6 - 250.75).abs() < 2.0, "{latency:?}");
    }
}
