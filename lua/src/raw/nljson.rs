//! Values as userdata: a reference is a document and a node in it.
//!
//! Beside the rules of [`super`] a fourth one holds here. Whenever Lua allocates, its collector may run finalizers, ours and
//! the service's own. Ours change no tree, only counts; but a service's may do anything. So nothing is borrowed from a
//! document while Lua may allocate: what it is to copy is lent to it, and nodes are pinned before there is a reference.

mod access;
mod coding;
mod convert;
mod memory;
mod message;

use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::ptr;
use std::rc::Rc;

use lapps_parser::value::{NodeId, Tree, Value};
use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table};

use super::door::Door;
use super::functions::{self, FAILED};
use crate::value::{Account, Document, Shared};

/// What a userdata holds.
#[repr(C)]
struct Handle {
    /// From `Rc::into_raw`; null where there is none yet, or none any more.
    document: *const Document,
    node: NodeId,
}

/// Its address is where the registry keeps the metatable.
static KEY: u8 = 0;

/// The metatable's entry that knows the account.
const ACCOUNT: c_int = 1;

/// What `nljson.lua` makes the module of, by name.
const FUNCTIONS: &[(&str, ffi::lua_CFunction)] = &[
    ("decode", coding::decode),
    ("from_cbor", coding::from_cbor),
    ("decode_file", coding::decode_file),
    ("encode", coding::encode),
    ("encode_pretty", coding::encode_pretty),
    ("to_cbor", coding::to_cbor),
    ("new", coding::new),
    ("totable", convert::totable),
    ("typename", access::typename),
    ("empty", access::empty),
    ("find", access::find),
    ("erase", access::erase),
    ("step", access::step),
];

const METAMETHODS: &[(&str, ffi::lua_CFunction)] = &[
    ("__index", access::index),
    ("__newindex", access::newindex),
    ("__len", access::len),
    ("__eq", access::eq),
    ("__tostring", coding::tostring),
    ("__gc", gc),
];

impl Door {
    /// The functions on values, and the metatable that makes userdata values. One instance's values and its Lua heap may
    /// take `memory_limit` bytes together; 0 = no limit.
    pub(crate) fn values(&self, lua: &Lua, memory_limit: usize) -> mlua::Result<Table> {
        let doorway = self.0.as_ptr();
        // SAFETY: the door is ours, and Lua is not running.
        let account = unsafe {
            (*doorway).account.set_limit(memory_limit);
            Rc::as_ptr(&(*doorway).account)
        };
        let meta = lua.create_table()?;
        meta.raw_set(ACCOUNT, mlua::LightUserData(account.cast_mut().cast()))?;
        meta.raw_set("__metatable", "nljson")?;
        for (name, function) in METAMETHODS {
            meta.raw_set(*name, self.on_values(lua, &meta, *function)?)?;
        }
        // SAFETY: runs protected, captures nothing that has a destructor, and leaves nothing on the stack.
        unsafe {
            lua.exec_raw::<()>(&meta, |state| {
                ffi::lua_pushlightuserdata(state, key());
                ffi::lua_insert(state, -2);
                ffi::lua_rawset(state, ffi::LUA_REGISTRYINDEX);
            })?;
        }
        let module = lua.create_table()?;
        for (name, function) in FUNCTIONS {
            module.raw_set(*name, self.on_values(lua, &meta, *function)?)?;
        }
        Ok(module)
    }

    /// A Lua function with the door and the metatable as upvalues.
    fn on_values(
        &self,
        lua: &Lua,
        meta: &Table,
        function: ffi::lua_CFunction,
    ) -> mlua::Result<mlua::Function> {
        let doorway = self.0.as_ptr();
        // SAFETY: runs protected, captures nothing that has a destructor, and leaves one function on the stack.
        unsafe {
            lua.exec_raw(meta, |state| {
                ffi::lua_pushlightuserdata(state, doorway.cast());
                ffi::lua_insert(state, -2);
                ffi::lua_pushcclosure(state, function, 2);
            })
        }
    }
}

/// The value at `index`, if it is one of ours.
///
/// # Safety
/// `index` is valid in `state`, or beyond its top. Lua's stack has room for two more.
pub(crate) unsafe fn share(state: *mut lua_State, index: c_int) -> Option<Shared> {
    // SAFETY: as promised. None of these raises: a metatable is there already. The handle is what its metatable says.
    unsafe {
        if ffi::lua_type(state, index) != ffi::LUA_TUSERDATA || ffi::lua_getmetatable(state, index) == 0 {
            return None;
        }
        push_metatable(state);
        let is_ours = ffi::lua_rawequal(state, -1, -2) != 0;
        ffi::lua_pop(state, 2);
        if !is_ours {
            return None;
        }
        let handle = live(state, index)?;
        Some((*handle.document).share(handle.node))
    }
}

/// Pushes a value, which is taken out of `shared`; nil if there is none in it. It raises if there is no memory, and then
/// leaves it there: so it has to lie where nothing is lost by that.
///
/// # Safety
/// Called where an error may be raised, in a state made by `vm`; Lua's stack has room for three more. `shared` does not
/// move, and nobody else touches it meanwhile.
pub(crate) unsafe fn push(state: *mut lua_State, shared: *mut Option<Shared>) {
    // SAFETY: as promised. The account lives as long as the door, which outlives the state.
    unsafe {
        if (*shared).is_none() {
            ffi::lua_pushnil(state);
            return;
        }
        push_metatable(state);
        ffi::lua_rawgeti_(state, -1, ACCOUNT);
        let account: *const Account = ffi::lua_touserdata(state, -1).cast();
        ffi::lua_pop(state, 1);
        let handle = new_handle(state);
        if let Some(shared) = (*shared).take() {
            fill(handle, shared.root, account, |account| Document::new(shared, account));
        }
        memory::settle(state, &*account);
    }
}

/// Pushes the metatable.
///
/// # Safety
/// Lua's stack has room for two.
unsafe fn push_metatable(state: *mut lua_State) {
    // SAFETY: as promised; neither raises.
    unsafe {
        ffi::lua_pushlightuserdata(state, key());
        ffi::lua_rawget(state, ffi::LUA_REGISTRYINDEX);
    }
}

fn key() -> *mut c_void {
    (&raw const KEY).cast_mut().cast()
}

/// Replaces the metatable on top of the stack by a userdata with it, which is no value yet.
///
/// # Safety
/// Called where an error may be raised.
unsafe fn new_handle(state: *mut lua_State) -> *mut Handle {
    // SAFETY: as promised; the memory has the size and the alignment of a handle.
    unsafe {
        let handle: *mut Handle = ffi::lua_newuserdata(state, mem::size_of::<Handle>()).cast();
        (&raw mut (*handle).document).write(ptr::null());
        ffi::lua_insert(state, -2);
        ffi::lua_setmetatable(state, -2);
        handle
    }
}

/// Makes a handle that is no value yet one of a new document, of which `node` is the root.
///
/// # Safety
/// The handle was made by [`new_handle`] and lies on the stack; the account is that of this state.
unsafe fn fill(
    handle: *mut Handle,
    node: NodeId,
    account: *const Account,
    document: impl FnOnce(Rc<Account>) -> Rc<Document>,
) {
    // SAFETY: as promised. The account came out of an `Rc` that the door keeps.
    unsafe {
        Rc::increment_strong_count(account);
        let document = Rc::into_raw(document(Rc::from_raw(account)));
        handle.write(Handle { document, node });
    }
}

/// Pushes a reference to another node of the same document.
///
/// # Safety
/// Called where an error may be raised, from a function that has the metatable as second upvalue; the handle at `of` is a
/// value and lies on the stack.
unsafe fn push_node(state: *mut lua_State, of: *const Handle, node: NodeId) {
    // SAFETY: as promised; what `of` points to is kept alive by the stack, and its document by it.
    unsafe {
        let document = (*of).document;
        (*document).pin(node);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        let handle = new_handle(state);
        Rc::increment_strong_count(document);
        handle.write(Handle { document, node });
    }
}

/// The handle at `index`, if that is a value.
///
/// # Safety
/// Called from a function that has the metatable as second upvalue; Lua's stack has room for one more. What is returned is
/// used only while the userdata is on the stack.
unsafe fn handle<'a>(state: *mut lua_State, index: c_int) -> Option<&'a Handle> {
    // SAFETY: as promised; none of these raises.
    unsafe {
        if ffi::lua_type(state, index) != ffi::LUA_TUSERDATA || ffi::lua_getmetatable(state, index) == 0 {
            return None;
        }
        let is_ours = ffi::lua_topointer(state, -1) == ffi::lua_topointer(state, ffi::lua_upvalueindex(2));
        ffi::lua_pop(state, 1);
        if is_ours { live(state, index) } else { None }
    }
}

/// The handle in a userdata that has our metatable, if it is a value.
///
/// # Safety
/// As for [`handle`], and there is such a userdata.
unsafe fn live<'a>(state: *mut lua_State, index: c_int) -> Option<&'a Handle> {
    // SAFETY: as promised. Whoever has given our metatable to a userdata of another size has used `debug` for that.
    unsafe {
        let handle: *const Handle = ffi::lua_touserdata(state, index).cast();
        let is_whole = ffi::lua_objlen(state, index) == mem::size_of::<Handle>();
        if is_whole && !(*handle).document.is_null() { Some(&*handle) } else { None }
    }
}

impl Handle {
    fn read<R>(&self, read: impl FnOnce(&Tree) -> R) -> R {
        // SAFETY: a handle that is a value has a document, of which it keeps one count.
        unsafe { (*self.document).read(read) }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Tree) -> (R, Option<NodeId>)) -> R {
        // SAFETY: as in `read`.
        unsafe { (*self.document).change(change) }
    }
}

/// A value that Lua is to get, as it stands in a tree.
#[derive(Clone, Copy)]
enum Out {
    Nil,
    Bool(bool),
    Number(f64),
    Text(*const u8, usize),
    Node(NodeId),
}

impl From<Value<'_>> for Out {
    fn from(value: Value<'_>) -> Out {
        match value {
            Value::Null => Out::Nil,
            Value::Bool(value) => Out::Bool(value),
            Value::Int(value) => Out::Number(value as f64),
            Value::UInt(value) => Out::Number(value as f64),
            Value::Float(value) => Out::Number(value),
            Value::Text(bytes) => Out::Text(bytes.as_ptr(), bytes.len()),
            Value::Array(node) | Value::Object(node) => Out::Node(node),
        }
    }
}

/// Pushes what was just read from the document of `of`.
///
/// # Safety
/// As for [`push_node`]; since it was read nothing has happened.
unsafe fn push_out(state: *mut lua_State, of: &Handle, out: Out) {
    // SAFETY: as promised.
    unsafe {
        match out {
            Out::Nil => ffi::lua_pushnil(state),
            Out::Bool(value) => ffi::lua_pushboolean(state, value.into()),
            Out::Number(value) => ffi::lua_pushnumber(state, value),
            Out::Text(start, len) => push_text(state, of, start, len),
            Out::Node(node) => push_node(state, of, node),
        }
    }
}

/// Longer ones are lent to Lua instead of being copied twice.
const SHORT: usize = 256;

/// Pushes a text that lies in the document of `of`. A finalizer may change that before Lua has copied it.
///
/// # Safety
/// As for [`push_out`].
unsafe fn push_text(state: *mut lua_State, of: &Handle, start: *const u8, len: usize) {
    // SAFETY: as promised; the bytes are copied at once, or their tree is kept as it is until they are. If there is no
    // memory for them it is kept until the next text has been copied, or until the instance is called again.
    unsafe {
        if len <= SHORT {
            let mut copy = mem::MaybeUninit::<[u8; SHORT]>::uninit();
            let bytes: *mut u8 = copy.as_mut_ptr().cast();
            bytes.copy_from_nonoverlapping(start, len);
            ffi::lua_pushlstring_(state, bytes.cast(), len);
        } else {
            let account = account(state);
            let lent = (*of.document).lend();
            ffi::lua_pushlstring_(state, start.cast::<c_char>(), len);
            (*account).take_back(lent);
        }
    }
}

/// # Safety
/// Called from a function that has the door as upvalue.
unsafe fn account(state: *mut lua_State) -> *const Account {
    // SAFETY: as promised.
    unsafe { Rc::as_ptr(&functions::doorway(state).account) }
}

/// Runs what touches documents. If it panics an error is raised, and the panic is kept in the door.
///
/// # Safety
/// Called where an error may be raised, from a function that has the door as upvalue; `run` raises nothing.
unsafe fn guarded<R: Copy>(state: *mut lua_State, run: impl FnOnce() -> R) -> R {
    // SAFETY: as promised. What is alive here after `run` has nothing to drop.
    unsafe {
        match functions::doorway(state).ask(|_| run()) {
            Some(result) => result,
            None => functions::raise(state, FAILED),
        }
    }
}

/// The finalizer.
unsafe extern "C-unwind" fn gc(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a userdata, which is checked. Nothing here raises. Dropping a document changes counts.
    unsafe {
        if handle(state, 1).is_some() {
            let handle: *mut Handle = ffi::lua_touserdata(state, 1).cast();
            let document = mem::replace(&mut (*handle).document, ptr::null());
            (*document).unpin((*handle).node);
            drop(Rc::from_raw(document));
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mlua::Function;

    use super::*;
    use crate::setup::{Setup, Source};
    use crate::{fiber, modules, raw};

    /// A state with the module; it is closed before the door goes.
    struct Stage {
        lua: Lua,
        door: Door,
    }

    impl Stage {
        fn new(memory_limit: usize) -> Stage {
            let setup = Setup::new("stage", Source::Embedded { text: "" });
            let (lua, door) = (raw::new_state(), Door::new(&setup));
            let core = fiber::install(&lua, &door).unwrap();
            modules::nljson::install(&lua, &door, &core, memory_limit).unwrap();
            Stage { lua, door }
        }

        fn run<R: mlua::FromLuaMulti>(&self, code: &str) -> mlua::Result<R> {
            self.lua.load(code).eval()
        }

        fn share(&self, code: &str) -> Option<Shared> {
            let function: Function = self.lua.load(code).into_function().unwrap();
            let mut shared = None;
            // SAFETY: what is called raises nothing here, and leaves one value.
            unsafe {
                self.lua
                    .exec_raw::<()>(function, |state| {
                        ffi::lua_call(state, 0, 1);
                        shared = share(state, -1);
                        ffi::lua_pop(state, 1);
                    })
                    .unwrap();
            }
            shared
        }

        fn push(&self, name: &str, shared: Option<Shared>) {
            let mut shared = shared;
            let place: *mut Option<Shared> = &raw mut shared;
            // SAFETY: nobody else touches it, and it is not dropped before this returns.
            let value: mlua::Value = unsafe { self.lua.exec_raw((), |state| push(state, place)).unwrap() };
            assert!(shared.is_none());
            self.lua.globals().set(name, value).unwrap();
        }

        fn held(&self) -> usize {
            // SAFETY: Lua is not running.
            unsafe { (*self.door.0.as_ptr()).account.held() }
        }
    }

    #[test]
    fn two_threads_never_see_each_others_changes() {
        let one = Stage::new(0);
        let shared = one.share("u = nljson.decode '{\"a\":[1,2],\"b\":{\"c\":3}}' return u").unwrap();
        let part = one.share("return u.b").unwrap();
        let other = std::thread::spawn(move || {
            let other = Stage::new(0);
            assert!(Arc::ptr_eq(&shared.tree, &part.tree));
            other.push("u", Some(shared));
            other.push("b", Some(part));
            let seen: String = other.run("return tostring(u) .. tostring(b)").unwrap();
            assert_eq!(seen, r#"{"a":[1,2],"b":{"c":3}}{"c":3}"#);
            other
                .run::<String>("u.a[1] = 'theirs' b.c = 'part' u.b.c = 4 return tostring(u) .. tostring(b)")
                .unwrap()
        });
        let ours: String = one.run("local a = u.a u.a[1] = 'ours' a[3] = 5 return tostring(u)").unwrap();
        assert_eq!(ours, r#"{"a":["ours",2,5],"b":{"c":3}}"#);
        assert_eq!(other.join().unwrap(), r#"{"a":["theirs",2],"b":{"c":4}}{"c":"part"}"#);
        assert_eq!(one.run::<String>("return tostring(u)").unwrap(), ours);
    }

    #[test]
    fn what_is_no_value_is_not_shared() {
        let stage = Stage::new(0);
        for code in
            ["return", "return nil", "return {}", "return 'x'", "return io.stdout", "return newproxy()"]
        {
            assert!(stage.share(code).is_none(), "{code}");
        }
        stage.push("nothing", None);
        assert!(stage.run::<bool>("return nothing == nil").unwrap());
    }

    /// Some hundred KiB in a tree.
    const BIG: &str = "big = '[' .. ('12,'):rep(20000) .. '0]'";

    #[test]
    fn garbage_is_collected_as_it_grows() {
        let stage = Stage::new(0);
        stage.run::<()>(BIG).unwrap();
        let mut most = 0;
        for _ in 0..300 {
            stage.run::<()>("for i = 1, 5 do local u = nljson.decode(big) end").unwrap();
            most = most.max(stage.held());
        }
        assert!(most < 12 << 20, "{most} bytes at the most");
        for _ in 0..300 {
            stage
                .run::<()>(
                    "for i = 1, 500 do local u = nljson.decode '{\"a\":{\"b\":[1,2,3]}}' u.x = u.a end",
                )
                .unwrap();
            most = most.max(stage.held());
        }
        assert!(most < 12 << 20, "{most} bytes at the most");
        stage.run::<()>("collectgarbage()").unwrap();
        assert_eq!(stage.held(), 0);
    }

    #[test]
    fn what_comes_from_elsewhere_is_collected_too() {
        let (one, other) = (Stage::new(0), Stage::new(0));
        one.run::<()>(BIG).unwrap();
        let shared = one.share("return nljson.decode(big)").unwrap();
        let mut most = 0;
        for _ in 0..1000 {
            other.push("u", Some(shared.clone()));
            most = most.max(other.held());
        }
        assert!(most < 12 << 20, "{most} bytes at the most");
    }

    #[test]
    fn the_limit_holds_and_what_is_garbage_does_not_count() {
        let stage = Stage::new(8 << 20);
        stage.run::<()>(BIG).unwrap();
        stage.run::<()>("for i = 1, 200 do local u = nljson.decode(big) end").unwrap();
        for greed in [
            "for i = 1, 100 do keep[i] = nljson.decode(big) end",
            "for i = 1, 1e6 do keep[i % 1000] = nljson.new { i, big } end",
            "keep[1] = nljson.new {} for i = 1, 1e6 do keep[1]['key' .. i] = { i } end",
            "keep[1] = nljson.new {} keep[1][1e9] = 1",
            "keep[1] = nljson.new {} for i = 1, 1e7 do keep[1][i] = i end",
            "keep[1] = nljson.decode(big) for i = 2, 100 do keep[1][i] = keep[1][1] keep[1][i] = nljson.decode(big) end",
            "local list = { 1 } for i = 1, 100 do list = { list, list } end keep[1] = nljson.new(list)",
            "local list = { big } for i = 1, 20 do list = { list, list } end nljson.encode(list)",
            "nljson.from_cbor('\\154\\0\\15\\66\\64' .. ('\\128'):rep(1e6))",
        ] {
            let code = format!("keep = {{}} local ok, why = pcall(function() {greed} end) return ok, why");
            let (ok, why): (bool, Option<String>) = stage.run(&code).unwrap();
            let why = why.unwrap_or_default();
            assert!(!ok && why == "not enough memory", "{greed}: {why}");
            assert!(stage.held() < 9 << 20, "{greed}: {} bytes", stage.held());
            let fine: usize = stage.run("keep = nil return #nljson.decode(big)").unwrap();
            assert_eq!(fine, 20001);
        }
    }

    #[test]
    fn a_document_that_is_written_for_ever_does_not_grow() {
        let stage = Stage::new(0);
        let write = "u = u or nljson.new { list = { 1 } }
            for i = 1, 20000 do
                u.number, u.text, u.list[1] = i, 'text ' .. i, { { i }, x = 'text' }
                u.part = u.list
                local part = u.part[1]
                u.part, u['k' .. i] = nil, { part }
                nljson.erase(u, 'k' .. i)
            end
            collectgarbage()
            u.number = nil";
        stage.run::<()>(write).unwrap();
        let before = stage.held();
        for _ in 0..5 {
            stage.run::<()>(write).unwrap();
        }
        assert!(stage.held() < before + 100_000, "{} after {before}", stage.held());
    }
}
