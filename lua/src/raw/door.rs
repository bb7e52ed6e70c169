//! The door: the one place through which Lua's side and ours see each other.

use std::any::Any;
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use mlua::ffi;
use mlua::{Function, LightUserData, Lua, Table};

use super::Returned;
use super::batch::{self, Control};
use super::queues::Hands;
use super::{bcast, cws, functions};
use crate::bell::Bell;
use crate::commands;
use crate::login::{Asked, Logins};
use crate::port::{ClientEvent, ConnId, Port};
use crate::queue::{Bounds, Queues, Wait};
use crate::setup::Setup;
use crate::value::{Account, Shared};

/// Bytes of the buffer for encoding that are kept from one message to the next.
const KEPT: usize = 64 * 1024;

/// The place where Lua's side finds what it may reach of the world: a [`Port`] while it is called, else nothing.
///
/// It must live longer than the Lua state whose functions know its address.
pub(crate) struct Door(pub(super) NonNull<Doorway>);

/// What is in a door.
pub(super) struct Doorway {
    /// `Some` only while Lua is called with a port.
    pub(super) port: Option<NonNull<dyn Port>>,
    /// Which handler is to be called, and what it gets; the latter is empty outside of an event's call.
    pub(super) handler: Handler,
    pub(super) args: Args<'static>,
    /// The message of [`Args::Value`], until it is taken.
    pub(super) value: Option<Shared>,
    /// Where values are encoded before they are sent.
    pub(super) scratch: Vec<u8>,
    /// Text of a panic in the port since the call began.
    pub(super) panic: Option<String>,
    /// What Lua's side has to say.
    pub(super) notes: Vec<Note>,
    /// A fiber has become ready, or a timer was set: the scheduler wants a turn.
    pub(super) stirred: bool,
    /// Connection objects that exist.
    pub(super) conns: usize,
    /// Events wait, so it matters which connections the service closes.
    pub(super) notes_closed: bool,
    /// Connections that the service has closed since that was last asked.
    pub(super) closed: Vec<ConnId>,
    /// How other threads tell of what has come for a fiber.
    pub(super) bell: Arc<Bell>,
    /// Fibers that wait for what is sure to come from another thread.
    pub(super) owed: usize,
    /// The queues of the server.
    pub(super) queues: Arc<Queues>,
    /// Who stands in line there, by ticket.
    pub(super) waits: HashMap<u64, Wait>,
    /// What is on its way from queues to Lua.
    pub(super) hands: Hands,
    /// Who checks passwords, and what is not answered yet.
    pub(super) logins: Option<Arc<dyn Logins>>,
    pub(super) asked: Asked,
    /// What the compiled dispatch loop reads and writes; its address is known to Lua.
    pub(super) control: NonNull<Control>,
    /// How many collections have ended. A finalizer counts them, whenever Lua allocates, so it looks at nothing else here.
    pub(super) collections: NonNull<AtomicU64>,
    /// What the values of the module `nljson` take.
    pub(super) account: Rc<Account>,
    /// What Lua is to be told next of an outgoing connection; here it is safe from errors.
    pub(super) text: Option<String>,
}

/// What a handler is called with.
#[derive(Clone, Copy)]
pub(crate) enum Args<'a> {
    /// `()`
    None,
    /// `(handler)`
    Conn(ConnId),
    /// `(handler, opcode, message)`
    Message(ConnId, u8, &'a [u8]),
    /// `(handler, msg_type, message)`, where the message is the door's [`Doorway::value`].
    Value(ConnId, u8),
    /// Of an outgoing connection.
    Client(ConnId, ClientEvent<'a>),
}

/// The functions of a reactive service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handler {
    Start,
    Message,
    Disconnect,
    Shutdown,
    Open,
    ClientOpen,
    ClientMessage,
    ClientError,
    ClientClose,
}

impl Handler {
    /// Those that every reactive service must have.
    pub(crate) const REQUIRED: [Handler; 4] =
        [Handler::Start, Handler::Message, Handler::Disconnect, Handler::Shutdown];
    /// In the order of their numbers.
    pub(super) const ALL: [Handler; 9] = [
        Handler::Start,
        Handler::Message,
        Handler::Disconnect,
        Handler::Shutdown,
        Handler::Open,
        Handler::ClientOpen,
        Handler::ClientMessage,
        Handler::ClientError,
        Handler::ClientClose,
    ];

    /// The one of `cws:new` that hears of `event`.
    pub(crate) const fn of_client(event: &ClientEvent<'_>) -> Handler {
        match event {
            ClientEvent::Opened { .. } => Handler::ClientOpen,
            ClientEvent::Message { .. } => Handler::ClientMessage,
            ClientEvent::Failed(_) => Handler::ClientError,
            ClientEvent::Closed { .. } => Handler::ClientClose,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Handler::Start => "onStart",
            Handler::Message => "onMessage",
            Handler::Disconnect => "onDisconnect",
            Handler::Shutdown => "onShutdown",
            Handler::Open => "onOpen",
            Handler::ClientOpen => "onopen",
            Handler::ClientMessage => "onmessage",
            Handler::ClientError => "onerror",
            Handler::ClientClose => "onclose",
        }
    }
}

/// What the scheduler's side has to tell, in the order in which it happened.
#[derive(Debug)]
pub(crate) enum Note {
    /// The handler of an event that has waited has returned.
    Done { event: u32, returned: Returned },
    /// It has failed.
    Failed { event: u32, message: String, traceback: String },
    /// For the log.
    Report(String),
    /// `init` of a standalone service has returned.
    InitDone,
    /// The main fiber has ended; with the error's text and traceback if it failed.
    MainEnded(Result<(), (String, String)>),
}

impl Door {
    pub(crate) fn new(setup: &Setup<'_>) -> Door {
        let doorway = Doorway {
            port: None,
            handler: Handler::Start,
            args: Args::None,
            value: None,
            scratch: Vec::new(),
            panic: None,
            notes: Vec::new(),
            stirred: false,
            conns: 0,
            notes_closed: false,
            closed: Vec::new(),
            bell: setup.bell.cloned().unwrap_or_else(|| Bell::new(|| {})),
            owed: 0,
            queues: setup.queues.cloned().unwrap_or_else(|| Queues::new(Bounds::default())),
            waits: HashMap::new(),
            hands: Hands::default(),
            logins: setup.logins.cloned(),
            asked: Asked::default(),
            control: NonNull::from(Box::leak(Box::default())),
            collections: NonNull::from(Box::leak(Box::default())),
            account: Rc::new(Account::new()),
            text: None,
        };
        Door(NonNull::from(Box::leak(Box::new(doorway))))
    }

    /// What the chunks need that take messages and send them by compiled code: C types, and addresses.
    pub(crate) fn compiled(&self, lua: &Lua) -> mlua::Result<Table> {
        // SAFETY: the doorway lives as long as `self`, and nobody else looks into it now.
        let control = unsafe { self.0.as_ref() }.control;
        let table = lua.create_table()?;
        table.set("control_type", batch::CONTROL)?;
        table.set("send_type", batch::SEND)?;
        table.set("control", LightUserData(control.as_ptr().cast()))?;
        table.set("door", LightUserData(self.0.as_ptr().cast()))?;
        table.set("send", LightUserData(functions::send as *mut c_void))?;
        table.set("refusals", lua.create_sequence_from(commands::SEND_REFUSALS)?)?;
        Ok(table)
    }

    /// The function `ws:send`.
    pub(crate) fn ws_send(&self, lua: &Lua) -> mlua::Result<Function> {
        self.function(lua, functions::ws_send)
    }

    /// The function `ws:close`.
    pub(crate) fn ws_close(&self, lua: &Lua) -> mlua::Result<Function> {
        self.function(lua, functions::ws_close)
    }

    /// The module `bcast`.
    pub(crate) fn bcast(&self, lua: &Lua) -> mlua::Result<Table> {
        self.functions(lua, bcast::FUNCTIONS)
    }

    /// The module `cws`, as far as it is not Lua.
    pub(crate) fn cws(&self, lua: &Lua) -> mlua::Result<Table> {
        self.functions(lua, cws::FUNCTIONS)
    }

    /// What `cws` itself calls of ours.
    pub(crate) fn cws_native(&self, lua: &Lua) -> mlua::Result<Table> {
        self.functions(lua, cws::NATIVE)
    }

    /// What the scheduler may call of ours, with the marks by which its coroutines say why they yield.
    pub(crate) fn host(&self, lua: &Lua) -> mlua::Result<Table> {
        let host = self.functions(lua, functions::HOST)?;
        host.set("take", self.take(lua)?)?;
        host.set("idle", LightUserData(self.idle_mark()))?;
        host.set("accepted", LightUserData(self.accepted_mark()))?;
        host.set("wait", LightUserData(self.wait_mark()))?;
        // SAFETY: the doorway lives as long as `self`, and nobody else looks into it now.
        let collections = unsafe { self.0.as_ref() }.collections;
        host.set("collections", LightUserData(collections.as_ptr().cast()))?;
        Ok(host)
    }

    /// The function by which the dispatch loop takes the event that lies in the door.
    fn take(&self, lua: &Lua) -> mlua::Result<Function> {
        let doorway = self.0.as_ptr();
        let names: Vec<&str> = Handler::ALL.iter().map(|handler| handler.name()).collect();
        // SAFETY: runs protected, captures nothing that has a destructor and is dropped there, and leaves one function.
        unsafe {
            lua.exec_raw(mlua::Variadic::from_iter(names), |state| {
                let values = ffi::lua_gettop(state);
                ffi::lua_pushlightuserdata(state, doorway.cast());
                ffi::lua_insert(state, 1);
                ffi::lua_pushcclosure(state, functions::take, values + 1);
            })
        }
    }

    /// What a coroutine of the pool yields when its handler has returned `true`.
    pub(super) fn accepted_mark(&self) -> *mut c_void {
        self.idle_mark().wrapping_byte_add(2)
    }

    /// What it yields when the handler has returned anything else, which follows, and when it has had no event yet.
    pub(super) fn idle_mark(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// What a fiber yields that waits.
    pub(super) fn wait_mark(&self) -> *mut c_void {
        self.idle_mark().wrapping_byte_add(1)
    }

    /// A table of functions that find this door in their first upvalue.
    pub(super) fn functions(
        &self,
        lua: &Lua,
        functions: &[(&str, ffi::lua_CFunction)],
    ) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        for (name, function) in functions {
            table.set(*name, self.function(lua, *function)?)?;
        }
        Ok(table)
    }

    /// A Lua function that finds this door in its first upvalue.
    fn function(&self, lua: &Lua, function: ffi::lua_CFunction) -> mlua::Result<Function> {
        let doorway = self.0.as_ptr();
        // SAFETY: runs protected, captures nothing that has a destructor, and leaves one function on the stack.
        unsafe {
            lua.exec_raw((), |state| {
                ffi::lua_pushlightuserdata(state, doorway.cast());
                ffi::lua_pushcclosure(state, function, 1);
            })
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new` and freed only here. The Lua state is closed by now: see `Instance`.
        let doorway = unsafe { Box::from_raw(self.0.as_ptr()) };
        // SAFETY: the same holds for what the loop shares with us.
        drop(unsafe { Box::from_raw(doorway.control.as_ptr()) });
        // SAFETY: and for what finalizers count, of which the last ran when the state was closed.
        drop(unsafe { Box::from_raw(doorway.collections.as_ptr()) });
    }
}

impl Doorway {
    /// Asks the port for something. `None`: it has panicked, now or earlier in this call.
    pub(super) fn ask<R>(&mut self, ask: impl FnOnce(Option<&mut dyn Port>) -> R) -> Option<R> {
        if self.panic.is_some() {
            return None;
        }
        // SAFETY: the port's address is in the door only while it is borrowed for the call that is going on, and a port
        // does not call back into Lua, so this is its only use.
        let port = self.port.map(|mut port| unsafe { port.as_mut() });
        match catch_unwind(AssertUnwindSafe(|| ask(port))) {
            Ok(result) => Some(result),
            Err(panic) => {
                self.panic = Some(panic_text(&*panic));
                None
            }
        }
    }

    /// The same, with a buffer that is empty.
    pub(super) fn ask_with_scratch<R>(
        &mut self,
        ask: impl FnOnce(Option<&mut dyn Port>, &mut Vec<u8>) -> R,
    ) -> Option<R> {
        let mut scratch = mem::take(&mut self.scratch);
        let result = self.ask(|port| ask(port, &mut scratch));
        scratch.clear();
        scratch.shrink_to(KEPT);
        self.scratch = scratch;
        result
    }

    /// Lets the dispatch loop stop behind the message that is being handled: the host wants to look.
    pub(super) fn interrupt(&mut self) {
        // SAFETY: the control lives as long as the door. The loop does not run while we do.
        unsafe { self.control.as_mut() }.stop = 1;
    }

    /// Puts the port in.
    ///
    /// # Safety
    /// The caller sets `port` to `None` before the borrow ends, and nothing in between unwinds.
    pub(super) unsafe fn admit(&mut self, port: &mut dyn Port) {
        // SAFETY: this extends the borrow in the type only, as promised.
        self.port =
            Some(unsafe { mem::transmute::<NonNull<dyn Port + '_>, NonNull<dyn Port>>(NonNull::from(port)) });
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no text".to_owned()
    }
}
