//! What those in charge ask and order while the server runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use lapps_lua::port::ConnId;
use serde_json::{Value, json};

use super::replace::Order;
use super::versions::Phase;
use super::{Outcome, Refused, Server};
use crate::config::{Placement, Protocol, Service};
use crate::engine::mail::{Mail, Seen};
use crate::engine::number;
use crate::engine::report::{Inquiry, Report};
use crate::ops::control::{Change, Desk, Request};
use crate::ops::ledger::Ledger;
use crate::ops::log;

/// How long somebody waits for what threads tell that may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hands requests to the thread that has the server.
pub(super) struct Reception {
    pub(super) reports: Sender<Report>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) address: SocketAddr,
    pub(super) tls: bool,
    pub(super) started: Instant,
}

impl Desk for Reception {
    fn answer(&self, request: Request) -> Result<Value, String> {
        match request {
            Request::Status => Ok(self.status()),
            Request::Services => {
                let (answer, answers) = mpsc::channel();
                self.ask(Inquiry::Services(answer));
                let services = answers.recv_timeout(PATIENCE).map_err(|_| NO_ANSWER)?;
                let counts = self.ledger.counts();
                let services = services.into_iter().map(|mut service| {
                    let name = service["name"].as_str().unwrap_or_default();
                    let count = counts.services.get(name).copied().unwrap_or_default();
                    service["connections"] = count.connections.into();
                    service["messages_received"] = count.received.into();
                    service["messages_sent"] = count.sent.into();
                    service["handler_errors"] = count.errors.into();
                    service
                });
                Ok(json!({ "services": services.collect::<Vec<Value>>() }))
            }
            Request::Connections { service, limit } => {
                let (answer, answers) = mpsc::channel();
                self.ask(Inquiry::Connections { service, limit, answer });
                let (seen, complete) = gather(&answers, limit);
                let connections: Vec<Value> = seen.iter().map(told).collect();
                Ok(json!({ "connections": connections, "complete": complete }))
            }
            Request::Kick { id } => {
                let (answer, answers) = mpsc::channel();
                let none = || format!("there is no connection {id}");
                let conn = ConnId::from_number(id as f64).filter(|_| id < 1 << 53).ok_or_else(none)?;
                self.ask(Inquiry::Kick { conn, answer });
                match answers.recv_timeout(PATIENCE) {
                    Ok(true) => Ok(json!({ "kicked": id })),
                    Ok(false) | Err(mpsc::RecvTimeoutError::Disconnected) => Err(none()),
                    Err(mpsc::RecvTimeoutError::Timeout) => Err(NO_ANSWER.into()),
                }
            }
            Request::Reload => {
                let (answer, answers) = mpsc::channel();
                self.ask(Inquiry::Reload(answer));
                answers.recv().map_err(|_| "the server stops".into())
            }
            Request::Log { filter } => {
                log::change(&filter)?;
                Ok(json!({ "filter": filter }))
            }
            Request::Change { service, change } => {
                let (answer, answers) = mpsc::channel();
                self.ask(Inquiry::Change { service: service.clone(), change, answer });
                // A start may take as long as it likes.
                let result = answers.recv().map_err(|_| "the server stops")?;
                let gone = result.map_err(|refused| match refused.stopped {
                    true => format!("{}; the version before is stopped", refused.why),
                    false => refused.why,
                })?;
                Ok(match change {
                    Change::Stop => json!({ "service": service, "gone": gone }),
                    Change::Start | Change::Restart => json!({ "service": service }),
                })
            }
        }
    }
}

const NO_ANSWER: &str = "the server is busy: no answer in 5 seconds";

impl Reception {
    fn ask(&self, inquiry: Inquiry) {
        // Where the server has ended, nobody answers.
        let _ = self.reports.send(Report::Asked(inquiry));
    }

    fn status(&self) -> Value {
        let counts = self.ledger.counts();
        let scheme = if self.tls { "wss" } else { "ws" };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "listening": format!("{scheme}://{}", self.address),
            "ready": self.ledger.is_ready(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "workers": counts.workers,
            "connections": counts.connections,
            "messages_received": counts.received,
            "messages_sent": counts.sent,
        })
    }
}

/// What all workers tell, as far as they do in time; and whether that is all.
fn gather(answers: &Receiver<Vec<Seen>>, limit: usize) -> (Vec<Seen>, bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    loop {
        match answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(seen) => all.extend(seen),
            Err(error) => {
                let complete = error == mpsc::RecvTimeoutError::Disconnected && all.len() <= limit;
                all.truncate(limit);
                return (all, complete);
            }
        }
    }
}

fn told(seen: &Seen) -> Value {
    json!({
        // As services know it: a whole number that a Lua number, and one of JSON, holds exactly.
        "id": number(seen.conn),
        "service": seen.service,
        "peer": seen.peer.to_string(),
        "state": seen.state,
        "worker": seen.conn.worker(),
        "queued_bytes": seen.queued,
        "in_flight_bytes": seen.in_flight,
        "silent_ms": seen.silent_ms,
    })
}

impl Server {
    /// Answers an inquiry, or lets somebody else answer it.
    pub(super) fn on_inquiry(&mut self, inquiry: Inquiry) {
        match inquiry {
            Inquiry::Services(answer) => drop(answer.send(self.describe())),
            Inquiry::Connections { service, limit, answer } => {
                for worker in &mut self.workers {
                    // One more than wanted shows that there are more.
                    let limit = limit.saturating_add(1);
                    worker.send(Mail::List { service: service.clone(), limit, answer: answer.clone() });
                }
            }
            Inquiry::Kick { conn, answer } => {
                if let Some(worker) = self.workers.get_mut(usize::from(conn.worker())) {
                    worker.send(Mail::Kick { conn, answer });
                }
            }
            // Whoever asks hears that the server stops.
            Inquiry::Change { .. } | Inquiry::Reload(_) if self.stopping => {}
            Inquiry::Reload(answer) => drop(answer.send(self.reload())),
            Inquiry::Change { service, change, answer } => match self.wished(&service, change) {
                Ok(service) => {
                    let sees_off = change == Change::Stop;
                    self.orders.push_back(Order { services: vec![service], answer, sees_off });
                }
                Err(why) => drop(answer.send(Err(Refused { why, stopped: false, stopping: false }))),
            },
        }
    }

    /// What the service with this name is to be like.
    fn wished(&mut self, name: &str, change: Change) -> Result<Service, String> {
        let number = self.versions.named(name).ok_or_else(|| format!("there is no service '{name}'"))?;
        let runs = self.versions.at(number).phase == Phase::Running;
        let entry = &self.versions.at(number).entry;
        let mut service = Service { acl: (*entry.acl.get()).clone(), ..entry.service.clone() };
        if change == Change::Start && runs {
            return Err(format!("service '{name}' is running"));
        }
        if change == Change::Stop {
            if !runs {
                return Err(format!("service '{name}' is not running"));
            }
            let needs = |other: &&Service| other.depends.iter().any(|needed| needed == name);
            let mut running = self.services().filter(|(_, outcome)| **outcome == Outcome::Running);
            if let Some(other) = running.find_map(|(other, _)| Some(other).filter(needs)) {
                return Err(format!("service '{}' depends on '{name}': stop that first", other.name));
            }
        }
        service.auto_start = change != Change::Stop;
        Ok(service)
    }

    fn describe(&self) -> Vec<Value> {
        let describe = |(service, outcome): (&Service, &Outcome)| {
            let (placement, instances) = match service.placement {
                Placement::Worker => ("worker", self.workers.len()),
                Placement::Dedicated(count) => ("dedicated", count),
                Placement::Standalone(count) => ("standalone", count),
            };
            let (state, why) = match outcome {
                Outcome::Running => ("running", None),
                Outcome::NotStarted => ("stopped", None),
                Outcome::Failed(why) => ("failed", Some(why.as_str())),
            };
            json!({
                "name": service.name,
                "target": service.request_target,
                "protocol": match service.protocol { Protocol::Raw => "raw", Protocol::Lapps => "LAppS" },
                "placement": placement,
                "instances": instances,
                "state": state,
                "why": why,
            })
        };
        self.services().map(describe).collect()
    }
}
