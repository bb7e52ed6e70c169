//! The loads of the echo columns.

/// One load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Its name in records and on the command line.
    pub id: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// TLS 1.3 with AES-128-GCM.
    pub tls: bool,
    /// Bytes of each message.
    pub payload: usize,
    /// Messages that each connection keeps under way.
    pub depth: u32,
    /// Connections.
    pub connections: u32,
    /// The figure may be at most this much of that of the reference: the bare echo where plain, the best peer with TLS.
    pub goal: f64,
}

const fn plain(id: &'static str, label: &'static str, payload: usize, goal: f64) -> Shape {
    Shape { id, label, tls: false, payload, depth: 1, connections: 240, goal }
}

const fn tls(id: &'static str, label: &'static str, payload: usize, goal: f64) -> Shape {
    Shape { tls: true, ..plain(id, label, payload, goal) }
}

/// The shape by which others are scaled: its saturation, its user time.
pub const COMMON: &str = "plain-128";

/// All of them, in the order of the table.
pub const ECHOES: &[Shape] = &[
    plain("plain-20", "20 B", 20, 1.02),
    plain(COMMON, "128 B", 128, 1.02),
    plain("plain-512", "512 B", 512, 1.02),
    plain("plain-1k", "1 KiB", 1024, 1.02),
    plain("plain-8k", "8 KiB", 8192, 1.10),
    plain("plain-64k", "64 KiB", 65_536, 1.10),
    Shape { depth: 16, ..plain("plain-deep", "128 B, depth 16", 128, 1.10) },
    Shape { connections: 5000, ..plain("plain-many", "128 B, 5,000 connections", 128, 1.10) },
    tls("tls-20", "TLS 20 B", 20, 1.0),
    tls("tls-128", "TLS 128 B", 128, 1.0),
    tls("tls-1k", "TLS 1 KiB", 1024, 1.0),
    tls("tls-8k", "TLS 8 KiB", 8192, 0.90),
    tls("tls-64k", "TLS 64 KiB", 65_536, 0.90),
    Shape { depth: 16, ..tls("tls-deep", "TLS 128 B, depth 16", 128, 0.90) },
];

/// The echo of the LAppS protocol; only we speak it.
pub const LAPPS: Shape = plain("lapps-128", "LAppS protocol, 128 B", 128, f64::NAN);

/// Connections over which the cost of a message should stay flat, with the names of their shapes. As many as the limit of
/// open files allows, if that is less.
pub const SCALE: &[(&str, u32)] =
    &[("scale-100", 100), ("scale-1000", 1000), ("scale-5000", 5000), ("scale-19000", 19_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_what_is_meant() {
        let mut ids: Vec<&str> = ECHOES.iter().map(|shape| shape.id).collect();
        assert!(ECHOES.iter().all(|shape| shape.tls == shape.id.starts_with("tls-")));
        assert_eq!(ECHOES.iter().filter(|shape| shape.id == COMMON).count(), 1);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ECHOES.len());
    }
}
