//! `lapps completions` and `lapps man`: the command line as shells and readers of manuals want it.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap_complete::Shell;
use lapps::arguments;

/// Prints what `shell` has to read.
pub(crate) fn completions(shell: Shell) -> Result<(), String> {
    // Who reads no further has seen enough.
    let _ = std::io::stdout().write_all(&arguments::completions(shell));
    Ok(())
}

/// Writes a page for `lapps` and one for each command.
pub(crate) fn pages(directory: &Path) -> Result<(), String> {
    let failed = |error| format!("cannot write the manual pages into {}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(arguments::definition(), directory).map_err(failed)
}
