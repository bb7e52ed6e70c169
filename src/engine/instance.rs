//! One reactive instance on the thread that runs it: start, turns and end, the same for both placements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapps_lua::Message;
use lapps_lua::error::Failure;
use lapps_lua::port::{ClientEvent, ConnId, Event, Port};
use lapps_lua::reactive::{Outcome, Progress, Reactive, Verdict};

use super::settings::Settings;
use super::wake::Wake;
use super::{bell, setup};
use crate::config::Service;
use crate::ops::ledger::Seat;
use crate::ops::tally::InstanceTally;

/// How long cleanup handlers have at least when the grace was used up by handlers that waited.
pub(crate) const CLEANUP: Duration = Duration::from_millis(500);

/// Of so many calls one is timed: reading the clock twice costs as much as a good part of a small handler.
const TIMED: u32 = 64;

/// Calls for so many messages are always timed: they say whether messages are better delivered apart.
const WORTH_TIMING: usize = 16;

/// Handlers that take longer, on average, are slow.
const SLOW: Duration = Duration::from_micros(20);

/// One Lua state, and how far it is in its life.
pub(crate) struct Instance {
    lua: Reactive,
    seat: Seat,
    /// Calls until the next one that is timed.
    untimed: u32,
    /// What was timed last was slow.
    slow: bool,
    service: String,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `onStart` waits.
    Starting,
    Running,
    /// `onShutdown` waits.
    Stopping,
    Stopped,
}

/// What has come of something that waited, for the thread to see to.
pub(crate) enum Settled {
    /// `onStart` has ended. After an error the instance is not to be used.
    Started(Result<(), String>),
    /// A message that weighed so much.
    Handled {
        conn: ConnId,
        weight: usize,
    },
    Failed(Failure),
    /// `onShutdown` has ended.
    Stopped,
}

impl Instance {
    /// Loads instance `number` of `service`, on the thread that `wake` wakes, and calls its `onStart`; it counts at `seat`.
    /// The error is a text for the log.
    pub(crate) fn load(
        service: &Service,
        number: usize,
        seat: Seat,
        settings: &Settings,
        wake: &Arc<Wake>,
        port: &mut dyn Port,
    ) -> Result<Instance, String> {
        let bell = bell(wake);
        let setup = setup(service, number, settings, &bell);
        let mut lua = Reactive::load(&setup).map_err(|error| error.to_string())?;
        let phase = match lua.start(port).map_err(|failure| failure.to_string())? {
            Progress::Done => Phase::Running,
            Progress::Waits => Phase::Starting,
        };
        Ok(Instance { lua, seat, untimed: 0, slow: false, service: service.name.clone(), phase })
    }

    /// True while `onStart` waits.
    pub(crate) fn is_starting(&self) -> bool {
        self.phase == Phase::Starting
    }

    /// True when its handlers take so long that nobody should wait for those of others.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow
    }

    /// Calls the handler of an event; see [`Reactive::deliver`].
    pub(crate) fn deliver(&mut self, port: &mut dyn Port, event: Event<'_>) -> Verdict {
        match event {
            Event::Message { payload, .. } => count_messages(&self.seat, 1, payload.len()),
            Event::Opened(_) => self.seat.opened.add(1),
            Event::Disconnected(_) => self.seat.closed.add(1),
            Event::Stop => {}
        }
        let began = self.begin_timing();
        let verdict = self.lua.deliver(port, event);
        self.end_timing(began, 1);
        self.note(&verdict);
        verdict
    }

    /// Calls `onMessage` for messages in order; see [`Reactive::deliver_batch`].
    pub(crate) fn deliver_batch(&mut self, port: &mut dyn Port, batch: &[Message<'_>]) -> (usize, Verdict) {
        if self.untimed == 0 || batch.len() >= WORTH_TIMING {
            return self.deliver_batch_timed(port, batch);
        }
        self.untimed -= 1;
        let handled = self.lua.deliver_batch(port, batch);
        self.count_batch(batch, &handled);
        handled
    }

    #[inline(never)]
    fn deliver_batch_timed(&mut self, port: &mut dyn Port, batch: &[Message<'_>]) -> (usize, Verdict) {
        self.untimed = TIMED - 1;
        let began = Instant::now();
        let handled = self.lua.deliver_batch(port, batch);
        self.end_timing(Some(began), handled.0);
        self.count_batch(batch, &handled);
        handled
    }

    #[inline]
    fn count_batch(&self, batch: &[Message<'_>], handled: &(usize, Verdict)) {
        count_messages(&self.seat, handled.0, payloads(&batch[..handled.0]));
        self.note(&handled.1);
    }

    /// Calls the handler of something that happened to an outgoing connection; see [`Reactive::deliver_client`].
    pub(crate) fn deliver_client(
        &mut self,
        port: &mut dyn Port,
        conn: ConnId,
        event: ClientEvent<'_>,
    ) -> Verdict {
        self.seat.outgoing.add(1);
        let verdict = self.lua.deliver_client(port, conn, event);
        self.note(&verdict);
        verdict
    }

    /// Lets the fiber go on that waits for an outgoing connection.
    pub(crate) fn connected(&mut self, conn: ConnId, result: Result<(), String>) {
        self.lua.connected(conn, result);
    }

    /// Runs the fibers that want to run by now. False: there were none.
    pub(crate) fn turn(&mut self, port: &mut dyn Port) -> bool {
        let wants = self.lua.is_ready() || self.lua.deadline().is_some_and(|due| due <= port.now());
        if wants {
            self.seat.fibers_running.set(1);
            self.lua.turn(port);
            self.seat.fibers_running.set(0);
            self.seat.fibers.set(self.lua.counted_fibers() as u64);
            self.seat.fibers_ready.set(self.lua.ready_fibers() as u64);
        }
        wants
    }

    /// Begins, or goes on with, a collection that is near. False: none is.
    pub(crate) fn collect_in_idle_time(&mut self) -> bool {
        let wants = self.wants_collecting();
        if wants {
            self.lua.collect_a_little();
        }
        wants
    }

    /// Whether [`Instance::collect_in_idle_time`] has something to do. This is asked before the thread sleeps, so it is also
    /// when the instance says how large it is.
    pub(crate) fn wants_collecting(&mut self) -> bool {
        let wants = self.lua.wants_collecting();
        self.seat.heap.set(self.lua.heap() as u64);
        self.seat.collections.reach(self.lua.collections());
        self.seat.fibers.set(self.lua.counted_fibers() as u64);
        wants
    }

    /// True when it wants a turn at once. Other threads make it so, too.
    pub(crate) fn is_ready(&self) -> bool {
        self.lua.is_ready()
    }

    /// When it wants its next turn, on the port's clock; zero is at once.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        if self.lua.is_ready() { Some(Duration::ZERO) } else { self.lua.deadline() }
    }

    /// The next thing that has come of what waited; to be asked until there is none.
    pub(crate) fn next_settled(&mut self) -> Option<Settled> {
        loop {
            return Some(match self.lua.next_outcome()? {
                Outcome::Started(result) => {
                    self.phase = Phase::Running;
                    Settled::Started(result.map_err(|failure| failure.to_string()))
                }
                Outcome::Handled { conn, weight } => Settled::Handled { conn, weight },
                Outcome::Failed(failure) => {
                    self.seat.errors.add(1);
                    Settled::Failed(failure)
                }
                Outcome::Stopped => {
                    self.phase = Phase::Stopped;
                    Settled::Stopped
                }
                Outcome::Report(text) => {
                    tracing::error!(service = self.service, "{text}");
                    continue;
                }
                // Only a standalone service has a `run` that ends.
                Outcome::Ended(_) => continue,
            });
        }
    }

    /// True while a message of `conn` waits or is being handled.
    pub(crate) fn is_waiting(&self, conn: ConnId) -> bool {
        self.lua.is_waiting(conn)
    }

    /// Calls `onShutdown`. False: it waits, and [`Settled::Stopped`] follows. An instance that has not started has
    /// nothing to shut down.
    pub(crate) fn stop(&mut self, port: &mut dyn Port) -> bool {
        if self.phase != Phase::Running {
            return true;
        }
        self.phase = Phase::Stopped;
        match self.deliver(port, Event::Stop) {
            Verdict::Keep => {}
            Verdict::Waits { .. } => self.phase = Phase::Stopping,
            Verdict::Fail(failure) => super::log_failure(&failure, false),
        }
        self.phase == Phase::Stopped
    }

    /// True when nothing that was begun needs more time, provided that no event comes any more: no handler waits, or
    /// none ever goes on. An `onStart` that waits needs none.
    pub(crate) fn is_done(&self) -> bool {
        self.is_starting() || self.lua.is_idle() || self.waits_in_vain()
    }

    /// Interrupts all fibers; turns let their cleanup handlers run until [`Instance::has_ended`].
    pub(crate) fn wind_down(&mut self, port: &mut dyn Port) {
        self.lua.wind_down(port);
    }

    /// True when nothing is left that will ever run: no fiber, and no event that waits for its turn.
    pub(crate) fn has_ended(&self) -> bool {
        (self.lua.fibers() == 0 && self.lua.is_idle()) || self.waits_in_vain()
    }

    /// When a call begins that is timed.
    fn begin_timing(&mut self) -> Option<Instant> {
        match self.untimed.checked_sub(1) {
            Some(untimed) => {
                self.untimed = untimed;
                None
            }
            None => {
                self.untimed = TIMED - 1;
                Some(Instant::now())
            }
        }
    }

    /// So many events were handled since then.
    fn end_timing(&mut self, began: Option<Instant>, count: usize) {
        if let Some(began) = began {
            let each = began.elapsed() / count.max(1) as u32;
            self.slow = each > SLOW;
            self.seat.handlers.observe(each);
        }
    }

    fn note(&self, verdict: &Verdict) {
        if let Verdict::Fail(_) = verdict {
            self.seat.errors.add(1);
        }
    }

    /// True when nothing is sure to come that lets any of its fibers go on. What other services may send is not.
    fn waits_in_vain(&self) -> bool {
        self.next_turn().is_none() && !self.lua.is_owed()
    }

    /// Logs what still waits.
    pub(crate) fn report_deadlock(&mut self) {
        if let Some(text) = self.lua.deadlock() {
            tracing::error!(service = self.service, "service '{}': {text}", self.service);
        }
    }
}

/// Bytes of their payloads.
fn payloads(batch: &[Message<'_>]) -> usize {
    match batch {
        [one] => one.payload().len(),
        many => payloads_of_many(many),
    }
}

/// Apart from the message that comes alone: adding up by vectors would cost that one more than all other counting.
#[inline(never)]
fn payloads_of_many(batch: &[Message<'_>]) -> usize {
    batch.iter().map(|message| message.payload().len()).sum()
}

fn count_messages(tally: &InstanceTally, count: usize, bytes: usize) {
    tally.messages_in.add(count as u64);
    tally.bytes_in.add(bytes as u64);
}
