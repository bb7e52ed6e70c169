//! A broadcast run: one connection asks, all of them get the same message.

use std::time::{Duration, Instant};

use lapps_parser::OpCode;
use lapps_parser::frame::write_masked_frame;

use super::ledger::Run;
use super::runs::target;
use crate::connection::Arrived;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::home::BROADCAST_TEXT;
use crate::pool::Pool;
use crate::process::CpuTime;
use crate::url::Scheme;

/// Bytes of each message that comes back: CBOR with [`BROADCAST_TEXT`] bytes of text.
const MESSAGE: usize = 17 + BROADCAST_TEXT;
/// The same with the head of its frame, which is what the bare fan-out passes on.
const FRAME: usize = 2 + MESSAGE;
const STALL: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(5);

/// Broadcasts to `connections` one after the other for `duration`, each when all have got the one before: `cpu` and `user`
/// in nanoseconds per delivery, `rate` in deliveries per second.
///
/// # Errors
/// The first connection that fails; a message that is not the broadcast; a server that stands still.
pub fn run(
    pid: u32,
    url: &str,
    connections: u32,
    warm_up: Duration,
    duration: Duration,
) -> Result<Run, Failure> {
    let target = target(url)?;
    let mut pool = Pool::open(&target, connections, STALL, &mut |_| ())?;
    // Subscriptions are made behind the upgrades.
    pool.hold(Duration::from_millis(200))?;
    let bare = target.url.scheme == Scheme::Tcp;
    let mut fan = Fan { pool, connections, bare, request: Envelope::lapps(0).sent };
    fan.rounds(warm_up)?;
    let before = CpuTime::of(pid)?;
    let began = Instant::now();
    let deliveries = fan.rounds(duration)? as f64;
    let took = began.elapsed();
    let spent = CpuTime::of(pid)?.since(before);
    fan.pool.close(GOODBYE)?;
    Ok(Run::from([
        ("cpu", spent.run as f64 / deliveries),
        ("user", spent.user as f64 / deliveries),
        ("rate", deliveries / took.as_secs_f64()),
    ]))
}

struct Fan {
    pool: Pool,
    connections: u32,
    bare: bool,
    request: Vec<u8>,
}

impl Fan {
    /// Rounds until `duration` is over, at least one; how many deliveries there were.
    fn rounds(&mut self, duration: Duration) -> Result<u64, Failure> {
        let began = Instant::now();
        let mut deliveries = 0;
        while deliveries == 0 || began.elapsed() < duration {
            self.round()?;
            deliveries += u64::from(self.connections);
        }
        Ok(deliveries)
    }

    fn round(&mut self) -> Result<(), Failure> {
        let Pool { connections, buffers, random, .. } = &mut self.pool;
        if self.bare {
            buffers.out.resize(FRAME, b'x');
        } else {
            write_masked_frame(&mut buffers.out, true, OpCode::Binary, &self.request, random.mask());
        }
        connections[0].send(buffers, random)?;
        let each = if self.bare { FRAME } else { MESSAGE };
        let wanted = each * self.connections as usize;
        let mut arrived = 0;
        let mut progress = Instant::now();
        while arrived < wanted {
            let before = arrived;
            let events = self.pool.poll(Duration::from_millis(100))?;
            for event in &events {
                let index = event.token().0;
                self.pool.ready(index, event, |part| take(index, &part, &mut arrived))?;
            }
            self.pool.recycle(events);
            if arrived > before {
                progress = Instant::now();
            } else if progress.elapsed() > STALL {
                let waiting_for = format!("{arrived} of {wanted} bytes of a broadcast have come");
                return Err(Failure::Stalled { waiting_for, seconds: STALL.as_secs() });
            }
        }
        if arrived == wanted {
            Ok(())
        } else {
            Err(mismatch(0, format!("{} bytes too many", arrived - wanted)))
        }
    }
}

fn take(index: usize, part: &Arrived<'_>, arrived: &mut usize) -> Result<(), Failure> {
    match part {
        Arrived::Bytes(bytes) => *arrived += bytes.len(),
        Arrived::Message { payload, .. } => {
            if payload.len() != MESSAGE || !payload.ends_with(&[b'x'; BROADCAST_TEXT]) {
                return Err(mismatch(index, format!("{} bytes that are not the broadcast", payload.len())));
            }
            *arrived += payload.len();
        }
    }
    Ok(())
}

#[cold]
fn mismatch(index: usize, what: String) -> Failure {
    Failure::Mismatch { connection: index as u32, message: 0, what }
}
