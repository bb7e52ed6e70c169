//! The few words by which things are counted apart: labels that no client can add to.

use super::counter::Counter;

/// Statuses that requests are answered with; [`Statuses`] counts others as the last one.
pub(crate) const STATUSES: [(u16, &str); 13] = [
    (101, "101"),
    (200, "200"),
    (400, "400"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (414, "414"),
    (426, "426"),
    (431, "431"),
    (503, "503"),
    (505, "505"),
    (0, "other"),
];

/// Answers by status.
#[derive(Debug, Default)]
pub(crate) struct Statuses(pub(super) [Counter; STATUSES.len()]);

impl Statuses {
    /// Counts an answer.
    pub(crate) fn count(&self, status: u16) {
        let place = STATUSES.iter().position(|(known, _)| *known == status);
        self.0[place.unwrap_or(STATUSES.len() - 1)].add(1);
    }
}

/// Why connections ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    ByPeer,
    ByService,
    Eof,
    Violation,
    BadHead,
    Answered,
    CloseUnanswered,
    Full,
    Stalled,
    HandshakeTimeout,
    Idle,
    Io,
    Shutdown,
    Restart,
}

impl Cause {
    /// All of them with their labels, in the order of their numbers.
    pub(super) const ALL: [(Cause, &str); 14] = [
        (Cause::ByPeer, "by_peer"),
        (Cause::ByService, "by_service"),
        (Cause::Eof, "eof"),
        (Cause::Violation, "violation"),
        (Cause::BadHead, "bad_head"),
        (Cause::Answered, "answered"),
        (Cause::CloseUnanswered, "close_unanswered"),
        (Cause::Full, "full"),
        (Cause::Stalled, "stalled"),
        (Cause::HandshakeTimeout, "handshake_timeout"),
        (Cause::Idle, "idle"),
        (Cause::Io, "io"),
        (Cause::Shutdown, "shutdown"),
        (Cause::Restart, "restart"),
    ];
}

/// Ends by cause.
#[derive(Debug, Default)]
pub(crate) struct Causes(pub(super) [Counter; Cause::ALL.len()]);

impl Causes {
    /// Counts an end.
    pub(crate) fn count(&self, cause: Cause) {
        self.0[cause as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_stands_at_its_number() {
        for (place, (cause, _)) in Cause::ALL.iter().enumerate() {
            assert_eq!(*cause as usize, place);
        }
    }

    #[test]
    fn a_status_that_nobody_thought_of_is_counted_too() {
        let statuses = Statuses::default();
        statuses.count(101);
        statuses.count(418);
        assert_eq!((statuses.0[0].get(), statuses.0[STATUSES.len() - 1].get()), (1, 1));
    }
}
