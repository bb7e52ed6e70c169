//! Who is measured, and how each is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compare::version;
use crate::failure::Failure;
use crate::home::{self, Wishes};
use crate::server::Server;

/// A process that serves one or more contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `lapps-bench bare-echo`.
    BareEpoll,
    /// `lapps-bench bare-fan-out`.
    BareFanOut,
    /// What `bench/peers/build` has made under this name.
    Peer(&'static str),
    /// LAppS, with this value of the key `io`; without it where there is no such key.
    Lapps(Option<&'static str>),
}

/// What a contender is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An echo of bytes: no WebSocket, no TLS.
    Bare,
    /// Another WebSocket server.
    Peer,
    /// LAppS.
    Ours,
}

/// One row of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// Its name in records and on the command line.
    pub id: &'static str,
    /// Its name in tables.
    pub name: &'static str,
    /// What it is to us.
    pub kind: Kind,
    /// Who serves it.
    pub host: Host,
    /// Request target of its echo.
    pub target: &'static str,
    /// Request target of its echo in the LAppS protocol, if it has one.
    pub lapps_target: Option<&'static str>,
}

const fn bare(id: &'static str, name: &'static str, host: Host) -> Contender {
    Contender { id, name, kind: Kind::Bare, host, target: "", lapps_target: None }
}

const fn peer(id: &'static str, name: &'static str) -> Contender {
    Contender { id, name, kind: Kind::Peer, host: Host::Peer(id), target: "/", lapps_target: None }
}

const fn ours(id: &'static str, name: &'static str, io: Option<&'static str>, dedicated: bool) -> Contender {
    let (target, lapps_target) = if dedicated {
        (home::DEDICATED, home::LAPPS_DEDICATED)
    } else {
        (home::CO_LOCATED, home::LAPPS_CO_LOCATED)
    };
    Contender { id, name, kind: Kind::Ours, host: Host::Lapps(io), target, lapps_target: Some(lapps_target) }
}

/// LAppS on epoll, co-located.
pub const OURS: &str = "lapps";
/// LAppS on epoll, one dedicated instance.
pub const DEDICATED: &str = "lapps-dedicated";
/// LAppS on `io_uring`, co-located.
pub const OURS_URING: &str = "lapps-uring";
/// LAppS on `io_uring`, one dedicated instance.
pub const DEDICATED_URING: &str = "lapps-dedicated-uring";
/// The baseline on epoll.
pub const BARE: &str = "bare-epoll";
/// The baseline on `io_uring`.
pub const BARE_URING: &str = "bare-uring";
/// The peer that the goals name.
pub const UWEBSOCKETS: &str = "uwebsockets";

/// Everybody who can be measured, in the order of the tables.
pub const ALL: &[Contender] = &[
    bare(BARE, "bare epoll echo", Host::BareEpoll),
    bare(BARE_URING, "bare io_uring echo", Host::Peer(BARE_URING)),
    ours(OURS, "**LAppS**, co-located", Some("epoll"), false),
    ours(OURS_URING, "**LAppS**, co-located, io_uring", Some("io_uring"), false),
    ours(DEDICATED, "**LAppS**, dedicated", Some("epoll"), true),
    ours(DEDICATED_URING, "**LAppS**, dedicated, io_uring", Some("io_uring"), true),
    peer(UWEBSOCKETS, "uWebSockets (C++, no script)"),
    peer("bun", "Bun (JavaScript)"),
    peer("fastwebsockets", "fastwebsockets (no script)"),
    peer("yawc", "yawc (no script)"),
    peer("nginx", "nginx + Lua"),
    peer("ws", "ws (Node)"),
    peer("tokio-tungstenite", "tokio-tungstenite (no script)"),
];

/// The name of a contender in tables.
pub fn name(id: &str) -> &str {
    ALL.iter().find(|contender| contender.id == id).map_or(id, |contender| contender.name)
}

/// Those who are here.
#[derive(Debug)]
pub struct Roster {
    /// In the order of [`ALL`].
    pub present: Vec<Contender>,
    /// Name and reason of those who are not.
    pub absent: Vec<(&'static str, String)>,
    /// What each says of its version.
    pub versions: Vec<(&'static str, String)>,
    lapps: PathBuf,
    bench: PathBuf,
    peers: PathBuf,
    /// Homes and logs.
    scratch: PathBuf,
    /// What is served with TLS: certificate and key.
    certificate: [PathBuf; 2],
}

impl Roster {
    /// Looks who of `only` (everybody if that is empty) is here, and makes a certificate.
    ///
    /// # Errors
    /// [`Failure::Server`] if `lapps` does not run; [`Failure::Usage`] for a name that nobody has.
    pub fn find(
        lapps: &Path,
        bench: &Path,
        peers: &Path,
        scratch: &Path,
        only: &[String],
    ) -> Result<Roster, Failure> {
        if let Some(unknown) = only.iter().find(|id| !ALL.iter().any(|contender| contender.id == **id)) {
            let known: Vec<&str> = ALL.iter().map(|contender| contender.id).collect();
            return Err(Failure::Usage(format!("there is no {unknown:?}, but: {}", known.join(", "))));
        }
        let certificate = [scratch.join("cert.pem"), scratch.join("key.pem")];
        let mut roster = Roster {
            present: Vec::new(),
            absent: Vec::new(),
            versions: vec![("LAppS", version(lapps)?)],
            lapps: lapps.to_owned(),
            bench: bench.to_owned(),
            peers: peers.to_owned(),
            scratch: scratch.to_owned(),
            certificate,
        };
        roster.make_certificate()?;
        let knows_io = roster.knows_io()?;
        for contender in
            ALL.iter().filter(|contender| only.is_empty() || only.iter().any(|id| id == contender.id))
        {
            match (contender.host, knows_io) {
                (Host::Lapps(Some("epoll")), false) => {
                    roster.present.push(Contender { host: Host::Lapps(None), ..*contender });
                }
                (Host::Lapps(Some(io)), false) => {
                    roster.absent.push((contender.name, format!("this build has no \"io\": \"{io}\"")));
                }
                (Host::Peer(name), _) => match roster.peer_version(name) {
                    Ok(version) => {
                        roster.versions.push((contender.name, version));
                        roster.present.push(*contender);
                    }
                    Err(why) => roster.absent.push((contender.name, why)),
                },
                _ => roster.present.push(*contender),
            }
        }
        Ok(roster)
    }

    /// Starts one. With `tls` it serves `wss://`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(&self, host: Host, tls: bool) -> Result<Server, Failure> {
        let scheme = match (host, tls) {
            (Host::BareEpoll | Host::BareFanOut | Host::Peer(BARE_URING), _) => "tcp",
            (_, true) => "wss",
            (_, false) => "ws",
        };
        let (name, command) = match host {
            Host::BareEpoll => ("bare-epoll", self.bench_command("bare-echo")),
            Host::BareFanOut => ("bare-fan-out", self.bench_command("bare-fan-out")),
            Host::Peer(name) => {
                let mut command = Command::new(self.peers.join(name).join("run"));
                if tls {
                    command.args(&self.certificate);
                }
                (name, command)
            }
            Host::Lapps(io) => {
                let home = self.scratch.join(format!("home-{}-{scheme}", io.unwrap_or("lapps")));
                let [certificate, key] = &self.certificate;
                let wishes = Wishes { tls: tls.then_some((certificate, key)), io };
                home::write_with(&home, &wishes)?;
                let mut command = self.lapps_command();
                command.arg("run").arg("--home").arg(home);
                (io.unwrap_or("lapps"), command)
            }
        };
        Server::start(name, command, scheme, &self.scratch.join(format!("{name}-{scheme}.log")))
    }

    /// `lapps`, without the settings of the user's own installation.
    pub fn lapps_command(&self) -> Command {
        let mut command = Command::new(&self.lapps);
        for name in ["LAPPS_HOME", "LAPPS_CONF_DIR", "WS_CONFIG", "LAPPS_CONFIG", "LUA_PATH", "LUA_CPATH"] {
            command.env_remove(name);
        }
        command
    }

    fn bench_command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.bench);
        command.arg(what);
        command
    }

    fn peer_version(&self, name: &str) -> Result<String, String> {
        let directory = self.peers.join(name);
        let read = |file: &str| fs::read_to_string(directory.join(file)).map(|text| text.trim().to_owned());
        if directory.join("run").exists() {
            return Ok(read("version").unwrap_or_else(|_| "unknown".to_owned()));
        }
        Err(read("absent").unwrap_or_else(|_| format!("{} is not there", directory.display())))
    }

    fn make_certificate(&self) -> Result<(), Failure> {
        let output = self.lapps_command().arg("dev-cert").arg(&self.scratch).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(Failure::Server(format!("lapps dev-cert failed: {said}")))
            }
            Err(error) => Err(Failure::Server(format!("cannot run {}: {error}", self.lapps.display()))),
        }
    }

    /// Whether the key `io` may be there, and not with any value.
    fn knows_io(&self) -> Result<bool, Failure> {
        let mut takes = [false; 2];
        for (io, takes) in ["io_uring", "nonsense"].into_iter().zip(&mut takes) {
            let home = self.scratch.join("check");
            home::write_with(&home, &Wishes { tls: None, io: Some(io) })?;
            let output = self.lapps_command().arg("check").arg("--home").arg(&home).output();
            *takes = output.is_ok_and(|output| output.status.success());
        }
        Ok(takes == [true, false])
    }
}
