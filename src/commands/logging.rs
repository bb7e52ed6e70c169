//! Where the log goes, as the command line says.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lapps::config::{Log, LogFormat};

#[derive(Args)]
pub(crate) struct LogArguments {
    /// Log to this file instead of the configured one, or of standard error. SIGUSR1 has it opened again.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// How lines of the log look.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people; for the journal, where standard error is the journal.
    Text,
    /// One object per line.
    Json,
}

impl LogArguments {
    /// What is said here goes before what is configured.
    pub(crate) fn apply(&self, log: &mut Log) {
        if let Some(file) = &self.log_file {
            log.file = Some(file.clone());
        }
        match self.log_format {
            Some(Format::Text) => log.format = LogFormat::Text,
            Some(Format::Json) => log.format = LogFormat::Json,
            None => {}
        }
    }
}
