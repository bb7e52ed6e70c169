//! The WebSocket half of the parser, from outside: against slow oracles, cut everywhere, and section by section.

mod close;
mod drive;
mod growth;
mod header;
mod mask;
mod oracle;
mod sections;
mod splits;
mod utf8;
mod write;
