//! What the system knows of this process, from `/proc`.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// What a process takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taken {
    /// Time on processors, in seconds.
    pub(crate) cpu: f64,
    /// When it began, in seconds since 1970.
    pub(crate) started: f64,
    pub(crate) threads: u64,
    /// Bytes of address space, and those of them that are in memory.
    pub(crate) virtual_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) open_files: u64,
    /// How many may be open; `None`: any number.
    pub(crate) max_files: Option<u64>,
}

/// What this process takes; `None` where there is no `/proc`.
pub(crate) fn taken() -> Option<Taken> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name, which may hold anything but ends with the last parenthesis.
    let fields: Vec<u64> =
        stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    // proc(5) counts from 1, and ours begin with the third.
    let field = |number: usize| fields.get(number - 3).copied();
    let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Taken {
        cpu: seconds(field(14)? + field(15)?),
        started: booted + seconds(field(22)?),
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_size() as u64,
        // One of them is the directory itself, which is read here.
        open_files: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        max_files: getrlimit(Resource::Nofile).current,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn this_process_is_young_and_has_something() {
        let before = taken().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..3600.0).contains(&(now - before.started + 2.0)), "{before:?}");
        assert!(before.threads >= 1 && before.open_files >= 3);
        assert!(before.resident_bytes > 100_000 && before.virtual_bytes > before.resident_bytes);
        let _file = fs::File::open("/proc/self/stat").unwrap();
        let after = taken().unwrap();
        assert!(after.cpu >= before.cpu && after.max_files.is_none_or(|max| max >= after.open_files));
    }
}
