//! Queues by which services hand values to each other, across threads: named, bounded, and fair.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::bell::Bell;
use crate::value::Shared;

/// What a message weighs besides its bytes, and what a queue weighs besides its name.
const MESSAGE: usize = 64;
const QUEUE: usize = 512;

/// How much may lie in queues.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Messages in one queue.
    pub messages: usize,
    /// Bytes in all queues together. The message that goes over it is still taken.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 65,536 messages, 256 MiB.
    fn default() -> Bounds {
        Bounds { messages: 65_536, bytes: 256 << 20 }
    }
}

/// All queues of one server, by name. A queue lives as long as somebody holds it.
#[derive(Debug)]
pub struct Queues {
    by_name: Mutex<HashMap<Box<[u8]>, Weak<Queue>>>,
    bounds: Bounds,
    /// What lies in all queues weighs, and they themselves.
    bytes: AtomicUsize,
}

/// One queue.
#[derive(Debug)]
pub(crate) struct Queue {
    name: Box<[u8]>,
    all: Arc<Queues>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their numbers.
    messages: VecDeque<Message>,
    /// Of the next message.
    number: u64,
    /// Who waits, first come first served. While somebody waits there are no messages.
    waiters: BTreeMap<u64, Waiter>,
    /// Of the next waiter.
    waiter: u64,
    /// For waiters that have been served and have not come back for it yet.
    delivered: HashMap<u64, Message>,
}

#[derive(Debug)]
struct Waiter {
    bell: Arc<Bell>,
    ticket: u64,
}

/// What one service has sent. It is to be ended by [`Queue::forget`] or [`Queue::give_back`].
#[derive(Debug)]
pub(crate) struct Message {
    number: u64,
    weight: usize,
    pub(crate) parcel: Parcel,
}

/// A value between two Lua states.
#[derive(Debug)]
pub(crate) enum Parcel {
    Boolean(bool),
    Number(f64),
    Text(Box<[u8]>),
    Value {
        value: Shared,
        /// What is being given to Lua of it.
        given: Option<Shared>,
    },
}

/// A place in the line of a queue. When it is dropped, what has been delivered meanwhile goes back.
#[derive(Debug)]
pub(crate) struct Wait {
    /// `None` when it is over.
    queue: Option<Arc<Queue>>,
    number: u64,
}

impl Queues {
    /// No queues yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Queues> {
        Arc::new(Queues { by_name: Mutex::default(), bounds, bytes: AtomicUsize::new(0) })
    }

    /// The queue of this name, which is made if there is none. `None`: there is no room for another.
    pub(crate) fn open(self: &Arc<Queues>, name: &[u8]) -> Option<Arc<Queue>> {
        let mut by_name = lock(&self.by_name);
        if let Some(queue) = by_name.get(name).and_then(Weak::upgrade) {
            return Some(queue);
        }
        if self.is_full() {
            return None;
        }
        self.bytes.fetch_add(QUEUE + name.len(), Ordering::Relaxed);
        let queue = Arc::new(Queue { name: name.into(), all: Arc::clone(self), state: Mutex::default() });
        by_name.insert(name.into(), Arc::downgrade(&queue));
        Some(queue)
    }

    /// How many queues there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.by_name).len()
    }

    /// Bytes in all of them, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.bytes() >= self.bounds.bytes
    }
}

impl Queue {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Gives a value to whoever waits longest, or else keeps it. False: the queue is full.
    pub(crate) fn post(&self, parcel: Parcel) -> bool {
        let weight = parcel.weight();
        let mut state = lock(&self.state);
        let is_long = state.waiters.is_empty() && state.messages.len() >= self.all.bounds.messages;
        if is_long || self.all.is_full() {
            // The value is dropped behind the lock, which is released here.
            drop(state);
            return false;
        }
        self.all.bytes.fetch_add(weight, Ordering::Relaxed);
        let number = state.number;
        state.number += 1;
        self.put(state, Message { number, weight, parcel });
        true
    }

    /// Takes the oldest value.
    pub(crate) fn take(&self) -> Option<Message> {
        lock(&self.state).messages.pop_front()
    }

    /// Stands in line; the bell will ring with the ticket when there is something. `None`: there is something already.
    pub(crate) fn wait(self: &Arc<Queue>, bell: &Arc<Bell>, ticket: u64) -> Option<Wait> {
        let mut state = lock(&self.state);
        if !state.messages.is_empty() {
            return None;
        }
        let number = state.waiter;
        state.waiter += 1;
        state.waiters.insert(number, Waiter { bell: Arc::clone(bell), ticket });
        Some(Wait { queue: Some(Arc::clone(self)), number })
    }

    /// Puts a value back that was taken and could not be used: before all that came after it.
    pub(crate) fn give_back(&self, message: Message) {
        self.put(lock(&self.state), message);
    }

    /// The value has arrived.
    pub(crate) fn forget(&self, message: Message) {
        self.all.bytes.fetch_sub(message.weight, Ordering::Relaxed);
    }

    fn put(&self, mut state: MutexGuard<'_, State>, message: Message) {
        if let Some((number, Waiter { bell, ticket })) = state.waiters.pop_first() {
            state.delivered.insert(number, message);
            drop(state);
            bell.ring(ticket);
            return;
        }
        // Only what is given back comes before others, and then only before a few.
        let at = state.messages.iter().rposition(|other| other.number < message.number);
        let at = at.map_or(0, |at| at + 1);
        state.messages.insert(at, message);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let left = state.messages.iter().map(|message| message.weight).sum::<usize>();
        self.all.bytes.fetch_sub(left + QUEUE + self.name.len(), Ordering::Relaxed);
        let mut by_name = lock(&self.all.by_name);
        // By now there may be a new one of that name.
        if by_name.get(&self.name).is_some_and(|queue| queue.strong_count() == 0) {
            by_name.remove(&self.name);
        }
    }
}

impl Wait {
    /// Ends the wait: the queue, and what was delivered, if anything was.
    pub(crate) fn settle(mut self) -> Option<(Arc<Queue>, Message)> {
        self.leave()
    }

    fn leave(&mut self) -> Option<(Arc<Queue>, Message)> {
        let queue = self.queue.take()?;
        let mut state = lock(&queue.state);
        if state.waiters.remove(&self.number).is_some() {
            return None;
        }
        let message = state.delivered.remove(&self.number)?;
        drop(state);
        Some((queue, message))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some((queue, message)) = self.leave() {
            queue.give_back(message);
        }
    }
}

impl From<Shared> for Parcel {
    fn from(value: Shared) -> Parcel {
        Parcel::Value { value, given: None }
    }
}

impl Parcel {
    fn weight(&self) -> usize {
        MESSAGE
            + match self {
                Parcel::Boolean(_) | Parcel::Number(_) => 0,
                Parcel::Text(text) => text.len(),
                // All of the document, of which it may be a part.
                Parcel::Value { value, .. } => value.tree.bytes(),
            }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const ROOMY: Bounds = Bounds { messages: 1000, bytes: 1 << 20 };

    fn bell() -> Arc<Bell> {
        Bell::new(|| {})
    }

    fn number(message: Option<Message>) -> Option<f64> {
        message.map(|message| match message.parcel {
            Parcel::Number(number) => number,
            other => panic!("{other:?}"),
        })
    }

    fn post(queue: &Queue, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            assert!(queue.post(Parcel::Number(number.into())));
        }
    }

    fn taken(queue: &Queue) -> Option<f64> {
        number(queue.take())
    }

    fn settled(wait: Wait) -> Option<f64> {
        number(wait.settle().map(|(_, message)| message))
    }

    #[test]
    fn a_name_is_one_queue_as_long_as_somebody_holds_it() {
        let queues = Queues::new(ROOMY);
        let queue = queues.open(b"jobs").unwrap();
        let same = queues.open(b"jobs").unwrap();
        let other = queues.open(b"").unwrap();
        post(&queue, [1, 2]);
        assert_eq!((taken(&same), taken(&other)), (Some(1.0), None));
        drop(queue);
        assert_eq!((queues.count(), taken(&same)), (2, Some(2.0)));
    }

    #[test]
    fn a_queue_and_its_values_go_with_the_last_who_holds_it() {
        let queues = Queues::new(ROOMY);
        for round in 0..10_000 {
            let queue = queues.open(format!("queue {}", round % 10).as_bytes()).unwrap();
            assert_eq!(taken(&queue), None, "nothing of the last one of that name");
            post(&queue, 0..5);
            let other = queues.open(b"other").unwrap();
            let _wait = other.wait(&bell(), 1).unwrap();
            assert!(queue.post(Parcel::Text(vec![0; 100].into())));
            assert!(other.post(Parcel::Boolean(true)));
        }
        assert_eq!((queues.count(), queues.bytes()), (0, 0));
    }

    #[test]
    fn a_full_queue_refuses_until_there_is_room() {
        let queues = Queues::new(Bounds { messages: 2, bytes: 1 << 20 });
        let queue = queues.open(b"q").unwrap();
        post(&queue, [1, 2]);
        assert!(!queue.post(Parcel::Number(3.0)));
        post(&queues.open(b"another").unwrap(), [1, 2]);
        assert_eq!(taken(&queue), Some(1.0));
        post(&queue, [4]);
        assert_eq!((taken(&queue), taken(&queue), taken(&queue)), (Some(2.0), Some(4.0), None));
    }

    #[test]
    fn bytes_are_counted_over_all_queues_until_they_have_arrived() {
        let queues = Queues::new(Bounds { messages: 10, bytes: 10_000 });
        let (a, b) = (queues.open(b"a").unwrap(), queues.open(b"b").unwrap());
        let text = || Parcel::Text(vec![b'x'; 6000].into());
        assert!(a.post(text()) && b.post(text()), "the one that goes over it is taken");
        assert!(!a.post(Parcel::Number(1.0)) && !b.post(Parcel::Number(1.0)));
        assert!(queues.open(b"c").is_none() && queues.open(b"a").is_some());
        let message = b.take().unwrap();
        assert!(!a.post(Parcel::Number(1.0)), "it is on its way");
        b.forget(message);
        assert!(a.post(Parcel::Number(1.0)) && queues.open(b"c").is_some());
    }

    #[test]
    fn who_waits_first_is_served_first() {
        let queues = Queues::new(ROOMY);
        let queue = queues.open(b"q").unwrap();
        let bell = bell();
        let waits: Vec<_> = (1..=3).map(|ticket| queue.wait(&bell, ticket).unwrap()).collect();
        post(&queue, [10, 20]);
        assert_eq!(bell.take(), [1, 2]);
        assert_eq!(taken(&queue), None, "they are not for others");
        let got: Vec<_> = waits.into_iter().map(settled).collect();
        assert_eq!(got, [Some(10.0), Some(20.0), None]);
        post(&queue, [30]);
        assert_eq!(bell.take(), [0; 0], "the third has left");
        assert!(queue.wait(&bell, 4).is_none(), "nobody waits for what is there");
        assert_eq!(taken(&queue), Some(30.0));
    }

    #[test]
    fn what_a_lost_waiter_had_got_goes_back_to_its_place() {
        let queues = Queues::new(ROOMY);
        let queue = queues.open(b"q").unwrap();
        let bell = bell();
        let mut waits: Vec<_> = (1..=3).map(|ticket| queue.wait(&bell, ticket).unwrap()).collect();
        post(&queue, 1..=5);
        drop(waits.remove(0));
        drop(waits.remove(1));
        let got: Vec<_> = std::iter::from_fn(|| taken(&queue)).collect();
        assert_eq!(got, [1.0, 3.0, 4.0, 5.0]);
        assert_eq!(settled(waits.remove(0)), Some(2.0));
        // Or to the next who waits.
        let lost = queue.wait(&bell, 6).unwrap();
        let next = queue.wait(&bell, 7).unwrap();
        post(&queue, [6]);
        drop(lost);
        assert_eq!(bell.take(), [1, 2, 3, 6, 7]);
        assert_eq!(settled(next), Some(6.0));
    }

    #[test]
    fn nothing_is_lost_between_threads_whoever_gives_up() {
        const EACH: u64 = 20_000;
        let queues = Queues::new(Bounds { messages: 64, bytes: 1 << 20 });
        let (received, sum) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for sender in 0..2 {
                let queue = queues.open(b"q").unwrap();
                scope.spawn(move || {
                    for n in 0..EACH {
                        while !queue.post(Parcel::Number((sender * EACH + n) as f64)) {
                            thread::yield_now();
                        }
                    }
                });
            }
            for receiver in 0..3 {
                let queue = queues.open(b"q").unwrap();
                let (received, sum) = (&received, &sum);
                scope.spawn(move || {
                    let (wake, woken) = mpsc::channel();
                    let bell = Bell::new(move || wake.send(()).unwrap_or_default());
                    let mut last = [None; 2];
                    let mut round = receiver;
                    while received.load(Ordering::Relaxed) < 2 * EACH {
                        let message = queue.take().or_else(|| {
                            let wait = queue.wait(&bell, round)?;
                            round += 1;
                            // Some have no patience, and some are lost altogether.
                            if round % 3 == 0 {
                                let _ = woken.recv_timeout(std::time::Duration::from_millis(1));
                            }
                            if round % 7 == 0 { None } else { wait.settle().map(|(_, message)| message) }
                        });
                        let Some(message) = message else { continue };
                        let Parcel::Number(number) = message.parcel else { panic!("{message:?}") };
                        let (sender, n) = (number as u64 / EACH, number as u64 % EACH);
                        assert!(receiver != 0 || last[sender as usize] != Some(n), "it came twice");
                        last[sender as usize] = Some(n);
                        sum.fetch_add(number as u64, Ordering::Relaxed);
                        received.fetch_add(1, Ordering::Relaxed);
                        queue.forget(message);
                    }
                });
            }
        });
        assert_eq!(received.into_inner(), 2 * EACH);
        assert_eq!(sum.into_inner(), (0..2 * EACH).sum::<u64>(), "each once");
        assert_eq!((queues.count(), queues.bytes()), (0, 0));
    }
}
