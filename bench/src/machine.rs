//! What a figure depends on besides the code: processor, kernel, date.

use std::fs;
use std::time::{Duration, SystemTime};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The machine at the time of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The processor's name for itself.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Kernel name and release.
    pub kernel: String,
    /// Day in UTC, as `YYYY-MM-DD`.
    pub date: String,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Machine {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let uname = rustix::system::uname();
        let name = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Machine {
            cpu: model(&cpu).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {} {}", name(uname.sysname()), name(uname.release()), name(uname.machine())),
            date: date(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)),
        }
    }

    /// Processor, cores and day, as the name of a directory.
    pub fn directory(&self) -> String {
        let cpu = self.cpu.to_lowercase();
        let words: Vec<&str> =
            cpu.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        format!("{}-{}-cores-{}", words.join("-"), self.cores, self.date)
    }

    /// As one object.
    pub fn json(&self) -> Value {
        json!({ "cpu": self.cpu, "cores": self.cores, "kernel": self.kernel, "date": self.date })
    }
}

/// Which cores a thread may use; what it was before comes back when this is dropped.
#[derive(Debug)]
pub struct Pin {
    before: CpuSet,
    cores: [usize; 2],
}

impl Pin {
    /// Chooses two cores for server and client: the first two that this thread may use.
    ///
    /// # Errors
    /// [`Failure::Usage`] if there is only one.
    pub fn two_cores() -> Result<Pin, Failure> {
        let before =
            sched_getaffinity(None).map_err(|error| Failure::system("ask for the usable cores", error))?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core));
        match (usable.next(), usable.next()) {
            (Some(first), Some(second)) => Ok(Pin { before, cores: [first, second] }),
            _ => Err(Failure::Usage(
                "a comparison needs two cores: one for the server, one for the client".into(),
            )),
        }
    }

    /// Moves this thread, and the processes that it starts from now on, to the server's core.
    ///
    /// # Errors
    /// [`Failure::System`] if it may not.
    pub fn to_server(&self) -> Result<(), Failure> {
        to_core(self.cores[0])
    }

    /// Moves this thread to the client's core.
    ///
    /// # Errors
    /// [`Failure::System`] if it may not.
    pub fn to_client(&self) -> Result<(), Failure> {
        to_core(self.cores[1])
    }

    /// The cores of server and client.
    pub fn cores(&self) -> [usize; 2] {
        self.cores
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // It was allowed before; if it no longer is, the thread stays where it is.
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn to_core(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| Failure::system(format!("move to core {core}"), error))
}

fn model(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim())
    })
}

/// The day, in the Gregorian calendar.
fn date(since_1970: Duration) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut day = since_1970.as_secs() / 86_400;
    let mut year = 1970;
    while day >= if leap(year) { 366 } else { 365 } {
        day -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let day = |seconds| date(Duration::from_secs(seconds));
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(951_782_400), "2000-02-29");
        assert_eq!(day(951_868_800), "2000-03-01");
        assert_eq!(day(1_735_689_599), "2024-12-31");
        assert_eq!(day(1_735_689_600), "2025-01-01");
        assert_eq!(day(4_107_542_400), "2100-03-01");
    }

    #[test]
    fn reads_the_processors_name() {
        let text = "processor\t: 0\nvendor_id\t: X\nmodel name\t: Some CPU @ 2 GHz\nprocessor : 1\n";
        assert_eq!(model(text), Some("Some CPU @ 2 GHz"));
        assert_eq!(model(""), None);
    }

    #[test]
    fn a_machine_names_a_directory() {
        let machine = Machine {
            cpu: "Some(R) CPU @ 2.5 GHz".into(),
            cores: 2,
            kernel: String::new(),
            date: "2025-01-02".into(),
        };
        assert_eq!(machine.directory(), "some-r-cpu-2-5-ghz-2-cores-2025-01-02");
    }

    #[test]
    fn a_pin_is_undone() {
        let usable = || std::thread::available_parallelism().unwrap().get();
        let before = usable();
        let Ok(pin) = Pin::two_cores() else { return };
        pin.to_server().unwrap();
        assert_eq!(usable(), 1);
        pin.to_client().unwrap();
        assert_eq!(usable(), 1);
        drop(pin);
        assert_eq!(usable(), before);
    }
}
