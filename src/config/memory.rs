//! The memory that a configuration can use: the sum of its bounds.

use std::fmt;

use super::{Config, Placement};

/// A connection's fixed part: its state, its slot, its place in the poller.
const CONNECTION: u64 = 512;
/// What a TLS connection holds beside that: session, record buffers.
const TLS_CONNECTION: u64 = 40 * 1024;
/// The stack of a thread.
const STACK: u64 = 2 * 1024 * 1024;

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
        bound.add("connections", connections, CONNECTION);
        if self.tls.is_some() {
            bound.add("TLS sessions", connections, TLS_CONNECTION);
        }
        // A connection belongs to one service; at worst all of them to the most generous one.
        let inbound = started().map(|service| service.max_inbound_message_size as u64).max().unwrap_or(0);
        let outgoing = started().map(|service| service.outgoing_limit as u64).max().unwrap_or(0);
        bound.add("unfinished messages", connections, inbound);
        bound.add("unsent output", connections, outgoing);
        for service in started() {
            let name = &service.name;
            let instances = match service.placement {
                Placement::Worker => workers,
                Placement::Dedicated(count) | Placement::Standalone(count) => count as u64,
            };
            bound.add(format!("Lua memory of {name}"), instances, service.max_lua_memory as u64);
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
