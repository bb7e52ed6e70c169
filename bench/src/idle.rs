//! The idle run: many connections that say nothing, and what the server's memory makes of them.

use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::pool::Pool;
use crate::process::resident;
use crate::target::Target;

/// How long the server may take to end all connections.
const GOODBYE: Duration = Duration::from_secs(10);

/// How long the server may then take to give their memory back: servers do that when they have time.
const REST: Duration = Duration::from_secs(3);

/// What to do to the server.
#[derive(Debug, Clone)]
pub struct IdlePlan {
    /// The server.
    pub target: Target,
    /// Connections, at least 1.
    pub connections: u32,
    /// How long to hold them, all open, before memory is read.
    pub hold: Duration,
    /// The server's process.
    pub pid: u32,
    /// How long the server may stand still.
    pub stall: Duration,
}

/// Resident memory of the server in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleReport {
    /// Before the first connection.
    pub before: u64,
    /// With all of them open.
    pub open: u64,
    /// 3 s after all of them were closed.
    pub closed: u64,
    /// Connections that the server had not ended 10 s after the client had closed them.
    pub lingering: usize,
    /// How many were opened.
    pub connections: u32,
}

impl IdleReport {
    /// Bytes that one open connection added; negative if memory shrank.
    pub fn per_connection(&self) -> f64 {
        (self.open as f64 - self.before as f64) / f64::from(self.connections)
    }
}

/// Opens the connections, holds them, closes them. `tell` hears how many are open.
///
/// # Errors
/// The first connection that fails ends the run.
pub fn run(plan: &IdlePlan, tell: &mut dyn FnMut(u32)) -> Result<IdleReport, Failure> {
    let before = resident(plan.pid)?;
    let mut pool = Pool::open(&plan.target, plan.connections, plan.stall, tell)?;
    pool.hold(plan.hold)?;
    let open = resident(plan.pid)?;
    let lingering = pool.close(GOODBYE)?;
    thread::sleep(REST);
    let closed = resident(plan.pid)?;
    Ok(IdleReport { before, open, closed, lingering, connections: plan.connections })
}
