//! The documentation holds: commands and flags, command lines, JSON, environment variables.

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/environment.rs"]
mod environment;
#[path = "docs/json.rs"]
mod json;
#[path = "docs/lines.rs"]
mod lines;
#[path = "docs/pages.rs"]
mod pages;
