//! Who listens to which channel: one table per worker, which any thread may change.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lapps_lua::port::{Answer, Channel, ConnId};
use lapps_parser::frame::OpCode;

use super::frames::Framing;
use super::presence::Presence;

/// Channels that may exist at once.
const MAX_CHANNELS: usize = 1 << 20;

/// All channels of a server, with their subscribers.
///
/// Subscribing is rare and answered at once, so a table has a lock. Who broadcasts takes the lists of that moment, so that
/// whoever subscribes or leaves behind a broadcast is not mistaken; they go with it to the workers. Messages that are no
/// broadcast never come here.
pub(crate) struct Channels {
    created: RwLock<HashSet<Channel>>,
    /// By number of the worker.
    tables: Box<[Mutex<Table>]>,
    presence: Arc<[Presence]>,
    framing: Framing,
}

/// The subscriptions of one worker's connections, seen from both sides: each pair stands in both maps, and neither has
/// an empty entry.
#[derive(Default)]
struct Table {
    subscribers: HashMap<Channel, Listeners>,
    subscriptions: HashMap<ConnId, Vec<Channel>>,
}

/// Those who listen to one channel.
#[derive(Default)]
struct Listeners {
    set: HashSet<ConnId>,
    /// The same in the order of their slots, which is that of memory; made when it is asked for.
    list: Option<Arc<[ConnId]>>,
}

impl Channels {
    /// No channels; `presence` is that of every worker, by number.
    pub(crate) fn new(presence: Arc<[Presence]>, framing: Framing) -> Channels {
        Channels {
            created: RwLock::default(),
            tables: presence.iter().map(|_| Mutex::default()).collect(),
            presence,
            framing,
        }
    }

    /// Who is open, by number of the worker.
    pub(crate) fn presence(&self) -> &Arc<[Presence]> {
        &self.presence
    }

    /// How messages are cut.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// A broadcast as the bytes that every listener gets: unmasked, they are the same for all (RFC 6455 5.1).
    pub(crate) fn frames(&self, payload: &[u8]) -> Arc<[u8]> {
        let mut frames = Vec::with_capacity(self.framing.room(payload.len()));
        self.framing.write(&mut frames, OpCode::Binary, payload);
        frames.into()
    }

    /// Makes a channel; one that is there already stays as it is. [`Answer::Full`]: there are too many.
    pub(crate) fn create(&self, channel: Channel) -> Answer {
        let mut created = self.created.write().unwrap_or_else(PoisonError::into_inner);
        if created.len() >= MAX_CHANNELS && !created.contains(&channel) {
            return Answer::Full;
        }
        created.insert(channel);
        Answer::Done
    }

    /// True for a channel that was made.
    pub(crate) fn has(&self, channel: Channel) -> bool {
        self.created.read().unwrap_or_else(PoisonError::into_inner).contains(&channel)
    }

    /// Lets an open connection hear a channel. Twice is once.
    pub(crate) fn subscribe(&self, channel: Channel, conn: ConnId) -> Answer {
        let Some((mut table, presence)) = self.table(conn) else { return Answer::Closed };
        if !self.has(channel) {
            return Answer::NoChannel;
        }
        // Behind the lock: its worker says first that a connection is gone and then forgets it here, so whoever comes
        // after that sees it gone.
        if !presence.has(conn) {
            return Answer::Closed;
        }
        let listeners = table.subscribers.entry(channel).or_default();
        if listeners.set.insert(conn) {
            listeners.list = None;
            table.subscriptions.entry(conn).or_default().push(channel);
        }
        Answer::Done
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, channel: Channel, conn: ConnId) -> Answer {
        let Some((mut table, presence)) = self.table(conn) else { return Answer::Closed };
        if table.remove(channel, conn) {
            return Answer::Done;
        }
        match (self.has(channel), presence.has(conn)) {
            (false, _) => Answer::NoChannel,
            (_, false) => Answer::Closed,
            _ => Answer::NotSubscribed,
        }
    }

    /// Ends all subscriptions of a connection that is not open any more. For its worker.
    pub(crate) fn forget(&self, conn: ConnId) {
        let Some((mut table, _)) = self.table(conn) else { return };
        for channel in table.subscriptions.remove(&conn).unwrap_or_default() {
            table.remove(channel, conn);
        }
    }

    /// The connections of this worker that listen to the channel now.
    pub(crate) fn listeners(&self, worker: usize, channel: Channel) -> Arc<[ConnId]> {
        let mut table = lock(&self.tables[worker]);
        table.subscribers.get_mut(&channel).map(Listeners::list).unwrap_or_default()
    }

    fn table(&self, conn: ConnId) -> Option<(MutexGuard<'_, Table>, &Presence)> {
        let worker = usize::from(conn.worker());
        Some((lock(self.tables.get(worker)?), &self.presence[worker]))
    }
}

impl Table {
    /// False: there was no such subscription.
    fn remove(&mut self, channel: Channel, conn: ConnId) -> bool {
        let Some(subscribers) = self.subscribers.get_mut(&channel) else { return false };
        if !subscribers.set.remove(&conn) {
            return false;
        }
        subscribers.list = None;
        if subscribers.set.is_empty() {
            self.subscribers.remove(&channel);
        }
        if let Some(channels) = self.subscriptions.get_mut(&conn) {
            channels.retain(|other| *other != channel);
            if channels.is_empty() {
                self.subscriptions.remove(&conn);
            }
        }
        true
    }
}

impl Listeners {
    fn list(&mut self) -> Arc<[ConnId]> {
        let Listeners { set, list } = self;
        Arc::clone(list.get_or_insert_with(|| {
            let mut sorted: Vec<ConnId> = set.iter().copied().collect();
            sorted.sort_unstable_by_key(|conn| conn.slot());
            sorted.into()
        }))
    }
}

/// Nothing that is done behind the lock panics half way, so what a dead thread left is whole.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::presence::ServedBy;

    fn channel(number: f64) -> Channel {
        Channel::from_number(number).unwrap()
    }

    fn with(conns: &[ConnId]) -> Channels {
        let presence: Arc<[Presence]> = [Presence::new(), Presence::new()].into();
        for conn in conns {
            presence[usize::from(conn.worker())].arrive(*conn, ServedBy::service(0));
        }
        let channels = Channels::new(presence, Framing { auto_fragment: false });
        assert_eq!(channels.create(channel(1.0)), Answer::Done);
        channels
    }

    fn heard_by(channels: &Channels, number: f64) -> Vec<ConnId> {
        (0..2).flat_map(|worker| channels.listeners(worker, channel(number)).to_vec()).collect()
    }

    #[test]
    fn subscribing_twice_is_one_subscription() {
        let conn = ConnId::new(1, 5, 1);
        let channels = with(&[conn]);
        for _ in 0..2 {
            assert_eq!(channels.subscribe(channel(1.0), conn), Answer::Done);
        }
        assert_eq!(heard_by(&channels, 1.0), [conn]);
        assert_eq!(channels.unsubscribe(channel(1.0), conn), Answer::Done);
        assert_eq!(channels.unsubscribe(channel(1.0), conn), Answer::NotSubscribed);
        assert!(heard_by(&channels, 1.0).is_empty());
    }

    #[test]
    fn a_list_is_in_the_order_of_memory_and_stays_as_it_was_asked_for() {
        let conns: Vec<ConnId> = [9, 600_000, 3, 5].map(|slot| ConnId::new(0, slot, 1)).into();
        let channels = with(&conns);
        for conn in &conns {
            channels.subscribe(channel(1.0), *conn);
        }
        let list = channels.listeners(0, channel(1.0));
        assert_eq!(*list, [conns[2], conns[3], conns[0], conns[1]]);
        assert!(
            Arc::ptr_eq(&list, &channels.listeners(0, channel(1.0))),
            "one list while nobody comes or goes"
        );
        channels.unsubscribe(channel(1.0), conns[0]);
        assert_eq!(heard_by(&channels, 1.0), [conns[2], conns[3], conns[1]]);
        channels.subscribe(channel(1.0), conns[0]);
        assert_eq!(heard_by(&channels, 1.0), *list);
    }

    #[test]
    fn a_closed_connection_leaves_by_itself_and_cannot_come_back() {
        let conns = [ConnId::new(0, 5, 1), ConnId::new(0, 6, 1)];
        let channels = with(&conns);
        for number in [2.0, 3.0] {
            channels.create(channel(number));
            for conn in conns {
                channels.subscribe(channel(number), conn);
            }
        }
        channels.presence[0].leave(conns[0]);
        channels.forget(conns[0]);
        assert_eq!((heard_by(&channels, 2.0), heard_by(&channels, 3.0)), (vec![conns[1]], vec![conns[1]]));
        assert_eq!(channels.subscribe(channel(2.0), conns[0]), Answer::Closed);
        assert_eq!(channels.unsubscribe(channel(2.0), conns[0]), Answer::Closed);
        channels.presence[0].leave(conns[1]);
        channels.forget(conns[1]);
        let table = lock(&channels.tables[0]);
        assert!(table.subscribers.is_empty() && table.subscriptions.is_empty());
    }

    #[test]
    fn what_was_never_made_is_no_channel() {
        let conn = ConnId::new(0, 5, 1);
        let channels = with(&[conn]);
        assert_eq!(channels.subscribe(channel(9.0), conn), Answer::NoChannel);
        assert_eq!(channels.unsubscribe(channel(9.0), conn), Answer::NoChannel);
        assert_eq!(channels.create(channel(1.0)), Answer::Done, "a second time is fine");
        assert_eq!(channels.subscribe(channel(1.0), ConnId::new(7, 5, 1)), Answer::Closed, "an invented one");
    }

    #[test]
    fn a_subscription_that_races_with_the_end_of_its_connection_is_not_left_behind() {
        for generation in 1..2_000 {
            let conn = ConnId::new(0, 5, generation);
            let channels = with(&[conn]);
            std::thread::scope(|scope| {
                let subscriber = scope.spawn(|| channels.subscribe(channel(1.0), conn));
                channels.presence[0].leave(conn);
                channels.forget(conn);
                subscriber.join().unwrap();
            });
            assert!(heard_by(&channels, 1.0).is_empty(), "round {generation}");
        }
    }
}
