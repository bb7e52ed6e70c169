//! A loaded service: its events on the pooled coroutines, and its scheduler's turns.

mod collecting;

use std::ffi::c_int;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{fmt, mem, ptr};

use lapps_parser::frame::OpCode;
use mlua::ffi::{self, lua_State};
use mlua::{Function, Lua, Table};

use super::batch::{Control, Message};
use super::door::{Args, Door, Doorway, Handler, Note};
use super::{Returned, returned, text};
use crate::error::FailureKind;
use crate::inbound;
use crate::pace::{Idle, Pace};
use crate::port::{ClientEvent, ConnId, Port};

/// Events after which the collector's pace is looked at, and bytes of a message that count as another one.
const PACED: usize = 16;
const PACED_BYTES: usize = 4096;

/// Fibers that run in one turn.
const FIBERS_PER_TURN: c_int = 1024;

/// A loaded service, ready to be called.
pub(crate) struct Instance {
    /// Closed before the door goes: finalizers may still call the functions that know it. (Fields drop in order.)
    _lua: Lua,
    door: Door,
    /// The main thread of `lua`.
    state: *mut lua_State,
    /// Stack index of the scheduler's functions, in the order of [`Entry::ALL`]; behind them the idle coroutine.
    base: c_int,
    /// The coroutine that takes the next event; null only when there was no memory for one.
    idle: *mut lua_State,
    /// More fibers want to run than one turn lets run.
    unfinished: bool,
    /// When the next timer is due, in milliseconds of the port's clock.
    tick: Option<u64>,
    /// Bytes, 0 = none.
    memory_limit: usize,
    /// From how many KiB on the heap is near the limit.
    crowded: c_int,
    /// `onMessage` is called by compiled code.
    compiled: bool,
    pace: Pace,
    is_crowded: bool,
    resting: Idle,
    /// KiB of the heap when the thread was last about to sleep.
    seen: c_int,
    /// Fibers there were after the last turn, with those of the events that have begun to wait since.
    counted: usize,
    ready: usize,
    /// Events since the collector's pace was looked at.
    unpaced: usize,
    /// KiB of the heap when all of it was last collected for being crowded, or the least since.
    collected: c_int,
}

/// What came of an event.
#[derive(Clone, Copy)]
pub(crate) enum Called {
    Returned(Returned),
    /// The handler waits: [`Instance::adopt`] is to be called at once.
    Waits,
}

/// The functions of the scheduler that we call.
#[derive(Clone, Copy)]
enum Entry {
    Idle,
    Adopt,
    Release,
    EventFailed,
    Turn,
    Rescue,
    WindDown,
    Deadlock,
    Fibers,
    ConnEnded,
    ConnForgotten,
    StartMain,
    Rung,
    ClientConnected,
    Collect,
    Step,
}

impl Entry {
    /// With their names, in the order of their numbers.
    const ALL: [(Entry, &'static str); 16] = [
        (Entry::Idle, "idle"),
        (Entry::Adopt, "adopt"),
        (Entry::Release, "release"),
        (Entry::EventFailed, "event_failed"),
        (Entry::Turn, "turn"),
        (Entry::Rescue, "rescue"),
        (Entry::WindDown, "wind_down"),
        (Entry::Deadlock, "deadlock"),
        (Entry::Fibers, "fibers"),
        (Entry::ConnEnded, "conn_ended"),
        (Entry::ConnForgotten, "conn_forgotten"),
        (Entry::StartMain, "start_main"),
        (Entry::Rung, "rung"),
        (Entry::ClientConnected, "client_connected"),
        (Entry::Collect, "collect"),
        (Entry::Step, "step"),
    ];
}

impl Instance {
    /// Takes over a state in which the scheduler, whose functions are in `core`, is loaded. `memory_limit` in bytes,
    /// 0 = none.
    pub(crate) fn new(
        lua: Lua,
        door: Door,
        core: &Table,
        memory_limit: usize,
        pace: Pace,
    ) -> mlua::Result<Instance> {
        let mut refs = [0; Entry::ALL.len()];
        let mut state = ptr::null_mut();
        for ((_, name), place) in Entry::ALL.iter().zip(&mut refs) {
            let function: Function = core.get(*name)?;
            // SAFETY: runs protected, captures nothing that has a destructor, and leaves nothing on the stack. No
            // callback is running, so the state that it gets is the main thread.
            unsafe {
                lua.exec_raw::<()>(function, |main| {
                    state = main;
                    *place = ffi::luaL_ref(main, ffi::LUA_REGISTRYINDEX);
                })?;
            }
        }
        // SAFETY: the main thread was just given to us and lives as long as `lua`. `lua_checkstack` does not raise;
        // with room made, neither do the others. mlua leaves alone what lies below the top that it finds.
        let base = unsafe {
            if ffi::lua_checkstack(state, 2 * ffi::LUA_MINSTACK) == 0 {
                return Err(mlua::Error::StackError);
            }
            for reference in refs {
                ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, reference);
            }
            ffi::lua_pushnil(state);
            ffi::lua_gettop(state) - Entry::ALL.len() as c_int
        };
        let crowded = match memory_limit {
            0 => c_int::MAX,
            bytes => c_int::try_from(bytes / 1024 / 8 * 5).unwrap_or(c_int::MAX),
        };
        let mut instance = Instance {
            _lua: lua,
            door,
            state,
            base,
            idle: ptr::null_mut(),
            unfinished: false,
            tick: None,
            memory_limit,
            crowded,
            compiled: core.get::<Table>("host")?.contains_key("compiled")?,
            pace,
            is_crowded: false,
            resting: Idle::default(),
            seen: 0,
            counted: 0,
            ready: 0,
            unpaced: 0,
            collected: 0,
        };
        instance.set_pace(pace);
        instance.renew_idle();
        Ok(instance)
    }

    /// Reads a message of the LAppS protocol and lays it where the next call of [`Args::Value`] finds it.
    pub(crate) fn lay_down(&mut self, opcode: OpCode, payload: &[u8]) -> Result<u8, FailureKind> {
        // SAFETY: counting cannot raise, and no Lua code is running.
        let heap = unsafe { ffi::lua_gc(self.state, ffi::LUA_GCCOUNT, 0) } as usize * 1024;
        let most = self.doorway().account.room(heap);
        let (msg_type, tree) = inbound::read(opcode, payload, most)?;
        self.doorway().value = Some(tree.into());
        Ok(msg_type as u8)
    }

    /// Whether [`Instance::call_batch`] may be used.
    pub(crate) fn is_compiled(&self) -> bool {
        self.compiled
    }

    /// Calls one handler of the service in the idle coroutine; it may use `port` until it returns or waits.
    pub(crate) fn call(
        &mut self,
        port: &mut dyn Port,
        handler: Handler,
        args: Args<'_>,
    ) -> Result<Called, FailureKind> {
        if !self.has_idle() {
            return Err(FailureKind::Memory { limit: self.memory_limit });
        }
        let size = match args {
            Args::Message(_, _, payload) | Args::Client(_, ClientEvent::Message { payload, .. }) => {
                payload.len()
            }
            _ => 0,
        };
        self.unpaced += 1 + size / PACED_BYTES;
        let doorway = self.door.0.as_ptr();
        // SAFETY: `resume` takes the port out again, which `admit` asks for, and does not unwind. The same holds for the
        // arguments, whose borrow is extended in the type only.
        unsafe {
            (*doorway).admit(port);
            (*doorway).handler = handler;
            (*doorway).args = mem::transmute::<Args<'_>, Args<'static>>(args);
            let outcome = self.resume(0);
            (*doorway).args = Args::None;
            outcome
        }
    }

    /// Calls `onMessage` for the messages of a batch, which is not empty, in the idle coroutine: up to the first that is not
    /// simply handled, or after which the caller should look what has become of its connection. Tells which one that
    /// is, and what came of it; those before it have returned `true`. Only if [`Instance::is_compiled`].
    pub(crate) fn call_batch(
        &mut self,
        port: &mut dyn Port,
        batch: &[Message<'_>],
    ) -> (usize, Result<Called, FailureKind>) {
        if !self.has_idle() {
            return (0, Err(FailureKind::Memory { limit: self.memory_limit }));
        }
        let doorway = self.door.0.as_ptr();
        // SAFETY: as in `call`: port and batch are taken out again below. The loop, which does not run now, writes only to
        // the control, and reads no message behind the last one.
        unsafe {
            let control = (*doorway).control.as_ptr();
            *control = Control { batch: batch.as_ptr().cast(), ..Control::default() };
            (*doorway).admit(port);
            ffi::lua_pushinteger(self.idle, (batch.len() - 1) as _);
            let outcome = self.resume(1);
            let at = (*control).at as usize;
            *control = Control::default();
            for message in &batch[..=at] {
                self.unpaced += 1 + message.payload().len() / PACED_BYTES;
            }
            (at, outcome)
        }
    }

    /// Resumes the idle coroutine with so many arguments, which lie on its stack, and takes the port out of the door.
    ///
    /// # Safety
    /// The port in the door is borrowed until this returns.
    unsafe fn resume(&mut self, args: c_int) -> Result<Called, FailureKind> {
        let doorway = self.door.0.as_ptr();
        // SAFETY: `lua_resume` does not unwind. Door and states live as long as `self`; the idle coroutine is suspended in
        // its loop and is kept alive by the slot behind the entries.
        unsafe {
            let status = ffi::lua_resume(self.idle, self.state, args, ptr::null_mut());
            // What was yielded stays on its stack: a coroutine that is resumed goes on with what is on top of that.
            let is_accepted = status == ffi::LUA_YIELD
                && ffi::lua_touserdata(self.idle, 1) == self.door.accepted_mark()
                && (*doorway).panic.is_none();
            let outcome =
                if is_accepted { Ok(Called::Returned(Returned::True)) } else { self.unusual(status) };
            (*doorway).port = None;
            if self.unpaced >= PACED {
                self.pace_collector();
            }
            outcome
        }
    }

    /// Everything but a handler that has returned `true`.
    ///
    /// # Safety
    /// The idle coroutine has just come back with `status`.
    #[cold]
    unsafe fn unusual(&mut self, status: c_int) -> Result<Called, FailureKind> {
        let panic = self.doorway().panic.take();
        // SAFETY: what the coroutine has yielded, or its error, is on its stack, which has room for one more.
        unsafe {
            if status == ffi::LUA_YIELD {
                let mark = ffi::lua_touserdata(self.idle, 1);
                let returned = returned(self.idle, 2);
                ffi::lua_settop(self.idle, 0);
                if mark == self.door.wait_mark() {
                    if let Some(message) = panic {
                        let report = format!("the server panicked while it carried out a command: {message}");
                        self.doorway().notes.push(Note::Report(report));
                    }
                    return Ok(Called::Waits);
                }
                if mark == self.door.idle_mark() || mark == self.door.accepted_mark() {
                    let failure = panic.map(|message| FailureKind::Panicked { message });
                    return failure.map_or(Ok(Called::Returned(returned)), Err);
                }
                ffi::lua_pushnil(self.state);
            } else {
                ffi::lua_xmove(self.idle, self.state, 1);
            }
            if status == ffi::LUA_ERRMEM {
                self.push(Entry::Release);
                ffi::lua_pcall(self.state, 0, 0, 0);
                // LuaJIT has not collected the garbage before it gave up. Of what the coroutine held most is that.
                ffi::lua_pushnil(self.state);
                ffi::lua_replace(self.state, self.slot());
                self.collect();
            }
            let (message, traceback) = self.event_failed(status == ffi::LUA_YIELD);
            self.renew_idle();
            Err(match (panic, status) {
                (Some(message), _) => FailureKind::Panicked { message },
                (None, ffi::LUA_ERRMEM) => FailureKind::Memory { limit: self.memory_limit },
                (None, _) => FailureKind::raised(message, traceback, self.memory_limit),
            })
        }
    }

    /// Tells the scheduler of the error on top of the main stack, or that there is none because a C function has yielded.
    /// Returns the error's text and traceback.
    ///
    /// # Safety
    /// There is such a value.
    unsafe fn event_failed(&mut self, yielded: bool) -> (String, String) {
        // SAFETY: as promised; the entry takes the error and a boolean, and returns two strings.
        unsafe {
            self.push(Entry::EventFailed);
            ffi::lua_insert(self.state, -2);
            ffi::lua_pushboolean(self.state, yielded.into());
            let texts = match ffi::lua_pcall(self.state, 2, 2, 0) {
                ffi::LUA_OK => (text(self.state, -2), text(self.state, -1)),
                _ => (text(self.state, -1), String::new()),
            };
            self.settle_stack();
            texts
        }
    }

    /// Gives the handler that waits this number, by which [`Note::Done`] and [`Note::Failed`] call it.
    pub(crate) fn adopt(&mut self, event: u32) {
        self.counted += 1;
        for _ in 0..2 {
            // SAFETY: the entry takes one number and returns a coroutine.
            unsafe {
                self.push(Entry::Adopt);
                ffi::lua_pushnumber(self.state, event.into());
                if self.take_idle(1) {
                    return;
                }
            }
        }
    }

    /// Makes the coroutine for the next event if there is none. False: there is no memory for it.
    fn has_idle(&mut self) -> bool {
        if self.idle.is_null() {
            self.renew_idle();
        }
        !self.idle.is_null()
    }

    /// Gets the coroutine for the next event.
    fn renew_idle(&mut self) {
        for _ in 0..2 {
            // SAFETY: the entry takes nothing and returns a coroutine.
            unsafe {
                self.push(Entry::Idle);
                if self.take_idle(0) {
                    return;
                }
            }
        }
    }

    /// Calls the entry that was pushed with `args` values, and keeps the coroutine that it returns. False: there was no
    /// memory; there may be some now.
    ///
    /// # Safety
    /// Entry and arguments lie on top of the main stack.
    unsafe fn take_idle(&mut self, args: c_int) -> bool {
        // SAFETY: as promised. The slot behind the entries keeps the coroutine alive.
        unsafe {
            let fine = ffi::lua_pcall(self.state, args, 1, 0) == ffi::LUA_OK;
            self.idle = ptr::null_mut();
            if fine {
                self.idle = ffi::lua_tothread(self.state, -1);
                if !self.idle.is_null() {
                    // What it yielded when it became idle.
                    ffi::lua_settop(self.idle, 0);
                }
            } else {
                ffi::lua_pushnil(self.state);
            }
            ffi::lua_replace(self.state, self.slot());
            self.settle_stack();
            if !fine {
                self.collect();
            }
            fine
        }
    }

    /// Lets timers fire and fibers run.
    pub(crate) fn turn(&mut self, port: &mut dyn Port) {
        self.doorway().hands.clear();
        self.answer_bell();
        self.doorway().stirred = false;
        self.pace_collector();
        // SAFETY: the entry takes a number and returns a number or nil, a boolean, and two numbers.
        unsafe {
            self.enter(port, |instance| {
                instance.push(Entry::Turn);
                ffi::lua_pushinteger(instance.state, FIBERS_PER_TURN as _);
                if ffi::lua_pcall(instance.state, 1, 4, 0) == ffi::LUA_OK {
                    instance.ready = ffi::lua_tonumber(instance.state, -1) as usize;
                    instance.counted = ffi::lua_tonumber(instance.state, -2) as usize;
                    instance.unfinished = ffi::lua_toboolean(instance.state, -3) != 0;
                    let has_tick = ffi::lua_type(instance.state, -4) == ffi::LUA_TNUMBER;
                    instance.tick = has_tick.then(|| ffi::lua_tonumber(instance.state, -4) as u64);
                } else {
                    let message = text(instance.state, -1);
                    instance.doorway().notes.push(Note::Report(format!("the scheduler failed: {message}")));
                    instance.unfinished = true;
                    instance.settle_stack();
                    instance.collect();
                    instance.run(Entry::Rescue, None);
                }
            });
        }
        self.pace_collector();
    }

    /// Lets the fibers be ready for which something has come from other threads.
    fn answer_bell(&mut self) {
        if !self.doorway().bell.has_rung() {
            return;
        }
        for ticket in self.doorway().bell.take() {
            // SAFETY: the entry takes a number and returns nothing.
            unsafe { self.run(Entry::Rung, Some(ticket as f64)) };
        }
    }

    /// True when there are fibers that want to run, timers that were set since the last turn, or news from other threads.
    pub(crate) fn is_ready(&self) -> bool {
        // SAFETY: the door lives as long as `self`, and nobody else looks into it now.
        let doorway = unsafe { self.door.0.as_ref() };
        self.unfinished || doorway.stirred || doorway.bell.has_rung()
    }

    /// True while a fiber waits for what is sure to come from another thread.
    pub(crate) fn is_owed(&self) -> bool {
        // SAFETY: as in `is_ready`.
        unsafe { self.door.0.as_ref() }.owed > 0
    }

    /// Bytes that the state may use, 0 = no limit.
    pub(crate) fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// When the next timer is due, on the port's clock.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.tick.map(Duration::from_millis)
    }

    /// What Lua's side has told since this was last asked.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        mem::take(&mut self.doorway().notes)
    }

    /// Says whether [`Instance::take_closed`] will be asked.
    pub(crate) fn watch_closed(&mut self, watch: bool) {
        self.doorway().notes_closed = watch;
    }

    /// Connections that the service has closed since this was last asked.
    pub(crate) fn take_closed(&mut self) -> Vec<ConnId> {
        mem::take(&mut self.doorway().closed)
    }

    /// A connection has ended: its fibers are interrupted.
    pub(crate) fn conn_ended(&mut self, conn: ConnId) {
        self.about_conn(Entry::ConnEnded, conn);
    }

    /// The service has heard of the end of a connection: its object is forgotten.
    pub(crate) fn conn_forgotten(&mut self, conn: ConnId) {
        self.about_conn(Entry::ConnForgotten, conn);
    }

    /// The TCP connection that `cws:new` waits for stands, or why it does not.
    pub(crate) fn client_connected(&mut self, conn: ConnId, result: Result<(), String>) {
        self.doorway().text = result.err();
        // SAFETY: the entry takes a number and returns nothing.
        unsafe { self.run(Entry::ClientConnected, Some(conn.as_number())) };
        self.doorway().text = None;
    }

    fn about_conn(&mut self, entry: Entry, conn: ConnId) {
        if self.doorway().conns > 0 {
            // SAFETY: the entry takes a number and returns nothing.
            unsafe { self.run(entry, Some(conn.as_number())) };
        }
    }

    /// Interrupts every fiber and takes out what would start more.
    pub(crate) fn wind_down(&mut self, port: &mut dyn Port) {
        // SAFETY: the entry takes and returns nothing.
        unsafe {
            self.enter(port, |instance| {
                instance.run(Entry::WindDown, None);
            });
        }
    }

    /// Starts the main fiber of a standalone service: `init()`, then `run()`.
    pub(crate) fn start_main(&mut self) {
        // SAFETY: the entry takes and returns nothing.
        unsafe { self.run(Entry::StartMain, None) };
    }

    /// Fibers that have begun and not ended.
    pub(crate) fn fibers(&self) -> usize {
        // SAFETY: the entry takes nothing, returns a number, and allocates nothing.
        unsafe {
            self.push(Entry::Fibers);
            let fibers = match ffi::lua_pcall(self.state, 0, 1, 0) {
                ffi::LUA_OK => ffi::lua_tonumber(self.state, -1) as usize,
                _ => 0,
            };
            self.settle_stack();
            fibers
        }
    }

    /// As [`Instance::fibers`], without asking: what is known from the last turn.
    pub(crate) fn counted_fibers(&self) -> usize {
        self.counted
    }

    /// How many of those were ready when the last turn was over: there were more than one turn runs.
    pub(crate) fn ready_fibers(&self) -> usize {
        self.ready
    }

    /// How many collections have ended.
    pub(crate) fn collections(&self) -> u64 {
        // SAFETY: the door lives as long as `self`, and so does the count.
        unsafe { self.door.0.as_ref().collections.as_ref() }.load(Ordering::Relaxed)
    }

    /// The fibers that wait, with their tracebacks.
    pub(crate) fn deadlock(&mut self) -> Option<String> {
        // SAFETY: the entry takes nothing and returns a string or nil.
        unsafe {
            self.push(Entry::Deadlock);
            let status = ffi::lua_pcall(self.state, 0, 1, 0);
            let text = text(self.state, -1);
            self.settle_stack();
            (status == ffi::LUA_OK && !text.is_empty()).then_some(text)
        }
    }

    /// Calls Lua with the port in the door.
    ///
    /// # Safety
    /// `call` does not unwind.
    unsafe fn enter(&mut self, port: &mut dyn Port, call: impl FnOnce(&mut Instance)) {
        // SAFETY: the port is taken out again before the borrow ends.
        unsafe { self.doorway().admit(port) };
        call(self);
        self.settle_stack();
        self.doorway().port = None;
        if let Some(message) = self.doorway().panic.take() {
            let report = format!("the server panicked while it carried out a command: {message}");
            self.doorway().notes.push(Note::Report(report));
        }
    }

    /// Calls an entry for nothing, a second time if there was no memory for the first: these may be repeated, and nobody
    /// else would come back to what they have to do. An error is for the log.
    ///
    /// # Safety
    /// The entry takes this argument and returns nothing.
    unsafe fn run(&mut self, entry: Entry, argument: Option<f64>) {
        for attempt in 1..=2 {
            // SAFETY: as promised; the main stack has room.
            unsafe {
                self.push(entry);
                if let Some(argument) = argument {
                    ffi::lua_pushnumber(self.state, argument);
                }
                let status = ffi::lua_pcall(self.state, argument.is_some().into(), 0, 0);
                let message = text(self.state, -1);
                self.settle_stack();
                match status {
                    ffi::LUA_OK => return,
                    ffi::LUA_ERRMEM if attempt == 1 => self.collect(),
                    _ => {
                        self.doorway().notes.push(Note::Report(format!("the scheduler failed: {message}")));
                        return;
                    }
                }
            }
        }
    }

    fn push(&self, entry: Entry) {
        // SAFETY: the main stack has room, and the entries lie where they were put.
        unsafe { ffi::lua_pushvalue(self.state, self.base + entry as c_int) };
    }

    /// Stack index of the idle coroutine.
    fn slot(&self) -> c_int {
        self.base + Entry::ALL.len() as c_int
    }

    /// Leaves the entries and the idle coroutine on the main stack.
    fn settle_stack(&self) {
        // SAFETY: they are never taken off.
        unsafe { ffi::lua_settop(self.state, self.slot()) };
    }

    fn doorway(&mut self) -> &mut Doorway {
        // SAFETY: the door lives as long as `self`, and its other users are functions that Lua calls: none is running
        // while we look into it.
        unsafe { self.door.0.as_mut() }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
