//! The admin listener: each counter moves when what it counts happens, and what is told is what Prometheus reads.

#[path = "common/mod.rs"]
mod common;

#[path = "metrics/admin.rs"]
mod admin;
#[path = "metrics/agreement.rs"]
mod agreement;
#[path = "metrics/connections.rs"]
mod connections;
#[path = "metrics/documented.rs"]
mod documented;
#[path = "metrics/instances.rs"]
mod instances;
#[path = "metrics/scrape.rs"]
mod scrape;
#[path = "metrics/traffic.rs"]
mod traffic;
