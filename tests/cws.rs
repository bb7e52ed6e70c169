//! Outgoing connections (`cws`), on every kind of instance.

mod common;

#[path = "cws/agent.rs"]
mod agent;
#[path = "cws/attempts.rs"]
mod attempts;
#[path = "cws/echoes.rs"]
mod echoes;
#[path = "cws/masses.rs"]
mod masses;
#[path = "cws/peer.rs"]
mod peer;
#[path = "cws/secure.rs"]
mod secure;
#[path = "cws/servers.rs"]
mod servers;
