//! What the system says of a running server: its descriptors, its memory, its CPU time.

use std::fs;
use std::time::Duration;

use super::process::Lapps;

/// Length of a tick in which the system counts CPU time, the same on every Linux.
const CPU_TICK: Duration = Duration::from_millis(10);

impl Lapps {
    /// Number of open descriptors.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// CPU time of all its threads so far, user and system.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the server runs");
        // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
        let (_, after) = stat.rsplit_once(')').expect("a name");
        let ticks: u32 = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u32>().unwrap()).sum();
        ticks * CPU_TICK
    }
}
