//! Where the log goes, how its lines look, and what it holds.

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

use super::keys;
use super::places::absolute;
use super::section::{Section, allowed};

/// The log of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// The file that lines are added to; `None`: standard error.
    pub file: Option<PathBuf>,
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, as `LAPPS_LOG` has it; it is right. `None`: nothing is written, so errors, warnings and news are.
    pub level: Option<String>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; where standard error is the journal, for that.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

pub(super) fn read(section: &Section<'_>, home: &Path) -> Log {
    let level = section.text_if_there(&keys::LOG_LEVEL).map(|(text, node)| {
        if let Err(wrong) = filter(&text) {
            node.wrong(wrong, allowed(&keys::LOG_LEVEL.kind));
        }
        text
    });
    Log {
        file: section.text_if_there(&keys::LOG_FILE).map(|(text, _)| absolute(&home.join(text))),
        format: if section.word(&keys::LOG_FORMAT) == "json" { LogFormat::Json } else { LogFormat::Text },
        level,
    }
}

/// Whether a text says what is logged.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn filter(text: &str) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("'{text}' is no filter of the log: {error}");
    if text.trim().is_empty() {
        return Err(wrong(&"it is empty"));
    }
    EnvFilter::try_new(text).map(drop).map_err(|error| wrong(&error))
}
