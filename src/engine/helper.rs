//! The thread that does for all instances what may block: it checks passwords.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lapps_lua::login::{Login, Logins, Outcome};

use crate::sys::pam::Pam;

/// Questions that may wait.
const WAITING: usize = 256;

/// The way to the helper thread. It is started by the first question and ends when nobody can ask any more.
#[derive(Default, Debug)]
pub(crate) struct Helper(Mutex<Option<SyncSender<Login>>>);

impl Logins for Helper {
    fn ask(&self, login: Login) -> Result<(), String> {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            *sender = Some(start().map_err(|error| format!("no thread can be started: {error}"))?);
        }
        match sender.as_ref().map(|sender| sender.try_send(login)) {
            Some(Err(TrySendError::Full(_))) => Err("queue is full".to_owned()),
            // If the thread is gone, the question has been dropped, and that is its answer.
            _ => Ok(()),
        }
    }
}

fn start() -> std::io::Result<SyncSender<Login>> {
    let (sender, logins) = sync_channel(WAITING);
    thread::Builder::new().name("helper".to_owned()).spawn(move || serve(&logins))?;
    Ok(sender)
}

fn serve(logins: &Receiver<Login>) {
    let mut pam = None;
    for login in logins {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&mut pam, &login)));
        login.answer(outcome.unwrap_or_else(|_| failed("the check has failed".to_owned())));
    }
}

fn check(pam: &mut Option<Pam>, login: &Login) -> Outcome {
    if pam.is_none() {
        match Pam::open() {
            Ok(opened) => *pam = Some(opened),
            Err(error) => return failed(format!("PAM is not available: {error}")),
        }
    }
    let Some(pam) = pam else { return failed("PAM is not available".to_owned()) };
    let verdict = pam.check(&login.service, &login.user, &login.password);
    Outcome { result: verdict.result, delay: verdict.delay }
}

fn failed(message: String) -> Outcome {
    Outcome { result: Err(message), delay: Duration::ZERO }
}
