//! Tells the supervisor that the server is alive, as long as every worker turns.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::life::Life;
use crate::engine::mail::Mail;
use crate::engine::mailbox::Postbox;
use crate::engine::wake::Wake;
use crate::ops::supervisor;

/// What a watchdog is made of; it begins when clients are served.
pub(super) struct Order {
    pub(super) workers: Vec<Postbox<Mail>>,
    /// The wake-up by which workers say that there is room in their mailboxes again.
    pub(super) wake: Arc<Wake>,
    pub(super) life: Arc<Life>,
    /// How long the supervisor waits for a sign of life.
    pub(super) patience: Duration,
}

/// A running watchdog. It ends when dropped.
pub(super) struct Watchdog {
    _end: Sender<()>,
}

impl Order {
    /// Asks the workers from now on, on a thread of its own: the one that has the server may wait for a service.
    ///
    /// # Errors
    /// The system refused the thread.
    pub(super) fn begin(mut self) -> io::Result<Watchdog> {
        let (end, ended) = mpsc::channel();
        thread::Builder::new().name("watchdog".into()).spawn(move || {
            self.wake.adopt();
            let every = self.patience / 2;
            loop {
                let begun = Instant::now();
                if !self.all_turn(every, &ended) {
                    return;
                }
                supervisor::alive();
                let pause = every.saturating_sub(begun.elapsed());
                if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Watchdog { _end: end })
    }

    /// Waits until every worker has turned, however long that takes; false: the watchdog is to end.
    fn all_turn(&mut self, every: Duration, ended: &Receiver<()>) -> bool {
        let (answer, answers) = mpsc::channel();
        for worker in &mut self.workers {
            worker.send(Mail::Turn { answer: answer.clone() });
        }
        drop(answer);
        let mut missing = self.workers.len();
        while missing > 0 {
            // A stop has a limit of its own, which the supervisor knows; workers end before others do.
            if self.life.is_stopping() {
                break;
            }
            match answers.recv_timeout(every) {
                Ok(()) => missing -= 1,
                Err(RecvTimeoutError::Timeout) => {
                    let all = self.workers.len();
                    tracing::warn!("{missing} of {all} workers do not turn: a handler there takes long");
                    if ended.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                        return false;
                    }
                }
                // Those that are missing have ended.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        true
    }
}
