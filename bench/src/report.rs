//! Results as text for people and as JSON for programs.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::echo::{EchoPlan, EchoReport, Progress, Stage};
use crate::failure::Failure;
pub use crate::home::put;
use crate::idle::{IdlePlan, IdleReport};

/// The result of an echo run, for people: several lines, the last with its end of line.
pub fn echo_text(plan: &EchoPlan, report: &EchoReport) -> String {
    let mut text = String::new();
    let pace = plan.rate.map_or("closed loop".to_owned(), |rate| format!("paced at {rate} messages/s"));
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<22}{value}");
    };
    line("server", plan.target.url.to_string());
    line(
        "load",
        format!(
            "{} connections, {} bytes, depth {}, {pace}, {:.2} s",
            plan.connections,
            plan.payload,
            plan.depth,
            report.length as f64 / 1e9
        ),
    );
    line(
        "messages/s",
        format!(
            "{:.0}  ({} messages; every byte of {} checked)",
            report.rate(),
            report.messages,
            report.checked
        ),
    );
    line("payload", format!("{:.1} MB/s each way", report.rate() * plan.payload as f64 / 1e6));
    let us = |nanoseconds: u64| format!("{:.1}", nanoseconds as f64 / 1e3);
    let latency = &report.latency;
    line(
        "latency us",
        format!(
            "p50 {}  p99 {}  p99.9 {}  max {}",
            us(latency.p50),
            us(latency.p99),
            us(latency.p99_9),
            us(latency.max)
        ),
    );
    if report.unanswered > 0 {
        line("unanswered", format!("{} messages had no echo 10 s after the end", report.unanswered));
    }
    if let Some((cpu, memory)) = report.server {
        let each = |nanoseconds| per_message(nanoseconds, report);
        line(
            "server CPU ns/message",
            format!("{:.0}  (user {:.0}, system {:.0})", each(cpu.run), each(cpu.user), each(cpu.system)),
        );
        line("server CPU", format!("{:.1} % of one core", share(cpu.run, report)));
        line("server memory", format!("{} KiB resident", memory / 1024));
    }
    line(
        "client CPU ns/message",
        format!(
            "{:.0}  ({:.1} % of one core)",
            per_message(report.client, report),
            share(report.client, report)
        ),
    );
    text
}

/// The result of an echo run as one object.
pub fn echo_json(plan: &EchoPlan, report: &EchoReport) -> Value {
    let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let server = report.server.map(|(cpu, memory)| {
        json!({
            "cpu_ns_per_message": per_message(cpu.run, report),
            "user_ns_per_message": per_message(cpu.user, report),
            "system_ns_per_message": per_message(cpu.system, report),
            "cpu_percent": share(cpu.run, report),
            "resident_bytes": memory,
        })
    });
    json!({
        "url": plan.target.url.to_string(),
        "connections": plan.connections,
        "payload_bytes": plan.payload,
        "depth": plan.depth,
        "rate": plan.rate,
        "seconds": report.length as f64 / 1e9,
        "messages": report.messages,
        "messages_checked": report.checked,
        "messages_per_second": report.rate(),
        "payload_bytes_per_second": report.rate() * plan.payload as f64,
        "latency_us": {
            "p50": us(report.latency.p50),
            "p99": us(report.latency.p99),
            "p99.9": us(report.latency.p99_9),
            "max": us(report.latency.max),
            "mean": report.latency.mean / 1e3,
            "count": report.latency.count,
        },
        "unanswered": report.unanswered,
        "server": server,
        "client": {
            "cpu_ns_per_message": per_message(report.client, report),
            "cpu_percent": share(report.client, report),
        },
    })
}

/// The result of an idle run, for people.
pub fn idle_text(plan: &IdlePlan, report: &IdleReport) -> String {
    let kib = |bytes: u64| bytes / 1024;
    let mut text = format!(
        "server                {}\n\
         connections           {}\n\
         resident before       {} KiB\n\
         resident, all open    {} KiB\n\
         per connection        {:.0} bytes\n\
         resident, all closed  {} KiB\n",
        plan.target.url,
        report.connections,
        kib(report.before),
        kib(report.open),
        report.per_connection(),
        kib(report.closed)
    );
    if report.lingering > 0 {
        let _ = writeln!(
            text,
            "lingering             {} were not ended by the server within 10 s",
            report.lingering
        );
    }
    text
}

/// The result of an idle run as one object.
pub fn idle_json(plan: &IdlePlan, report: &IdleReport) -> Value {
    json!({
        "url": plan.target.url.to_string(),
        "connections": report.connections,
        "resident_bytes": { "before": report.before, "open": report.open, "closed": report.closed },
        "bytes_per_connection": report.per_connection(),
        "lingering": report.lingering,
    })
}

/// One line on how a run is getting on; `None` where it is not worth one.
pub fn progress_line(plan: &EchoPlan, progress: Progress) -> Option<String> {
    match progress {
        Progress::Open(open) if open == plan.connections => Some(format!("{open} connections are open")),
        Progress::Open(_) => None,
        Progress::Second { second, stage, echoes, p99 } => {
            let (stage, p99) = match stage {
                Stage::WarmUp => ("warm-up", String::new()),
                Stage::Measuring => ("measuring", format!("  p99 {:.1} us", p99 as f64 / 1e3)),
                Stage::Draining => ("draining", String::new()),
            };
            Some(format!("{second:>4} s  {stage:<9}  {echoes:>9} messages/s{p99}"))
        }
    }
}

fn per_message(nanoseconds: u64, report: &EchoReport) -> f64 {
    nanoseconds as f64 / report.messages.max(1) as f64
}

fn share(nanoseconds: u64, report: &EchoReport) -> f64 {
    100.0 * nanoseconds as f64 / report.length.max(1) as f64
}
/// Writes `table.md` and `raw.json` into `directory`, which is made.
///
/// # Errors
/// [`Failure::System`] names the path that cannot be written.
pub fn record(directory: &Path, table: &str, raw: &Value) -> Result<(), Failure> {
    put(&directory.join("table.md"), table)?;
    put(&directory.join("raw.json"), &format!("{raw:#}\n"))
}
