//! The log of the process: where it goes, how its lines look, what it holds, and that nobody can flood it.

mod limit;
mod line;
mod sink;

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};
use limit::Limit;
use line::Line;
use sink::Sink;

/// What is logged where nothing is said.
const LEVEL: &str = "info";

/// There is one log in a process.
static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    filter: reload::Handle<EnvFilter, Registry>,
    sink: Sink,
    limit: Limit,
}

/// Starts the log of the process; `filter` goes before what is configured. To be called once.
///
/// # Errors
/// The file cannot be opened.
pub(crate) fn start(log: &Log, filter: Option<&str>) -> Result<(), String> {
    let sink = match &log.file {
        Some(file) => Sink::file(file).map_err(|why| format!("cannot log to {}: {why}", file.display()))?,
        None => Sink::stderr(),
    };
    let line = match log.format {
        LogFormat::Json => Line::Json,
        LogFormat::Text if log.file.is_some() => Line::Text { colours: false },
        LogFormat::Text if sink::is_journal() => Line::Journal,
        LogFormat::Text => Line::Text { colours: std::io::stderr().is_terminal() },
    };
    let filter = filter.filter(|text| !text.trim().is_empty());
    let wrong = filter.and_then(|text| read(text).err());
    let chosen = filter.and_then(|text| read(text).ok());
    let chosen = chosen.or_else(|| read(log.level.as_deref().unwrap_or(LEVEL)).ok());
    let (filter, handle) = reload::Layer::new(chosen.unwrap_or_else(|| EnvFilter::new(LEVEL)));
    let limit = Limit::default();
    let lines = fmt::layer().with_writer(sink.clone()).event_format(line);
    tracing_subscriber::registry().with(filter).with(limit.clone()).with(lines).init();
    limit.start();
    let _ = RUNNING.set(Running { filter: handle, sink, limit });
    if let Some(wrong) = wrong {
        tracing::warn!("LAPPS_LOG: {wrong}");
    }
    Ok(())
}

/// Has what is logged changed by a filter as `LAPPS_LOG` has it.
///
/// # Errors
/// What is wrong with it, or that nobody takes any.
pub(crate) fn change(filter: &str) -> Result<(), String> {
    let running = RUNNING.get().ok_or("what this server logs cannot be changed")?;
    running.filter.reload(read(filter)?).map_err(|error| format!("the log cannot be changed: {error}"))?;
    tracing::warn!("from now on the log has: {filter}");
    Ok(())
}

/// Opens the file of the log again: somebody has moved it away. One that cannot be opened leaves the one from before.
pub(crate) fn reopen() {
    let Some(running) = RUNNING.get() else { return };
    match running.sink.reopen() {
        None => tracing::info!("the log goes to standard error: there is no file to open again"),
        Some((file, Ok(()))) => tracing::info!("the log goes on in {}", file.display()),
        Some((file, Err(error))) => {
            tracing::error!("the log stays where it is: {} cannot be opened: {error}", file.display());
        }
    }
}

/// Tells what was left out and not told yet. To be called when the process ends.
pub(crate) fn end() {
    if let Some(running) = RUNNING.get() {
        running.limit.tell_all();
    }
}

/// How many lines were left out so far.
pub(super) fn suppressed() -> u64 {
    limit::suppressed()
}

fn read(filter: &str) -> Result<EnvFilter, String> {
    crate::config::log_filter(filter).map(|()| EnvFilter::new(filter))
}
