//! io_uring: one system call per turn takes what is to be sent, waits, and brings what has come.

#![allow(unsafe_code)]

mod lent;
mod orders;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};

use super::poller::Readiness;
use lent::Lending;

pub(crate) use lent::{BUFFER_SIZE, BUFFERS, Lent};
pub(crate) use orders::{Asked, Order, Wish};

use orders::Kind;

/// Orders that the kernel is given by one call; more take further calls.
const ORDERS: u32 = 256;

/// Completions that the kernel has room for before it keeps them elsewhere.
const COMPLETIONS: u32 = 4096;

/// The waiting of `io_uring_enter` for completions, which also lets the kernel do what it has put off.
const GETEVENTS: u32 = 1;

/// Tokens are below this; above it stands what an order was.
const TOKENS: u64 = 1 << 60;

/// One thread's ring. The thread that calls [`Ring::enable`] is the one that uses it.
///
/// The kernel works only inside of our calls (`IORING_SETUP_DEFER_TASKRUN`): between them it writes to no buffer.
pub(crate) struct Ring {
    ring: IoUring,
    lending: Lending,
    wake: Arc<OwnedFd>,
    /// A poller whose readiness is news here, too.
    nested: RawFd,
    /// What has still to be ended, as what it was ordered with.
    cancels: Vec<u64>,
    /// What the present call sends.
    sends: Vec<Sent>,
    /// The wake-up, and the poller, are to be watched from the next call on.
    watch_wake: bool,
    watch_nested: bool,
    /// A call did not come to its end: entries that nobody vouches for may lie in the queue.
    broken: bool,
}

/// What a call of [`Ring::turn`] brought; room that is used again.
#[derive(Default)]
pub(crate) struct Batch {
    /// What became of everything that was to be sent.
    pub(crate) sent: Vec<Sent>,
    /// What else has come, in order.
    pub(crate) news: Vec<News>,
    /// The nested poller has something.
    pub(crate) nested: bool,
}

/// What became of a [`Wish::Send`].
pub(crate) struct Sent {
    pub(crate) token: u64,
    /// Bytes that were to be sent.
    pub(crate) asked: usize,
    /// How many of them were; fewer: the socket takes no more.
    pub(crate) result: io::Result<usize>,
}

/// Something that has come for the socket with this token.
pub(crate) struct News {
    pub(crate) token: u64,
    pub(crate) what: What,
    /// More will come without another order.
    pub(crate) more: bool,
}

/// What has come.
pub(crate) enum What {
    /// Bytes, to be given back by [`Ring::give`].
    Bytes(Lent),
    /// The peer will send nothing more.
    End,
    /// Receiving failed.
    Failed(io::Error),
    /// Receiving has stopped, because it was cancelled or no buffer was left. Nothing is lost.
    Stopped,
    /// A [`Wish::Watch`], [`Wish::Writable`] or [`Wish::Fault`], and how the socket is.
    Ready(Asked, Readiness),
}

impl Ring {
    /// A ring that is not enabled. `nested` is a poller that stays open as long as the ring is there.
    ///
    /// # Errors
    /// The kernel, or a sandbox, refuses; see [`reason`].
    pub(crate) fn new(nested: RawFd) -> io::Result<Ring> {
        let ring = build(ORDERS, true)?;
        let lending = Lending::new(&ring)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Ring {
            ring,
            lending,
            wake: Arc::new(wake),
            nested,
            cancels: Vec::new(),
            sends: Vec::new(),
            watch_wake: true,
            watch_nested: true,
            broken: false,
        })
    }

    /// Whether the kernel does what is used here, down to how it reports a send that the socket did not take whole.
    ///
    /// # Errors
    /// It does not; see [`reason`].
    pub(crate) fn probe() -> io::Result<()> {
        let (nested, (near, far)) = (eventfd(0, EventfdFlags::CLOEXEC)?, UnixStream::pair()?);
        near.set_nonblocking(true)?;
        let mut ring = Ring::new(nested.as_raw_fd())?;
        ring.enable()?;
        let (bytes, mut batch) = (vec![0; 1 << 20], Batch::default());
        let send = || [Order::new(0, &near, Wish::Send(&bytes))];
        ring.turn(send().into_iter(), &mut batch, Some(Duration::ZERO))?;
        ring.turn(send().into_iter(), &mut batch, Some(Duration::ZERO))?;
        let short = |sent: &Sent| sent.result.as_ref().is_ok_and(|&len| len > 0 && len < sent.asked);
        let blocked = |sent: &Sent| is_blocked(&sent.result);
        if batch.sent.len() != 2 || !short(&batch.sent[0]) || !blocked(&batch.sent[1]) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        batch.news.clear();
        ring.turn([Order::new(1, &far, Wish::Receive)].into_iter(), &mut batch, Some(Duration::ZERO))?;
        match batch.news.first() {
            Some(News { token: 1, what: What::Bytes(lent), .. }) if !lent.is_empty() => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Makes the calling thread the one that uses the ring.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()
    }

    /// Writing to it ends the waiting of [`Ring::turn`].
    pub(crate) fn wake(&self) -> &Arc<OwnedFd> {
        &self.wake
    }

    /// Takes back a buffer.
    pub(crate) fn give(&mut self, lent: Lent) {
        self.lending.give(lent);
    }

    /// Ends an order that has not ended by itself, with the next [`Ring::turn`]. What it brought before that still comes.
    /// Until then the kernel keeps the socket open.
    pub(crate) fn cancel(&mut self, token: u64, asked: Asked) {
        self.cancels.push(Kind::of(asked).data(token));
    }

    /// Gives orders to the kernel, waits until something has come, for `timeout` at most, and appends it to `batch`. What
    /// is to be sent is sent, or refused by the socket, when this returns.
    ///
    /// # Errors
    /// The ring cannot be used any more.
    pub(crate) fn turn<'b>(
        &mut self,
        orders: impl Iterator<Item = Order<'b>>,
        batch: &mut Batch,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for data in std::mem::take(&mut self.cancels) {
            let cancel = opcode::AsyncCancel::new(data).build().flags(squeue::Flags::SKIP_SUCCESS);
            self.push(cancel.user_data(Kind::Cancel.data(0)), batch)?;
        }
        if std::mem::take(&mut self.watch_wake) {
            let poll = opcode::PollAdd::new(Fd(self.wake.as_raw_fd()), libc::POLLIN as u32).multi(true);
            self.push(poll.build().user_data(Kind::Wake.data(0)), batch)?;
        }
        if std::mem::take(&mut self.watch_nested) {
            let poll = opcode::PollAdd::new(Fd(self.nested), libc::POLLIN as u32);
            self.push(poll.build().user_data(Kind::Nested.data(0)), batch)?;
        }
        for order in orders {
            let data = match order.wish {
                Wish::Send(bytes) => {
                    self.sends.push(Sent { token: order.token, asked: bytes.len(), result: Ok(bytes.len()) });
                    Kind::Send.data(self.sends.len() as u64 - 1)
                }
                _ => order.kind().data(order.token),
            };
            self.push(order.entry().user_data(data), batch)?;
        }
        self.enter(timeout, batch)?;
        batch.sent.append(&mut self.sends);
        self.broken = false;
        Ok(())
    }

    fn push(&mut self, entry: squeue::Entry, batch: &mut Batch) -> io::Result<()> {
        loop {
            // SAFETY: the memory of sends is borrowed until `turn` returns, and that is after the kernel has done them,
            // or else with an error, after which the queue is not submitted any more. Received is into memory of
            // `Lending`. No other entry has an address.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.enter(Some(Duration::ZERO), batch)?;
        }
    }

    /// Lets the kernel take all entries, and waits for completions. A send is executed when its entry is taken, and
    /// reported only if it failed or was short (`MSG_DONTWAIT`, `IOSQE_CQE_SKIP_SUCCESS`).
    fn enter(&mut self, mut timeout: Option<Duration>, batch: &mut Batch) -> io::Result<()> {
        loop {
            let submitter = self.ring.submitter();
            let entered = match timeout {
                None => submitter.submit_and_wait(1),
                Some(Duration::ZERO) => {
                    let count = self.ring.submission().len() as u32;
                    // SAFETY: without an argument there is nothing but numbers.
                    unsafe { self.ring.submitter().enter::<libc::sigset_t>(count, 0, GETEVENTS, None) }
                }
                Some(timeout) => {
                    let timeout = Timespec::from(timeout);
                    submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timeout))
                }
            };
            match entered.map_err(|error| (error.raw_os_error(), error)) {
                // EBUSY, EAGAIN: it has no room for more before completions are taken.
                Ok(_) | Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => {}
                Err((_, error)) => return Err(error),
            }
            self.collect(batch);
            let mut queue = self.ring.submission();
            queue.sync();
            if queue.is_empty() && !queue.cq_overflow() {
                return Ok(());
            }
            timeout = Some(Duration::ZERO);
        }
    }

    fn collect(&mut self, batch: &mut Batch) {
        for entry in self.ring.completion() {
            let (kind, token) = Kind::split(entry.user_data());
            let (more, result) = (cqueue::more(entry.flags()), entry.result());
            let asked = match kind {
                Kind::Send => {
                    if let Some(sent) = self.sends.get_mut(token as usize) {
                        sent.result = outcome(result);
                    }
                    continue;
                }
                Kind::Wake => {
                    self.watch_wake |= !more;
                    continue;
                }
                Kind::Nested => {
                    self.watch_nested = true;
                    batch.nested = true;
                    continue;
                }
                Kind::Cancel => continue,
                Kind::Receive => {
                    let buffer = cqueue::buffer_select(entry.flags());
                    let what = match (outcome(result), buffer) {
                        (Ok(0), None) => What::End,
                        (Ok(len), Some(id)) => match self.lending.take(id, len) {
                            // The end of the stream may come with a buffer, empty.
                            lent if len == 0 => {
                                self.lending.give(lent);
                                What::End
                            }
                            lent => What::Bytes(lent),
                        },
                        (Ok(_), None) => What::Stopped,
                        (Err(error), _) => match error.raw_os_error() {
                            Some(libc::ECANCELED | libc::ENOBUFS | libc::EINTR | libc::EAGAIN) => {
                                What::Stopped
                            }
                            _ => What::Failed(error),
                        },
                    };
                    batch.news.push(News { token, what, more });
                    continue;
                }
                Kind::Watch => Asked::Watch,
                Kind::Writable => Asked::Writable,
                Kind::Fault => Asked::Fault,
            };
            // One that was cancelled says so by an error, and nobody listens any more.
            if let Ok(mask) = outcome(result) {
                let what = What::Ready(asked, Readiness::of_poll(mask as i16));
                batch.news.push(News { token, what, more });
            } else {
                let what = What::Ready(asked, Readiness::default());
                batch.news.push(News { token, what, more });
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.lending.end(&self.ring);
    }
}

/// True when a socket took nothing because it has no room.
pub(crate) fn is_blocked(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Why there can be no ring, in words for the log.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel has no io_uring".to_owned(),
        Some(libc::EPERM | libc::EACCES) => {
            format!("the system forbids it: a sandbox, or kernel.io_uring_disabled ({error})")
        }
        Some(libc::EINVAL) => format!("it needs Linux 6.1 ({error})"),
        Some(libc::ENOMEM) => format!("the system gives no memory, see `ulimit -l` ({error})"),
        None if error.kind() == io::ErrorKind::Unsupported => {
            "this kernel reports sends or receives in another way than it should".to_owned()
        }
        _ => error.to_string(),
    }
}

fn build(entries: u32, disabled: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS).setup_submit_all().setup_single_issuer().setup_defer_taskrun();
    if disabled {
        builder.setup_r_disabled();
    }
    builder.build(entries)
}

fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
