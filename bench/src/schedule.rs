//! When each message of a paced run is due: a fixed timetable that does not wait for the server.

/// The timetable. Message `m` of connection `c` is the message number `m * connections + c` of the run and is due
/// that many intervals after the start, whatever became of those before it; so a latency that is counted from the
/// due time holds the time that a message had to wait for a slow server (no coordinated omission).
///
/// All times are nanoseconds on the run's own clock.
#[derive(Debug, Clone)]
pub struct Schedule {
    connections: u64,
    /// Nanoseconds between two messages of the run. A double counts to 2^53 without a gap: 104 days.
    interval: f64,
    start: u64,
    end: u64,
    /// The first message of the run that was not announced by `take` yet.
    next: u64,
}

impl Schedule {
    /// `rate` messages per second over all connections, the first due at `start`, none due at `end` or later.
    /// `rate` and `connections` are at least 1.
    pub fn new(rate: u64, connections: u32, start: u64, end: u64) -> Schedule {
        let interval = 1e9 / rate as f64;
        Schedule { connections: u64::from(connections), interval, start, end, next: 0 }
    }

    /// When a message is due.
    #[inline]
    pub fn due(&self, connection: u32, message: u64) -> u64 {
        self.nth(message * self.connections + u64::from(connection))
    }

    /// Whether that message may be sent at `now`.
    #[inline]
    pub fn may_send(&self, connection: u32, message: u64, now: u64) -> bool {
        let due = self.due(connection, message);
        due <= now && due < self.end
    }

    /// The connection of the next message that has become due, once for each message.
    #[inline]
    pub fn take(&mut self, now: u64) -> Option<u32> {
        let due = self.nth(self.next);
        if due > now || due >= self.end {
            return None;
        }
        let connection = self.next % self.connections;
        self.next += 1;
        u32::try_from(connection).ok()
    }

    /// When `take` has something next, if ever.
    pub fn next_due(&self) -> Option<u64> {
        Some(self.nth(self.next)).filter(|due| *due < self.end)
    }

    fn nth(&self, index: u64) -> u64 {
        self.start + (index as f64 * self.interval) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn messages_go_round_the_connections_at_the_rate() {
        let mut schedule = Schedule::new(1000, 3, 5 * MS, 10 * MS);
        assert_eq!(schedule.take(5 * MS - 1), None);
        assert_eq!(schedule.next_due(), Some(5 * MS));
        assert_eq!(schedule.take(5 * MS), Some(0));
        assert_eq!(schedule.take(5 * MS), None);
        assert_eq!(schedule.next_due(), Some(6 * MS));
        assert_eq!([schedule.take(8 * MS), schedule.take(8 * MS)], [Some(1), Some(2)]);
        assert_eq!([schedule.take(8 * MS), schedule.take(8 * MS)], [Some(0), None]);
        assert_eq!(schedule.take(100 * MS), Some(1));
        assert_eq!(schedule.take(100 * MS), None, "nothing is due at the end or later");
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn the_due_time_does_not_depend_on_when_it_is_asked() {
        let mut late = Schedule::new(1000, 2, 0, 1000 * MS);
        while late.take(500 * MS).is_some() {}
        assert_eq!(late.due(1, 3), 7 * MS);
        assert!(late.may_send(1, 3, 7 * MS));
        assert!(!late.may_send(1, 3, 7 * MS - 1));
        assert!(!late.may_send(0, 500, u64::MAX), "due at the end");
    }

    #[test]
    fn rates_that_do_not_divide_a_second_do_not_drift() {
        let schedule = Schedule::new(7, 1, 0, u64::MAX);
        assert_eq!(schedule.due(0, 7 * 86_400), 86_400 * 1_000 * MS);
    }
}
