//! A server in this process whose services can be replaced, and the journal that they write.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use lapps::config::{self, Places, Service};
use lapps::server::{Refused, Replacer, Server, Stopper};
use serde_json::{Value, json};

use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::until;

/// Held for writing by the test that counts what the process has open.
pub(crate) static COMPANY: RwLock<()> = RwLock::new(());

/// How a service is written: `VERSION` answers a message by its name, and everything else goes into the journal.
pub(crate) const CODE: &str = r"
    local NAME = {}
    function NAME.onStart() note('VERSION starts') BEGIN end
    function NAME.onMessage(handler, opcode, message) return ws:send(handler, 1, 'VERSION ' .. message) end
    function NAME.onDisconnect(handler) note('VERSION lost') end
    function NAME.onShutdown() END note('VERSION ends') end
    return NAME";

pub(crate) struct Theatre {
    pub(crate) home: Home,
    pub(crate) address: SocketAddr,
    replacer: Replacer,
    stopper: Stopper,
    waiting: Option<JoinHandle<Result<(), String>>>,
    /// Kept until the server has ended.
    company: Option<RwLockReadGuard<'static, ()>>,
}

impl Theatre {
    /// Starts a server on `home`. The services of a home may `note` a line in its journal.
    pub(crate) fn open(home: Home) -> Theatre {
        let company = COMPANY.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut theatre = Theatre::alone(home);
        theatre.company = Some(company);
        theatre
    }

    /// As [`Theatre::open`], when nobody else may be there.
    pub(crate) fn alone(home: Home) -> Theatre {
        home.save();
        let server = Server::start(read(&home)).unwrap();
        let (address, replacer, stopper) = (server.address(), server.replacer(), server.stopper());
        let waiting = Some(std::thread::spawn(|| server.wait()));
        Theatre { home, address, replacer, stopper, waiting, company: None }
    }

    /// Replaces the service by one with this code and these keys.
    pub(crate) fn replace(&mut self, name: &str, code: &str, keys: Value) -> Result<(), Refused> {
        let home = std::mem::replace(&mut self.home, Home::new());
        self.home = home.service(name, code, keys);
        self.replacer.replace(self.services(name))
    }

    /// A handle for another thread.
    pub(crate) fn replacer(&self) -> Replacer {
        self.replacer.clone()
    }

    /// The service of that name as the files say.
    pub(crate) fn services(&self, name: &str) -> Vec<Service> {
        self.home.save();
        let found = read(&self.home).services.into_iter().find(|service| service.name == name);
        found.into_iter().collect()
    }

    /// Connects and upgrades.
    pub(crate) fn client(&self, target: &str) -> Client {
        Client::to(self.address, false).upgraded(target)
    }

    /// The status of an upgrade at `target`.
    pub(crate) fn status(&self, target: &str) -> u16 {
        let mut client = Client::to(self.address, false);
        client.write(crate::common::client::upgrade(target).as_bytes());
        client.read_response().status
    }

    /// What the services have noted so far.
    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(journal(&self.home)).unwrap_or_default()
    }

    /// Waits until the journal has this line so many times; it never has it more often.
    #[track_caller]
    pub(crate) fn noted(&self, line: &str, times: usize) {
        let count = || self.journal().lines().filter(|noted| *noted == line).count();
        until(&format!("{times} times '{line}'"), || count() >= times);
        assert_eq!(count(), times, "'{line}' in:\n{}", self.journal());
    }

    /// Orders the server to stop.
    pub(crate) fn order_stop(&self) {
        self.stopper.stop();
    }

    /// Stops the server, and expects it to end well.
    pub(crate) fn close(mut self) -> String {
        self.stopper.stop();
        self.waiting.take().unwrap().join().unwrap().unwrap();
        self.journal()
    }
}

impl Drop for Theatre {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.join();
        }
    }
}

/// The code of version `version` of a service.
pub(crate) fn version(home: &Home, name: &str, version: &str) -> String {
    version_with(home, name, version, "", "")
}

/// The same, with code at its begin and at its end.
pub(crate) fn version_with(home: &Home, name: &str, version: &str, begin: &str, end: &str) -> String {
    let code = CODE.replace("BEGIN", begin).replace("END", end);
    noting(home, &code.replace("NAME", name).replace("VERSION", version))
}

/// Code that may `note` a line.
pub(crate) fn noting(home: &Home, code: &str) -> String {
    let journal = journal(home);
    format!(
        "local function note(line) local file = io.open({journal:?}, 'a') file:write(line, '\\n') file:close() end {code}"
    )
}

/// A close frame that says that the service restarts.
#[track_caller]
pub(crate) fn is_told_to_come_back(client: &mut Client) {
    assert_eq!(client.get(), Got::Close(1012, "the service restarts".into()));
    client.close(1012);
    assert_eq!(client.get(), Got::Eof);
}

/// Keys of a service with this target, in the workers or with so many instances of its own.
pub(crate) fn placed(target: &str, instances: usize) -> Value {
    match instances {
        0 => json!({ "request_target": target, "placement": "worker" }),
        _ => json!({ "request_target": target, "placement": "dedicated", "instances": instances }),
    }
}

fn journal(home: &Home) -> PathBuf {
    home.path().join("journal")
}

fn read(home: &Home) -> config::Config {
    let places = Places::find(Some(home.path()), &|_| None).unwrap();
    config::load(&places).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
