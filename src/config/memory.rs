//! The memory that a configuration can use: the sum of its bounds.

use std::fmt;

use super::{Config, Io, Placement};

/// A connection's fixed part: its state, its slot, its place in the poller.
const CONNECTION: u64 = 512;
/// What a TLS connection holds beside that: session, record buffers.
const TLS_CONNECTION: u64 = 40 * 1024;
/// What the kernel receives into, per worker with io_uring.
pub(crate) const RING_BUFFERS: u64 = 1024 * 1024;
/// The stack of a thread.
const STACK: u64 = 2 * 1024 * 1024;

/// Bytes of messages that may lie in the ring between a worker and a dedicated instance before it counts as full; the message
/// that goes over it is still taken.
pub const RING_BYTES: u64 = 4 * 1024 * 1024;

/// Memory of such a ring for small messages, which are copied into it.
pub const RING_AREA: u64 = 256 * 1024;

/// The memory that a configuration can use at most, as the sum of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBound {
    /// The parts in the order of the table.
    pub parts: Vec<Part>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: String,
    /// How many there are at most.
    pub count: u64,
    /// Bytes of each at most.
    pub each: u64,
}

impl Config {
    /// The memory that the server can use at most with this configuration: what clients can make it hold, and what Lua may
    /// allocate. The program itself, and what the system's kernel holds for sockets, come on top.
    pub fn memory_bound(&self) -> MemoryBound {
        let mut bound = MemoryBound { parts: Vec::new() };
        let workers = self.workers.count as u64;
        let connections = workers * self.workers.max_connections as u64;
        let started = || self.services.iter().filter(|service| service.auto_start);
        let own_threads: u64 = started()
            .map(|service| match service.placement {
                Placement::Worker => 0,
                Placement::Dedicated(count) | Placement::Standalone(count) => count as u64,
            })
            .sum();

        bound.add("thread stacks", self.listen.listeners as u64 + workers + own_threads, STACK);
        bound.add("read buffers", workers, self.workers.read_buffer as u64);
        if self.workers.io != Io::Epoll {
            bound.add("buffers of io_uring", workers, RING_BUFFERS);
        }
        bound.add("connections", connections, CONNECTION);
        if self.tls.is_some() {
            bound.add("TLS sessions", connections, TLS_CONNECTION);
        }
        // A connection belongs to one service; at worst all of them to the most generous one.
        let with_clients =
            || started().filter(|service| !matches!(service.placement, Placement::Standalone(_)));
        let inbound =
            with_clients().map(|service| service.max_inbound_message_size as u64).max().unwrap_or(0);
        let outgoing = with_clients().map(|service| service.outgoing_limit as u64).max().unwrap_or(0);
        bound.add("messages that are not complete", connections, inbound);
        // A message is taken while less than the high water waits.
        let waiting = with_clients()
            .map(|service| (service.outgoing_high_water + service.max_inbound_message_size) as u64)
            .max()
            .unwrap_or(0);
        bound.add("messages that wait for a handler", connections, waiting);
        bound.add("output that waits", connections, outgoing);
        bound.add("messages in queues (mqr)", 1, self.queues.bytes as u64);
        for service in started() {
            let name = &service.name;
            let instances = match service.placement {
                Placement::Worker => workers,
                Placement::Dedicated(count) | Placement::Standalone(count) => count as u64,
            };
            if let Placement::Dedicated(_) = service.placement {
                let each = RING_AREA + RING_BYTES + service.max_inbound_message_size as u64;
                bound.add(format!("{name}: rings to its instances"), workers * instances, each);
                let each = RING_AREA + RING_BYTES + service.outgoing_limit as u64;
                bound.add(format!("{name}: rings from its instances"), workers * instances, each);
            }
            bound.add(format!("{name}: Lua"), instances, service.max_lua_memory as u64);
        }
        bound
    }
}

impl MemoryBound {
    /// The sum of all parts in bytes.
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.total()))
    }

    fn add(&mut self, what: impl Into<String>, count: u64, each: u64) {
        self.parts.push(Part { what: what.into(), count, each });
    }
}

impl Part {
    /// Bytes of all of them.
    pub fn total(&self) -> u64 {
        self.count.saturating_mul(self.each)
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.parts.iter().map(|part| part.what.chars().count()).max().unwrap_or(0).max(5);
        for part in &self.parts {
            let (each, total) = (bytes(part.each), bytes(part.total()));
            writeln!(f, "{:width$}  {:>10} x {each:>10} = {total:>10}", part.what, part.count)?;
        }
        write!(f, "{:width$}  {:>23} = {:>10}", "total", "", bytes(self.total()))
    }
}

/// A number of bytes with the largest unit that leaves at least 1.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::demo;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_bound_of_the_demo_is_the_sum_of_its_parts() {
        let mut config = demo();
        config.workers.count = 2;
        config.workers.max_connections = 1000;
        let bound = config.memory_bound();
        let parts: Vec<_> =
            bound.parts.iter().map(|part| (part.what.as_str(), part.count, part.each)).collect();
        assert_eq!(
            parts,
            [
                ("thread stacks", 4, 2 * MIB),
                ("read buffers", 2, 64 * 1024),
                ("connections", 2000, 512),
                ("messages that are not complete", 2000, 16 * MIB),
                ("messages that wait for a handler", 2000, 16 * MIB + MIB / 4),
                ("output that waits", 2000, 32 * MIB),
                ("messages in queues (mqr)", 1, 256 * MIB),
                ("echo: Lua", 2, 256 * MIB),
                ("echo_dedicated: rings to its instances", 2, 20 * MIB + MIB / 4),
                ("echo_dedicated: rings from its instances", 2, 36 * MIB + MIB / 4),
                ("echo_dedicated: Lua", 1, 256 * MIB),
                ("hello: Lua", 2, 256 * MIB),
            ]
        );
        assert_eq!(bound.total(), bound.parts.iter().map(|part| part.count * part.each).sum::<u64>());
        let table = bound.to_string();
        assert!(table.contains("output that waits "), "{table}");
        assert!(table.contains("2000 x   32.0 MiB =   62.5 GiB"), "{table}");
        assert!(table.lines().last().unwrap().starts_with("total "), "{table}");
        assert_eq!(table.lines().count(), bound.parts.len() + 1);
    }

    #[test]
    fn services_that_are_not_started_use_nothing() {
        let mut config = demo();
        for service in &mut config.services {
            service.auto_start = false;
        }
        let bound = config.memory_bound();
        assert!(bound.parts.iter().all(|part| !part.what.contains(':')));
        assert!(bound.parts.iter().filter(|part| part.what.contains("that")).all(|part| part.total() == 0));
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        for (count, told) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (MIB, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), told);
        }
    }
}
