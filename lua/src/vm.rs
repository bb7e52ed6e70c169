//! One LuaJIT state: its libraries, its search paths, its limit, and the loading of a service into it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use crate::error::LoadError;
use crate::pace::Pace;
use crate::raw::{self, Door, Instance};
use crate::setup::{Protocol, Setup, Source};
use crate::{fiber, modules};

/// Runs in every state before the service's code.
const PRELUDE: &str = include_str!("prelude.lua");

/// Where Debian's packages put Lua modules, beside the places under /usr/local that LuaJIT knows.
const DEBIAN_PATH: &str = "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua";

/// What a service is to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    Reactive,
    Standalone,
}

/// A state that is being made.
pub(crate) struct Loading {
    /// Closed before the door goes: its functions know it. (Fields drop in order.)
    lua: Lua,
    door: Door,
    core: Table,
}

impl Loading {
    /// Makes a state with everything that the service's code finds in it.
    pub(crate) fn begin(setup: &Setup<'_>, contract: Contract) -> Result<Loading, LoadError> {
        let lua = new(setup)?;
        let door = Door::new(setup);
        let core = furnish(&lua, &door, setup, contract).map_err(|cause| failed(setup, &cause))?;
        Ok(Loading { lua, door, core })
    }

    /// Runs the service's code and stores what it returns in the global that has its name.
    pub(crate) fn run(&self, setup: &Setup<'_>) -> Result<Value, LoadError> {
        load(&self.lua, setup)
    }

    /// Makes the instance, whose handlers are in `service`.
    pub(crate) fn finish(self, setup: &Setup<'_>, service: &Table) -> Result<Instance, LoadError> {
        let Loading { lua, door, core } = self;
        fiber::serve(&lua, &core, service)
            .and_then(|()| Instance::new(lua, door, &core, setup.memory_limit, Pace::of(setup)))
            .map_err(|cause| failed(setup, &cause))
    }
}

/// A mistake in the service as a whole.
pub(crate) fn error(setup: &Setup<'_>, message: String) -> LoadError {
    LoadError { service: setup.service.to_owned(), file: Some(file(setup)), line: None, message }
}

/// Loads our library and sets the globals.
fn furnish(lua: &Lua, door: &Door, setup: &Setup<'_>, contract: Contract) -> mlua::Result<Table> {
    let core = fiber::install(lua, door)?;
    if contract == Contract::Reactive && setup.protocol == Protocol::Raw && setup.compiled && compiles(lua)? {
        core.get::<Table>("host")?.set("compiled", door.compiled(lua)?)?;
    }
    modules::nljson::install(lua, door, &core, setup.memory_limit)?;
    modules::install(lua, door, &core)?;
    let globals = lua.globals();
    if contract == Contract::Reactive {
        modules::ws::install(lua, door, &core)?;
    } else {
        globals.set("must_stop", core.get::<Table>("host")?.get::<Function>("stopping")?)?;
    }
    if contract == Contract::Standalone || setup.protocol == Protocol::Lapps {
        modules::bcast::install(lua, door)?;
    }
    modules::cws::install(lua, door, &core)?;
    globals.set("instance_id", setup.instance.to_string())?;
    let modules: Table = core.get("modules")?;
    for name in setup.preload {
        let module: Value = modules.get(name.as_str())?;
        if module.is_nil() {
            return Err(mlua::Error::RuntimeError(format!("there is no module '{name}' to preload")));
        }
        globals.set(name.as_str(), module)?;
    }
    Ok(core)
}

/// Whether LuaJIT compiles here: it does not on every machine.
fn compiles(lua: &Lua) -> mlua::Result<bool> {
    lua.globals().get::<Table>("jit")?.get::<Function>("status")?.call(())
}

/// Makes a state for the service: all standard libraries, its search paths, its memory limit.
fn new(setup: &Setup<'_>) -> Result<Lua, LoadError> {
    let lua = raw::new_state();
    prepare(&lua, setup).map_err(|error| failed(setup, &error))?;
    if let Source::Apps { directory, lua_path } = setup.source {
        let directories = service_directories(directory, setup.service).map_err(|error| LoadError {
            service: setup.service.to_owned(),
            file: Some(directory.to_owned()),
            line: None,
            message: format!("the directory of the services cannot be read: {error}"),
        })?;
        set_paths(&lua, &directories, lua_path).map_err(|error| failed(setup, &error))?;
    }
    Ok(lua)
}

fn load(lua: &Lua, setup: &Setup<'_>) -> Result<Value, LoadError> {
    if lua.globals().contains_key(setup.service).unwrap_or(false) {
        return Err(LoadError {
            service: setup.service.to_owned(),
            file: Some(file(setup)),
            line: None,
            message: "Lua has a global of this name already; the service needs another name".to_owned(),
        });
    }
    run(lua, setup).map_err(|error| failed(setup, &error))
}

/// The file that holds the service's code, as messages name it.
fn file(setup: &Setup<'_>) -> PathBuf {
    match setup.source {
        Source::Apps { directory, .. } => {
            directory.join(setup.service).join(format!("{}.lua", setup.service))
        }
        Source::Embedded { .. } => PathBuf::from(format!("{}.lua", setup.service)),
    }
}

fn prepare(lua: &Lua, setup: &Setup<'_>) -> mlua::Result<()> {
    lua.set_memory_limit(setup.memory_limit)?;
    lua.load(PRELUDE).set_name("=lapps").exec()
}

fn run(lua: &Lua, setup: &Setup<'_>) -> mlua::Result<Value> {
    let service: Value = match setup.source {
        Source::Apps { .. } => lua.globals().get::<Function>("require")?.call(setup.service)?,
        Source::Embedded { text } => lua
            .load(text)
            .set_name(format!("={}.lua", setup.service))
            .set_mode(ChunkMode::Text)
            .call(setup.service)?,
    };
    lua.globals().set(setup.service, &service)?;
    Ok(service)
}

/// Every directory below `apps`, sorted, but that of the service itself first.
fn service_directories(apps: &Path, service: &str) -> io::Result<Vec<PathBuf>> {
    let own = apps.join(service);
    let mut directories = Vec::new();
    for entry in fs::read_dir(apps)? {
        let path = entry?.path();
        if path.is_dir() && path != own {
            directories.push(path);
        }
    }
    directories.sort();
    directories.insert(0, own);
    Ok(directories)
}

fn set_paths(lua: &Lua, directories: &[PathBuf], lua_path: Option<&str>) -> mlua::Result<()> {
    let (default_path, default_cpath) = default_paths()?;
    let path = format!("{default_path};{DEBIAN_PATH}");
    let path = match lua_path {
        Some(lua_path) => lua_path.replace(";;", &format!(";{path};")),
        None => path,
    };
    let mut all = Vec::new();
    for directory in directories {
        // These two have a meaning in a search path, and there is no way to write them otherwise.
        if !directory.as_os_str().as_bytes().iter().any(|byte| b";?".contains(byte)) {
            all.extend_from_slice(directory.as_os_str().as_bytes());
            all.extend_from_slice(b"/?.lua;");
        }
    }
    all.extend_from_slice(path.as_bytes());

    // LuaJIT has read LUA_CPATH itself. Only where its default stands is Debian's place added.
    let package: Table = lua.globals().get("package")?;
    let cpath: String = package.get("cpath")?;
    let debian_cpath = format!("/usr/lib/{}-linux-gnu/lua/5.1/?.so;/usr/lib/lua/5.1/?.so", env::consts::ARCH);
    let cpath = cpath.replace(&default_cpath, &format!("{default_cpath};{debian_cpath}"));
    package.set("path", lua.create_string(all)?)?;
    package.set("cpath", cpath)
}

/// `package.path` and `package.cpath` as LuaJIT has them without the environment's influence.
fn default_paths() -> mlua::Result<(String, String)> {
    let lua = Lua::new_with(StdLib::NONE, LuaOptions::default())?;
    lua.set_named_registry_value("LUA_NOENV", true)?;
    lua.load_std_libs(StdLib::PACKAGE)?;
    let package: Table = lua.globals().get("package")?;
    Ok((package.get("path")?, package.get("cpath")?))
}

/// Sorts out what Lua said: which file, which line, what.
fn failed(setup: &Setup<'_>, error: &mlua::Error) -> LoadError {
    let own = file(setup);
    let (text, traceback) = match error {
        mlua::Error::RuntimeError(text) => {
            let (text, traceback) = text.split_once("\nstack traceback:\n").unwrap_or((text, ""));
            (text.to_owned(), outside_of_us(traceback))
        }
        mlua::Error::SyntaxError { message, .. } => (format!("syntax error: {message}"), String::new()),
        mlua::Error::MemoryError(_) => {
            (format!("not enough memory: one instance may use {} bytes", setup.memory_limit), String::new())
        }
        error => (error.to_string(), String::new()),
    };
    let mut found = locate(&own, &text);
    if !traceback.is_empty() && !found.is_final {
        found.message = format!("{}\nstack traceback:\n{traceback}", found.message);
    }
    LoadError {
        service: setup.service.to_owned(),
        file: Some(found.file),
        line: found.line,
        message: found.message,
    }
}

struct Located {
    file: PathBuf,
    line: Option<u32>,
    message: String,
    /// A traceback would only show how Lua loads modules.
    is_final: bool,
}

fn locate(own: &Path, text: &str) -> Located {
    // How `require` reports a file that it cannot compile.
    if let Some((module, (path, cause))) = text
        .split_once("error loading module '")
        .and_then(|(_, rest)| rest.split_once("' from file '"))
        .and_then(|(module, rest)| Some((module, rest.split_once("':\n\t")?)))
    {
        let (line, message) = match position(cause) {
            Some((_, line, message)) => (Some(line), format!("syntax error: {message}")),
            None => (None, format!("module '{module}' cannot be loaded: {cause}")),
        };
        return Located { file: PathBuf::from(path), line, message, is_final: true };
    }
    let is_final = text.contains("' not found:\n");
    let (prefix, rest) = match text.strip_prefix("syntax error: ") {
        Some(rest) => ("syntax error: ", rest),
        None => ("", text),
    };
    match position(rest) {
        Some((source, line, message)) => Located {
            file: resolve(own, source),
            line: Some(line),
            message: format!("{prefix}{message}"),
            is_final,
        },
        None => Located { file: own.to_owned(), line: None, message: text.to_owned(), is_final },
    }
}

/// Splits `SOURCE:LINE: MESSAGE`.
fn position(text: &str) -> Option<(&str, u32, &str)> {
    let first_line = text.lines().next()?;
    for (at, _) in first_line.match_indices(':') {
        let rest = &text[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let (Ok(line), Some(message)) = (rest[..digits].parse(), rest[digits..].strip_prefix(": ")) {
            return Some((&text[..at], line, message));
        }
    }
    None
}

/// Lua shortens long names to `...` and their end.
fn resolve(own: &Path, source: &str) -> PathBuf {
    let is_own = source
        .strip_prefix("...")
        .is_some_and(|end| OsStr::as_bytes(own.as_os_str()).ends_with(end.as_bytes()));
    if is_own { own.to_owned() } else { PathBuf::from(source) }
}

/// The traceback without the lines at its end that show how the service was called.
fn outside_of_us(traceback: &str) -> String {
    let mut lines: Vec<&str> = traceback.lines().collect();
    while lines.last().is_some_and(|line| line.trim_start().starts_with("[C]: in ")) {
        lines.pop();
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        assert_eq!(position("a.lua:3: oops"), Some(("a.lua", 3, "oops")));
        assert_eq!(position("/x:1/a.lua:12: oops: 3: x"), Some(("/x:1/a.lua", 12, "oops: 3: x")));
        assert_eq!(position("no position"), None);
        assert_eq!(position("first\na.lua:3: second"), None);
        assert_eq!(position(""), None);
    }

    #[test]
    fn shortened_names_are_recognised() {
        let own = Path::new("/srv/apps/hello/hello.lua");
        assert_eq!(resolve(own, "...pps/hello/hello.lua"), own);
        assert_eq!(resolve(own, "...pps/other/other.lua"), Path::new("...pps/other/other.lua"));
        assert_eq!(resolve(own, "/srv/apps/hello/hello.lua"), own);
    }

    #[test]
    fn default_paths_do_not_depend_on_the_environment() {
        let (path, cpath) = default_paths().unwrap();
        assert!(path.starts_with("./?.lua;"), "{path}");
        assert!(cpath.starts_with("./?.so;"), "{cpath}");
    }
}
