//! The echo run: load on a server, every echoed byte checked, throughput, latency and the server's CPU time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lapps_parser::OpCode;
use mio::event::Event;

use crate::connection::Arrived;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::framer::Framer;
use crate::meter::{Latency, Meter, Pace};
use crate::pattern::Pattern;
use crate::pool::Pool;
use crate::process::{CpuTime, resident};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::url::Scheme;
use crate::verifier::Verifier;

/// After a paced run, the messages that were due in it may come in for this long.
const GRACE: u64 = 10_000_000_000;
/// How long a closed connection may take to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// What to do to the server.
#[derive(Debug, Clone)]
pub struct EchoPlan {
    /// The server.
    pub target: Target,
    /// Connections, at least 1.
    pub connections: u32,
    /// Bytes of each message.
    pub payload: usize,
    /// Messages that each connection may have under way, at least 1.
    pub depth: u32,
    /// Text or binary.
    pub opcode: OpCode,
    /// Messages are requests of the LAppS protocol, and what comes back are their responses.
    pub lapps: bool,
    /// Load before the measurement.
    pub warm_up: Duration,
    /// Length of the measurement.
    pub duration: Duration,
    /// Messages per second over all connections; without it each connection sends as soon as an echo is back.
    pub rate: Option<u64>,
    /// The server's process, whose CPU time and memory are reported.
    pub pid: Option<u32>,
    /// How long the server may stand still.
    pub stall: Duration,
}

/// What a run has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoReport {
    /// Length of the measurement as it was, in nanoseconds.
    pub length: u64,
    /// Echoes that arrived in it.
    pub messages: u64,
    /// Echoes of the whole run, with those before and after the measurement; each was checked to its last byte.
    pub checked: u64,
    /// Latencies in nanoseconds; in a paced run counted from the time at which the message was due.
    pub latency: Latency,
    /// Messages of a paced run that were due in it and had no echo within 10 s after its end. Their waiting time until then
    /// is in `latency`.
    pub unanswered: u64,
    /// CPU time of the server during the measurement and its resident memory at the end, in bytes.
    pub server: Option<(CpuTime, u64)>,
    /// CPU nanoseconds of the client's one thread during the measurement.
    pub client: u64,
}

impl EchoReport {
    /// Echoes per second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / (self.length as f64 / 1e9)
    }
}

/// How a run is getting on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// So many connections are open.
    Open(u32),
    /// A second of the run has passed.
    Second {
        /// Seconds since its start, the warm-up included.
        second: u64,
        /// Which part of the run this is.
        stage: Stage,
        /// Echoes in this second.
        echoes: u64,
        /// The 99th percentile since the end of the warm-up, in nanoseconds; 0 before that.
        p99: u64,
    },
}

/// The parts of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Load that does not count.
    WarmUp,
    /// Load that counts.
    Measuring,
    /// No new load; the last echoes come in.
    Draining,
}

/// Opens the connections, runs the load, closes the connections.
///
/// # Errors
/// The first thing that goes wrong on any connection ends the run; so does a server that stands still.
pub fn run(plan: &EchoPlan, tell: &mut dyn FnMut(Progress)) -> Result<EchoReport, Failure> {
    if plan.payload == 0 && plan.target.url.scheme == Scheme::Tcp {
        return Err(Failure::Usage("a message of 0 bytes cannot be seen on tcp://".into()));
    }
    let pool =
        Pool::open(&plan.target, plan.connections, plan.stall, &mut |open| tell(Progress::Open(open)))?;
    let mut load = Load::new(plan, pool)?;
    load.run(tell)?;
    let Load { mut pool, meter, spent, unanswered, echoes, .. } = load;
    pool.close(GOODBYE)?;
    let client = spent.client;
    Ok(EchoReport {
        length: meter.length(),
        messages: meter.arrived(),
        checked: echoes,
        latency: meter.latency(),
        unanswered,
        server: spent.server,
        client,
    })
}

/// One connection's place in the run.
#[derive(Debug)]
struct Lane {
    verifier: Verifier,
    /// Messages sent.
    sent: u64,
    /// When each message that is under way was sent; empty in a paced run, whose timetable knows.
    stamps: VecDeque<u64>,
}

/// CPU times: at first those at the start of the measurement, then what it took.
#[derive(Debug, Default)]
struct Spent {
    server: Option<(CpuTime, u64)>,
    client: u64,
}

struct Load<'p> {
    plan: &'p EchoPlan,
    pool: Pool,
    lanes: Vec<Lane>,
    pattern: Pattern,
    framer: Framer,
    schedule: Option<Schedule>,
    meter: Meter,
    stage: Stage,
    /// When the measurement begins and ends, on the run's clock.
    measure: u64,
    end: u64,
    spent: Spent,
    unanswered: u64,
    /// The run's clock counts nanoseconds from here.
    origin: Instant,
    /// Messages under way.
    in_flight: u64,
    /// Echoes since the start.
    echoes: u64,
    /// When something last came back, or nothing was under way.
    progress: u64,
}

impl<'p> Load<'p> {
    fn new(plan: &'p EchoPlan, mut pool: Pool) -> Result<Load<'p>, Failure> {
        let text = plan.lapps || plan.opcode == OpCode::Text;
        let mut pattern = Pattern::new(plan.payload, text, &mut pool.random);
        if plan.lapps {
            pattern = pattern.within(Envelope::lapps(plan.payload));
        }
        let framer = match plan.target.url.scheme {
            Scheme::Tcp => Framer::bare(),
            Scheme::Ws | Scheme::Wss => Framer::websocket(plan.opcode, pattern.sent_len()),
        };
        let lanes = (0..plan.connections).map(|connection| Lane {
            verifier: Verifier::new(connection),
            sent: 0,
            stamps: VecDeque::new(),
        });
        let measure = plan.warm_up.as_nanos() as u64;
        let end = measure + plan.duration.as_nanos() as u64;
        let pace = if plan.rate.is_some() { Pace::Scheduled } else { Pace::ClosedLoop };
        Ok(Load {
            plan,
            pool,
            lanes: lanes.collect(),
            pattern,
            framer,
            schedule: plan.rate.map(|rate| Schedule::new(rate, plan.connections, 0, end)),
            meter: Meter::new(pace),
            stage: Stage::WarmUp,
            measure,
            end,
            spent: Spent::default(),
            unanswered: 0,
            origin: Instant::now(),
            in_flight: 0,
            echoes: 0,
            progress: 0,
        })
    }

    fn run(&mut self, tell: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
        let mut told = (0, 0);
        self.origin = Instant::now();
        if self.schedule.is_none() {
            for index in 0..self.lanes.len() {
                self.fill(index)?;
            }
        }
        loop {
            let now = self.now();
            let second = now / 1_000_000_000;
            if second > told.0 {
                let echoes = self.echoes - told.1;
                tell(Progress::Second { second, stage: self.stage, echoes, p99: self.meter.latency().p99 });
                told = (second, self.echoes);
            }
            self.advance(now)?;
            if self.stage == Stage::Draining && (self.in_flight == 0 || self.give_up(now)) {
                return Ok(());
            }
            self.watch(now)?;
            while let Some(index) = self.schedule.as_mut().and_then(|schedule| schedule.take(now)) {
                self.fill(index as usize)?;
            }
            self.turn()?;
        }
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let events = self.pool.poll(self.timeout())?;
        for event in &events {
            self.serve(event.token().0, event)?;
        }
        self.pool.recycle(events);
        Ok(())
    }

    /// Takes the echoes of one connection and sends what may follow them.
    fn serve(&mut self, index: usize, event: &Event) -> Result<(), Failure> {
        let Load { plan, pool, lanes, pattern, .. } = self;
        let lane = &mut lanes[index];
        let before = lane.verifier.complete();
        let Pool { connections, buffers, random, .. } = pool;
        connections[index].ready(event, buffers, random, |arrived| match arrived {
            Arrived::Message { opcode, payload } => {
                lane.verifier.message(pattern, lane.sent, plan.opcode, opcode, payload)
            }
            Arrived::Bytes(bytes) => lane.verifier.bytes(pattern, lane.sent, bytes),
        })?;
        let after = lane.verifier.complete();
        if after > before {
            let now = self.now();
            self.progress = now;
            self.in_flight -= after - before;
            self.echoes += after - before;
            let stamps = &mut self.lanes[index].stamps;
            for message in before..after {
                let since = match &self.schedule {
                    Some(schedule) => schedule.due(index as u32, message),
                    None => stamps.pop_front().unwrap_or(now),
                };
                self.meter.echo(now, since);
            }
        }
        self.fill(index)
    }

    /// Brings a connection up to its depth, in one write.
    fn fill(&mut self, index: usize) -> Result<(), Failure> {
        let lane = &mut self.lanes[index];
        let Pool { connections, buffers, random, .. } = &mut self.pool;
        let connection = index as u32;
        let room = u64::from(self.plan.depth) - (lane.sent - lane.verifier.complete());
        let mut more = 0;
        if self.stage != Stage::Draining || self.schedule.is_some() {
            let now = if self.schedule.is_some() { elapsed(self.origin) } else { 0 };
            while more < room {
                let message = lane.sent + more;
                if self.schedule.as_ref().is_some_and(|s| !s.may_send(connection, message, now)) {
                    break;
                }
                self.framer.append(&mut buffers.out, &self.pattern, random, connection, message);
                more += 1;
            }
        }
        lane.sent += more;
        self.in_flight += more;
        if self.schedule.is_none() && more > 0 {
            let now = elapsed(self.origin);
            lane.stamps.extend((0..more).map(|_| now));
        }
        if buffers.out.is_empty() { Ok(()) } else { connections[index].send(buffers, random) }
    }

    /// Goes on to the next part of the run when its time has come.
    fn advance(&mut self, now: u64) -> Result<(), Failure> {
        match self.stage {
            Stage::WarmUp if now >= self.measure => {
                self.spent.client = CpuTime::of_this_thread()?;
                self.spent.server = match self.plan.pid {
                    Some(pid) => Some((CpuTime::of(pid)?, 0)),
                    None => None,
                };
                let opened = self.now();
                self.meter.open(opened);
                self.stage = Stage::Measuring;
                // A timetable has its own end; what is measured without one gets its full length.
                if self.schedule.is_none() {
                    self.end = opened + self.plan.duration.as_nanos() as u64;
                }
            }
            Stage::Measuring if now >= self.end => {
                self.meter.shut(self.now());
                if let (Some(pid), Some((before, _))) = (self.plan.pid, self.spent.server) {
                    self.spent.server = Some((CpuTime::of(pid)?.since(before), resident(pid)?));
                }
                self.spent.client = CpuTime::of_this_thread()? - self.spent.client;
                self.stage = Stage::Draining;
            }
            Stage::WarmUp | Stage::Measuring | Stage::Draining => {}
        }
        Ok(())
    }

    /// Fails if messages are under way and nothing has come back for too long.
    fn watch(&mut self, now: u64) -> Result<(), Failure> {
        if self.in_flight == 0 {
            self.progress = now;
        }
        if u128::from(now - self.progress) <= self.plan.stall.as_nanos() {
            return Ok(());
        }
        let waiting = self.lanes.iter().filter(|lane| lane.sent > lane.verifier.complete()).count();
        let waiting_for = format!(
            "{} messages are under way on {waiting} of {} connections",
            self.in_flight,
            self.lanes.len()
        );
        Err(Failure::Stalled { waiting_for, seconds: self.plan.stall.as_secs() })
    }

    /// Whether a paced run has waited long enough for what was due in it. What has not come then counts with the time
    /// that it has waited so far.
    fn give_up(&mut self, now: u64) -> bool {
        let Some(schedule) = &self.schedule else { return false };
        if now < self.end + GRACE {
            return false;
        }
        for (connection, lane) in (0..).zip(&self.lanes) {
            let mut message = lane.verifier.complete();
            while schedule.may_send(connection, message, now) {
                self.meter.echo(now, schedule.due(connection, message));
                self.unanswered += 1;
                message += 1;
            }
        }
        true
    }

    /// How long to wait for events. The poller counts milliseconds, a timetable is finer: the last of them are spent
    /// asking.
    fn timeout(&self) -> Duration {
        const MS: u64 = 1_000_000;
        let now = self.now();
        let change = match self.stage {
            Stage::WarmUp => self.measure,
            Stage::Measuring => self.end,
            Stage::Draining => u64::MAX,
        };
        let due = self.schedule.as_ref().and_then(Schedule::next_due);
        let due = due.map_or(u64::MAX, |due| due.saturating_sub(2 * MS));
        let wait = change.min(due).saturating_sub(now).min(100 * MS);
        Duration::from_millis(wait.div_ceil(MS))
    }

    fn now(&self) -> u64 {
        elapsed(self.origin)
    }
}

#[inline]
fn elapsed(origin: Instant) -> u64 {
    origin.elapsed().as_nanos() as u64
}
