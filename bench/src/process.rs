//! CPU time and memory of a process, as the kernel accounts for them.

use std::fs;
use std::io;

use crate::failure::Failure;

/// CPU time that a process has used since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// Nanoseconds on a CPU, summed over the threads that live now.
    pub run: u64,
    /// Nanoseconds in user space, to the clock tick (10 ms).
    pub user: u64,
    /// Nanoseconds in the kernel, to the clock tick (10 ms).
    pub system: u64,
}

impl CpuTime {
    /// What process `pid` has used.
    ///
    /// # Errors
    /// [`Failure::System`] if there is no such process or the kernel keeps no such figures.
    pub fn of(pid: u32) -> Result<CpuTime, Failure> {
        let tasks = format!("/proc/{pid}/task");
        let entries = fs::read_dir(&tasks).map_err(|error| missing(pid, &tasks, error))?;
        let mut run = 0;
        for entry in entries {
            let path = entry.map_err(|error| missing(pid, &tasks, error))?.path().join("schedstat");
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(&path) {
                run += run_time(&text).ok_or_else(|| malformed(&path.display().to_string()))?;
            }
        }
        let stat = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&stat).map_err(|error| missing(pid, &stat, error))?;
        let (user, system) = ticks(&text).ok_or_else(|| malformed(&stat))?;
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        Ok(CpuTime { run, user: user * tick, system: system * tick })
    }

    /// Nanoseconds that this thread has been on a CPU since its start.
    ///
    /// # Errors
    /// [`Failure::System`] if the kernel keeps no such figure.
    pub fn of_this_thread() -> Result<u64, Failure> {
        let path = "/proc/thread-self/schedstat";
        let text =
            fs::read_to_string(path).map_err(|error| Failure::system(format!("read {path}"), error))?;
        run_time(&text).ok_or_else(|| malformed(path))
    }

    /// What was used since `earlier`. A thread that has ended in between takes its time with it.
    pub fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            run: self.run.saturating_sub(earlier.run),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// Resident memory of process `pid` in bytes: exact where the kernel sums it up (`smaps_rollup`), else its running
/// count (`statm`).
///
/// # Errors
/// [`Failure::System`] if there is no such process or it may not be looked at.
pub fn resident(pid: u32) -> Result<u64, Failure> {
    if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        && let Some(bytes) = rollup(&text)
    {
        return Ok(bytes);
    }
    let statm = format!("/proc/{pid}/statm");
    let text = fs::read_to_string(&statm).map_err(|error| missing(pid, &statm, error))?;
    let pages: u64 =
        text.split(' ').nth(1).and_then(|field| field.parse().ok()).ok_or_else(|| malformed(&statm))?;
    Ok(pages * rustix::param::page_size() as u64)
}

fn run_time(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// User and system time in clock ticks. The command name before them stands in parentheses and may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn rollup(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn missing(pid: u32, path: &str, error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        Failure::Usage(format!("there is no process {pid} (or it has ended)"))
    } else {
        Failure::system(format!("read {path}"), error)
    }
}

fn malformed(path: &str) -> Failure {
    Failure::system(format!("read {path}"), io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_formats() {
        assert_eq!(run_time("1234567 89 3\n"), Some(1_234_567));
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 17 23 0 0 20 0 3 0 1 2 3";
        assert_eq!(ticks(stat), Some((17, 23)));
        assert_eq!(
            rollup("5-7 ---p 0 00:00 0   [rollup]\nRss:       1652 kB\nPss: 3 kB\n"),
            Some(1652 * 1024)
        );
    }

    #[test]
    fn sees_its_own_work_and_memory() {
        let pid = std::process::id();
        let before = CpuTime::of(pid).unwrap();
        let thread = CpuTime::of_this_thread().unwrap();
        let mut sum = 0_u64;
        while CpuTime::of_this_thread().unwrap() < thread + 20_000_000 {
            sum = (0..100_000).fold(sum, |sum, x| std::hint::black_box(sum ^ x));
        }
        assert!(CpuTime::of(pid).unwrap().run > 20_000_000 && before.run > 0);
        assert!(resident(pid).unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        // Above the largest process id that Linux gives.
        for failure in [CpuTime::of(4_194_305).unwrap_err(), resident(4_194_305).unwrap_err()] {
            assert_eq!(failure.to_string(), "there is no process 4194305 (or it has ended)");
        }
    }
}
