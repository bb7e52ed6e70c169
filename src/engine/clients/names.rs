//! Helper threads that find the addresses of names, and read certificates: what would block the thread that asks.

use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustls::ClientConfig;

use crate::engine::slab::Key;
use crate::engine::wake::Wake;
use crate::net::client::tls::Trust;

/// Threads at the same time: a name whose servers do not answer keeps one of them for long.
const THREADS: usize = 8;

/// Questions that may wait, of all instances together.
const WAITING: usize = 4096;

/// The helper of a whole server. Its threads end when there is nothing to do.
pub(crate) struct Names {
    trust: Trust,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    questions: VecDeque<Question>,
    threads: usize,
}

/// What a thread wants to know, and where the answer goes.
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// The certificates to believe; `None`: those that are configured.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) key: Key,
    pub(crate) to: Arc<Answers>,
}

/// What is needed to connect.
pub(crate) struct Found {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// The answers for one thread.
pub(crate) struct Answers {
    list: Mutex<Vec<(Key, Result<Found, String>)>>,
    /// There are some. Changed under the lock only; read without it.
    any: AtomicBool,
    wake: Arc<Wake>,
}

impl Names {
    pub(crate) fn new(trust: Trust) -> Names {
        Names { trust, state: Mutex::default() }
    }

    /// Lets a helper answer. The error is a text for the service.
    pub(crate) fn ask(self: &Arc<Names>, question: Question) -> Result<(), String> {
        let mut state = lock(&self.state);
        if state.questions.len() >= WAITING {
            return Err("too many names are being looked up".to_owned());
        }
        state.questions.push_back(question);
        if state.threads < THREADS {
            let names = Arc::clone(self);
            match thread::Builder::new().name("names".to_owned()).spawn(move || names.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    state.questions.pop_back();
                    return Err(format!("there is no thread to look up the name: {error}"));
                }
                // One of the others comes to it.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// A helper's life.
    fn work(&self) {
        loop {
            let question = {
                let mut state = lock(&self.state);
                match state.questions.pop_front() {
                    Some(question) => question,
                    None => {
                        state.threads -= 1;
                        return;
                    }
                }
            };
            let found = self.find(&question);
            question.to.put(question.key, found);
        }
    }

    fn find(&self, question: &Question) -> Result<Found, String> {
        let host = &question.host;
        let wrong = |error: &dyn std::fmt::Display| format!("cannot find the host '{host}': {error}");
        let addresses: Vec<SocketAddr> =
            (host.as_str(), question.port).to_socket_addrs().map_err(|error| wrong(&error))?.collect();
        if addresses.is_empty() {
            return Err(wrong(&"it has no address"));
        }
        let tls = question.tls.then(|| self.trust.config(question.ca.as_deref())).transpose()?;
        Ok(Found { addresses, tls })
    }
}

impl Answers {
    /// For the thread that `wake` wakes.
    pub(crate) fn new(wake: Arc<Wake>) -> Arc<Answers> {
        Arc::new(Answers { list: Mutex::default(), any: AtomicBool::new(false), wake })
    }

    /// True when there are answers. The thread looks at it after [`Wake::prepare`] and before it sleeps: an answer that comes
    /// later wakes it.
    pub(crate) fn any(&self) -> bool {
        // The lock publishes the answers; and the fences of `Wake` order this against going to sleep.
        self.any.load(Ordering::Relaxed)
    }

    /// All answers since this was last asked.
    pub(crate) fn take(&self) -> Vec<(Key, Result<Found, String>)> {
        let mut list = lock(&self.list);
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *list)
    }

    fn put(&self, key: Key, found: Result<Found, String>) {
        let mut list = lock(&self.list);
        list.push((key, found));
        self.any.store(true, Ordering::Relaxed);
        drop(list);
        self.wake.notify();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{ClientTls, TlsVersion};

    fn answers(hosts: &[&str]) -> Vec<(Key, Result<Found, String>)> {
        let names = Arc::new(Names::new(Trust::new(&ClientTls { ca: None, minimum: TlsVersion::Tls12 })));
        let wake = Arc::new(Wake::thread());
        wake.adopt();
        let to = Answers::new(Arc::clone(&wake));
        for (slot, host) in (0..).zip(hosts) {
            let key = Key { slot, generation: 1 };
            let question =
                Question { host: (*host).into(), port: 80, tls: false, ca: None, key, to: Arc::clone(&to) };
            names.ask(question).unwrap();
        }
        let mut all = Vec::new();
        while all.len() < hosts.len() {
            wake.prepare();
            if !to.any() {
                thread::park_timeout(Duration::from_secs(20));
                assert!(to.any(), "no answer came");
            }
            wake.awake();
            all.append(&mut to.take());
        }
        all.sort_by_key(|(key, _)| key.slot);
        all
    }

    #[test]
    fn more_names_than_threads_are_found() {
        for (_, found) in answers(&["127.0.0.1"; 3 * THREADS]) {
            assert_eq!(found.unwrap().addresses, ["127.0.0.1:80".parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_an_error_that_names_it() {
        let [(_, found)] = <[_; 1]>::try_from(answers(&["nonexistent.invalid"])).ok().unwrap();
        assert!(found.err().unwrap().contains("'nonexistent.invalid'"));
    }
}
