//! Checking a user's password: what a service asks of its host, because it may take long and must not block the instance.

use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::bell::Bell;

/// Bytes of a user's name, and of a password: what PAM takes in one answer (`PAM_MAX_RESP_SIZE`, with its end).
const LONGEST: usize = 511;
/// Bytes of a service's name.
const LONGEST_SERVICE: usize = 64;

/// Whoever in the host checks passwords, on a thread that may block.
pub trait Logins: fmt::Debug + Send + Sync {
    /// Takes the question; it will be answered, or dropped, later and on any thread. `Err`: it was not taken, and why, in
    /// words for the service.
    ///
    /// # Errors
    /// Too many questions wait, or there is no such thread.
    fn ask(&self, login: Login) -> Result<(), String>;
}

/// One question. If it is dropped without an answer, the service hears that nobody has answered.
pub struct Login {
    /// The name of the service in the system's configuration: not empty, without a slash.
    pub service: CString,
    /// Who it is.
    pub user: CString,
    /// What he says; its memory is overwritten when the question is dropped.
    pub password: Zeroizing<CString>,
    reply: Reply,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// `Err`: why the user is not let in, in words for the service.
    pub result: Result<(), String>,
    /// How long the service is to be kept waiting all the same, so that guessing is slow.
    pub delay: Duration,
}

/// Where the answer goes.
struct Reply {
    slot: Arc<Slot>,
    bell: Arc<Bell>,
    ticket: u64,
}

#[derive(Default)]
struct Slot(Mutex<Option<Outcome>>);

/// The questions of one instance that have not been answered, by ticket.
#[derive(Default)]
pub(crate) struct Asked {
    slots: HashMap<u64, Arc<Slot>>,
    /// An answer on its way to Lua.
    pub(crate) hand: Option<Outcome>,
}

impl Login {
    /// Answers.
    pub fn answer(self, outcome: Outcome) {
        *self.reply.slot.lock() = Some(outcome);
        // Dropping the reply rings.
    }

    fn new(service: &[u8], user: &[u8], password: &[u8], reply: Reply) -> Result<Login, &'static str> {
        if service.is_empty() || service.len() > LONGEST_SERVICE || service.contains(&b'/') {
            return Err("the name of the service must have 1 to 64 bytes, and no slash");
        }
        if user.is_empty() || user.len() > LONGEST {
            return Err("the name of the user must have 1 to 511 bytes");
        }
        if password.len() > LONGEST {
            return Err("the password must have at most 511 bytes");
        }
        let text =
            |bytes| CString::new(bytes).map_err(|_| "a zero byte cannot be part of a name or password");
        // Before the copy that would not be overwritten.
        if password.contains(&0) {
            return Err("a zero byte cannot be part of a name or password");
        }
        let password = Zeroizing::new(text(password)?);
        Ok(Login { service: text(service)?, user: text(user)?, password, reply })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("service", &self.service)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.slot.lock().get_or_insert_with(|| Outcome {
            result: Err("nobody has answered".to_owned()),
            delay: Duration::ZERO,
        });
        self.bell.ring(self.ticket);
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Asks; the bell will ring with the ticket when there is an answer.
    pub(crate) fn ask(
        &mut self,
        logins: Option<&Arc<dyn Logins>>,
        bell: &Arc<Bell>,
        ticket: u64,
        [service, user, password]: [&[u8]; 3],
    ) -> Result<(), String> {
        let Some(logins) = logins else { return Err("nobody can check passwords here".to_owned()) };
        let slot = Arc::<Slot>::default();
        let reply = Reply { slot: Arc::clone(&slot), bell: Arc::clone(bell), ticket };
        logins.ask(Login::new(service, user, password, reply)?)?;
        self.slots.insert(ticket, slot);
        Ok(())
    }

    /// The answer, if it has come. Nobody asks for it again.
    pub(crate) fn take(&mut self, ticket: u64) -> Option<Outcome> {
        let slot = self.slots.remove(&ticket)?;
        mem::take(&mut *slot.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps up to two questions.
    #[derive(Default, Debug)]
    struct Desk(Mutex<Vec<Login>>);

    impl Logins for Desk {
        fn ask(&self, login: Login) -> Result<(), String> {
            let mut desk = self.0.lock().unwrap();
            if desk.len() == 2 {
                return Err("queue is full".to_owned());
            }
            desk.push(login);
            Ok(())
        }
    }

    const ALICE: [&[u8]; 3] = [b"web", b"alice", b"secret"];

    #[test]
    fn answers_come_to_who_has_asked_and_the_bell_rings() {
        let desk = Arc::new(Desk::default());
        let logins: Arc<dyn Logins> = Arc::clone(&desk) as Arc<dyn Logins>;
        let bell = Bell::new(|| {});
        let mut asked = Asked::default();
        for ticket in [1, 2] {
            asked.ask(Some(&logins), &bell, ticket, ALICE).unwrap();
        }
        assert_eq!(asked.ask(Some(&logins), &bell, 3, ALICE), Err("queue is full".to_owned()));
        assert_eq!(bell.take(), [3], "the question is gone, and its ticket with it");
        let login = desk.0.lock().unwrap().remove(1);
        assert_eq!((login.service.as_c_str(), login.user.as_c_str()), (c"web", c"alice"));
        assert_eq!(login.password.as_c_str(), c"secret");
        assert!(!format!("{login:?}").contains("secret"));
        login.answer(Outcome { result: Ok(()), delay: Duration::from_secs(1) });
        assert_eq!(bell.take(), [2]);
        let outcome = asked.take(2).unwrap();
        assert_eq!((outcome.result, outcome.delay), (Ok(()), Duration::from_secs(1)));
        assert!(asked.take(2).is_none() && asked.take(3).is_none());

        desk.0.lock().unwrap().clear();
        assert_eq!(bell.take(), [1]);
        assert_eq!(asked.take(1).unwrap().result, Err("nobody has answered".to_owned()));
    }

    #[test]
    fn an_answer_that_nobody_wants_any_more_is_dropped() {
        let desk = Arc::new(Desk::default());
        let logins: Arc<dyn Logins> = Arc::clone(&desk) as Arc<dyn Logins>;
        let bell = Bell::new(|| {});
        let mut asked = Asked::default();
        asked.ask(Some(&logins), &bell, 1, ALICE).unwrap();
        assert!(asked.take(1).is_none());
        let login = desk.0.lock().unwrap().remove(0);
        let slot = Arc::downgrade(&login.reply.slot);
        login.answer(Outcome { result: Ok(()), delay: Duration::ZERO });
        assert!(slot.upgrade().is_none() && asked.slots.is_empty());
    }

    #[test]
    fn names_and_passwords_that_cannot_be() {
        let logins: Arc<dyn Logins> = Arc::new(Desk::default());
        let bell = Bell::new(|| {});
        let long = [b'x'; 512];
        for (wrong, message) in [
            ([b"".as_slice(), b"alice", b""], "the name of the service"),
            ([b"../web", b"alice", b""], "the name of the service"),
            ([&long[..65], b"alice", b""], "the name of the service"),
            ([b"web", b"", b""], "the name of the user"),
            ([b"web", &long, b""], "the name of the user"),
            ([b"web", b"alice", &long], "the password"),
            ([b"web", b"alice", b"se\0cret"], "a zero byte"),
            ([b"web", b"al\0ice", b""], "a zero byte"),
            ([b"w\0eb", b"alice", b""], "a zero byte"),
        ] {
            let said = Asked::default().ask(Some(&logins), &bell, 1, wrong).unwrap_err();
            assert!(said.starts_with(message), "{said}");
        }
        let said = Asked::default().ask(None, &bell, 1, ALICE).unwrap_err();
        assert_eq!(said, "nobody can check passwords here");
        Asked::default().ask(Some(&logins), &bell, 1, [&long[..64], &long[..511], &long[..511]]).unwrap();
    }
}
