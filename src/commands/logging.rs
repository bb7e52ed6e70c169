//! Where the log goes, as the command line says.

use lapps::arguments::{LogFormat, LogTo};
use lapps::config::{self, Log};

/// What is said there goes before what is configured.
pub(crate) fn apply(arguments: &LogTo, log: &mut Log) {
    if let Some(file) = &arguments.log_file {
        log.file = Some(file.clone());
    }
    match arguments.log_format {
        Some(LogFormat::Text) => log.format = config::LogFormat::Text,
        Some(LogFormat::Json) => log.format = config::LogFormat::Json,
        None => {}
    }
}
