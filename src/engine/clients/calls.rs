//! What services ask of outgoing connections: new ones, and the outgoing half of each.

use std::path::PathBuf;

use lapps_lua::port::{Answer, Command, ConnId, Connect, Terms};
use lapps_parser::close::{self, CloseCode};
use lapps_parser::frame::{self, MAX_HEADER_LEN, OpCode};

use crate::engine::slab::{Key, Slab};
use crate::net::client::keys::Keys;
use crate::net::client::opening::Request;
use crate::net::client::uri::Uri;
use crate::net::write_queue::{Buffers, WriteQueue};

/// Bytes of a URI, of the further fields and of the subprotocols that a request may have together.
const LARGEST_REQUEST: usize = 32 * 1024;

/// The outgoing halves of the outgoing connections of one thread. The incoming halves are elsewhere, so that a service can
/// send while a message that is still borrowed from its connection is being delivered.
pub(crate) struct Calls {
    rows: Slab<Row>,
    /// What the thread has still to begin.
    wishes: Vec<Wish>,
    /// Connections whose output has changed and that were not flushed since.
    dirty: Vec<Key>,
    pub(super) buffers: Buffers,
    /// Made with the first connection.
    keys: Option<Keys>,
    /// Connections are made no more.
    pub(super) dismissed: bool,
}

/// The outgoing half of one connection.
pub(super) struct Row {
    pub(super) queue: WriteQueue,
    /// Which instance of the thread has it.
    owner: usize,
    /// Bytes that may wait.
    limit: usize,
    stage: Stage,
    /// A close frame is in the queue or on the wire: nothing may follow it (RFC 6455 section 5.5.1).
    pub(super) close_sent: bool,
    /// The socket took no more; it says when it does.
    pub(super) blocked: bool,
    dirty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The upgrade is not answered.
    Early,
    Open,
    /// The service has closed it before it was open.
    Recalled,
    /// Nothing is sent any more.
    Shut,
}

/// Something that the thread is to do.
pub(super) enum Wish {
    Connect(Key, Box<Want>),
    Begin(Key),
    Abandon(Key),
}

/// What a service wants to connect to.
pub(super) struct Want {
    pub(super) owner: usize,
    pub(super) uri: Uri,
    pub(super) request: Request,
    pub(super) ca: Option<PathBuf>,
    pub(super) terms: Terms,
}

impl Calls {
    pub(crate) fn new() -> Calls {
        Calls {
            rows: Slab::new(),
            wishes: Vec::new(),
            dirty: Vec::new(),
            buffers: Buffers::default(),
            keys: None,
            dismissed: false,
        }
    }

    /// Notes that instance `owner` wants a connection; see [`lapps_lua::port::Port::connect`].
    pub(crate) fn connect(&mut self, owner: usize, wanted: &Connect<'_>) -> Result<ConnId, String> {
        if self.dismissed {
            return Err("the server stops".to_owned());
        }
        let fields = wanted.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        let protocols = wanted.protocols.iter().map(|name| name.len() + 2);
        if wanted.uri.len() + fields.chain(protocols).sum::<usize>() > LARGEST_REQUEST {
            return Err(format!("the request would be longer than {LARGEST_REQUEST} bytes"));
        }
        let uri = Uri::parse(wanted.uri)?;
        let request = Request {
            host: uri.host_field().into(),
            target: uri.target.as_str().into(),
            headers: wanted.headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            protocols: wanted.protocols.iter().map(|name| (*name).into()).collect(),
        };
        let row = Row {
            queue: WriteQueue::default(),
            owner,
            limit: wanted.terms.max_queue,
            stage: Stage::Early,
            close_sent: false,
            blocked: false,
            dirty: false,
        };
        let key = self.rows.insert(row).map_err(|_| "there are too many connections".to_owned())?;
        let ca = wanted.ca.map(PathBuf::from);
        let want = Want { owner, uri, request, ca, terms: wanted.terms };
        self.wishes.push(Wish::Connect(key, Box::new(want)));
        Ok(id(key))
    }

    /// Notes that the handshake of a connection may begin.
    pub(crate) fn begin(&mut self, owner: usize, conn: ConnId) {
        if self.is_of(owner, conn) {
            self.wishes.push(Wish::Begin(key_of(conn)));
        }
    }

    /// Notes that nobody wants a connection any more.
    pub(crate) fn abandon(&mut self, owner: usize, conn: ConnId) {
        if self.is_of(owner, conn) {
            self.wishes.push(Wish::Abandon(key_of(conn)));
        }
    }

    /// Carries out a command of instance `owner` about an outgoing connection.
    pub(crate) fn command(&mut self, owner: usize, command: Command<'_>) -> Answer {
        match command {
            Command::Send { conn, opcode, payload } => self.send(owner, conn, opcode, payload),
            Command::Close { conn, code, reason } if self.is_of(owner, conn) => {
                let key = key_of(conn);
                match self.rows.get_mut(key).map(|row| row.stage) {
                    Some(Stage::Open) => self.close(key, Some(code), reason),
                    Some(Stage::Early) => {
                        self.set_stage(key, Stage::Recalled);
                        self.touch(key);
                    }
                    _ => return Answer::Closed,
                }
                Answer::Done
            }
            _ => Answer::Closed,
        }
    }

    /// True when the thread has something to do for what was asked.
    pub(super) fn has_work(&self) -> bool {
        !self.wishes.is_empty() || !self.dirty.is_empty()
    }

    pub(super) fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    pub(super) fn take_dirty(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.dirty)
    }

    pub(super) fn keys(&mut self) -> &mut Keys {
        self.keys.get_or_insert_with(Keys::new)
    }

    pub(super) fn row(&mut self, key: Key) -> Option<&mut Row> {
        self.rows.get_mut(key)
    }

    /// The outgoing half together with the stock of buffers, for a write.
    pub(super) fn row_and_buffers(&mut self, key: Key) -> Option<(&mut Row, &mut Buffers)> {
        let row = self.rows.get_mut(key)?;
        row.dirty = false;
        Some((row, &mut self.buffers))
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self, key: Key) -> usize {
        self.rows.get(key).map_or(0, |row| row.queue.len())
    }

    pub(super) fn is_open(&self, key: Key) -> bool {
        self.rows.get(key).is_some_and(|row| row.stage == Stage::Open)
    }

    /// True when the service has closed it before it was open.
    pub(super) fn is_recalled(&self, key: Key) -> bool {
        self.rows.get(key).is_some_and(|row| row.stage == Stage::Recalled)
    }

    /// Lets its service send.
    pub(super) fn open(&mut self, key: Key) {
        self.set_stage(key, Stage::Open);
    }

    /// Lets nobody send any more. What waits is still sent.
    pub(super) fn shut(&mut self, key: Key) {
        self.set_stage(key, Stage::Shut);
    }

    /// Appends bytes that are no frame: the request.
    pub(super) fn append(&mut self, key: Key, bytes: &[u8]) {
        if let Some(row) = self.rows.get_mut(key) {
            row.queue.append(&mut self.buffers, bytes.len(), |out| out.extend_from_slice(bytes));
            self.touch(key);
        }
    }

    /// Answers a ping.
    pub(super) fn pong(&mut self, key: Key, payload: &[u8]) {
        let mask = self.keys().mask();
        if let Some(row) = self.rows.get_mut(key).filter(|row| !row.close_sent) {
            let mut pong = Vec::with_capacity(MAX_HEADER_LEN + payload.len());
            frame::write_masked_frame(&mut pong, true, OpCode::Pong, payload, mask);
            row.queue.append_pong(&mut self.buffers, row.blocked, &pong);
            self.touch(key);
        }
    }

    /// Asks whether the server is still there.
    pub(super) fn ping(&mut self, key: Key) {
        self.control(key, OpCode::Ping, &[]);
    }

    /// Sends a close frame, the last thing that is sent; `None` sends one without a code. Does nothing the second time.
    pub(super) fn close(&mut self, key: Key, code: Option<CloseCode>, reason: &str) {
        self.shut(key);
        let mut payload = Vec::new();
        if let Some(code) = code {
            close::write_payload(&mut payload, code, reason);
        }
        self.control(key, OpCode::Close, &payload);
        if let Some(row) = self.rows.get_mut(key) {
            row.close_sent = true;
        }
    }

    /// Forgets a connection and what waits for it.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(mut row) = self.rows.remove(key) {
            row.queue.clear(&mut self.buffers);
        }
    }

    fn control(&mut self, key: Key, opcode: OpCode, payload: &[u8]) {
        let mask = self.keys().mask();
        if let Some(row) = self.rows.get_mut(key).filter(|row| !row.close_sent) {
            row.queue.append(&mut self.buffers, MAX_HEADER_LEN + payload.len(), |out| {
                frame::write_masked_frame(out, true, opcode, payload, mask);
            });
            self.touch(key);
        }
    }

    fn send(&mut self, owner: usize, conn: ConnId, opcode: OpCode, payload: &[u8]) -> Answer {
        let Some(row) = self.rows.get_mut(key_of(conn)).filter(|row| row.owner == owner) else {
            return Answer::Closed;
        };
        match row.stage {
            Stage::Open => {}
            Stage::Early => return Answer::Early,
            Stage::Recalled | Stage::Shut => return Answer::Closed,
        }
        // A message that is too large by itself goes when nothing else waits.
        if !row.queue.is_empty() && row.queue.len() + payload.len() > row.limit {
            return Answer::Full;
        }
        let mask = self.keys.get_or_insert_with(Keys::new).mask();
        row.queue.append(&mut self.buffers, payload.len() + MAX_HEADER_LEN, |out| {
            frame::write_masked_frame(out, true, opcode, payload, mask);
        });
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(key_of(conn));
        }
        Answer::Done
    }

    fn is_of(&self, owner: usize, conn: ConnId) -> bool {
        conn.is_client() && self.rows.get(key_of(conn)).is_some_and(|row| row.owner == owner)
    }

    fn set_stage(&mut self, key: Key, stage: Stage) {
        if let Some(row) = self.rows.get_mut(key) {
            row.stage = stage;
        }
    }

    pub(super) fn touch(&mut self, key: Key) {
        if let Some(row) = self.rows.get_mut(key)
            && !row.dirty
        {
            row.dirty = true;
            self.dirty.push(key);
        }
    }
}

/// The number by which services know the connection with this key.
pub(super) fn id(key: Key) -> ConnId {
    ConnId::new(ConnId::CLIENT, key.slot, key.generation)
}

pub(super) fn key_of(conn: ConnId) -> Key {
    Key { slot: conn.slot(), generation: conn.generation() }
}
