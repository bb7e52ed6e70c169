//! Where a service's code is found, and what is said when it cannot be started.

use std::fs;
use std::path::Path;

use lapps_lua::{LoadError, Progress, Reactive, Setup, Source, luajit_version};
use tempfile::TempDir;

use crate::world::{ONE, Quietly, World, kept};

const EMPTY: &str = "onStart = function() end, onDisconnect = function() end, onShutdown = function() end";

/// An apps directory with these files.
fn apps(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    home
}

fn load(apps: &Path, service: &str, lua_path: Option<&str>) -> Result<Reactive, LoadError> {
    let source = Source::Apps { directory: apps, lua_path };
    Reactive::load(&Setup { memory_limit: 64 << 20, ..Setup::new(service, source) })
}

/// What a service that sends one text says.
fn says(apps: &Path, service: &str, lua_path: Option<&str>) -> String {
    let mut service = load(apps, service, lua_path).unwrap_or_else(|error| panic!("{error}"));
    let mut world = World::new();
    assert_eq!(service.start(&mut world).unwrap(), Progress::Done);
    kept(service.text(&mut world, ONE, ""));
    world.take_sent().remove(0)
}

fn saying(expression: &str) -> String {
    format!("return {{ {EMPTY}, onMessage = function(h) return ws:send(h, 1, {expression}) end }}")
}

#[track_caller]
fn refused(apps: &Path, service: &str) -> LoadError {
    let error = load(apps, service, None).expect_err("this must not load");
    assert_eq!(error.service, service);
    error
}

#[track_caller]
fn has(error: &LoadError, part: &str) {
    let text = error.to_string();
    assert!(text.contains(part), "{part:?} is missing in:\n{text}");
}

#[test]
fn a_service_is_required_and_becomes_a_global() {
    let home = apps(&[(
        "hello/hello.lua",
        &format!("local name = ... hello = 'overwritten' {}", saying("name .. type(hello.onMessage)")),
    )]);
    assert_eq!(says(home.path(), "hello", None), "hellofunction");
}

#[test]
fn names_may_have_any_characters_of_a_directory() {
    for name in ["with-dash", "with space", "größe"] {
        let home = apps(&[(
            &format!("{name}/{name}.lua"),
            &saying("type(_G[name])").replacen("return", "local name = ... return", 1),
        )]);
        assert_eq!(says(home.path(), name, None), "table");
    }
}

#[test]
fn modules_beside_the_service_and_of_other_services_are_found() {
    let home = apps(&[
        ("hello/hello.lua", &saying("require('mine') .. require('theirs') .. require('sub.deep')")),
        ("hello/mine.lua", "return 'mine '"),
        ("hello/sub/deep.lua", "return 'deep'"),
        ("other/theirs.lua", "return 'theirs '"),
        ("other/mine.lua", "return 'not this one '"),
        ("a-file-is-no-service", ""),
    ]);
    assert_eq!(says(home.path(), "hello", None), "mine theirs deep");
}

#[test]
fn search_path_order() {
    let home =
        apps(&[("m/m.lua", &saying("package.path")), ("b/b.lua", ""), ("z/z.lua", ""), ("a/a.lua", "")]);
    let at = |service: &str| format!("{}/{service}/?.lua;", home.path().display());
    let ours = [at("m"), at("a"), at("b"), at("z")].concat();
    let default = says(home.path(), "m", None).strip_prefix(&ours).unwrap().to_owned();
    assert!(default.starts_with("./?.lua;"), "{default}");
    assert!(default.ends_with(";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"), "{default}");

    assert_eq!(says(home.path(), "m", Some("/only/?.lua")), format!("{ours}/only/?.lua"));
    assert_eq!(says(home.path(), "m", Some("/first/?.lua;;")), format!("{ours}/first/?.lua;{default};"));
    assert_eq!(says(home.path(), "m", Some(";;")), format!("{ours};{default};"));
}

#[test]
fn all_standard_libraries_are_open() {
    let home = apps(&[(
        "all/all.lua",
        &saying(
            "table.concat({ type(io.open), type(os.getenv), type(debug.getinfo), type(require('ffi').cdef),
                type(require('bit').band), type(jit.on), type(package.loadlib), type(string.rep), type(table.sort),
                type(math.sin), type(coroutine.wrap), type(require('table.new')), type(require('string.buffer').new),
                type(dofile), type(newproxy) }, ' '):gsub('function ?', '')",
        ),
    )]);
    assert_eq!(says(home.path(), "all", None), "");
}

#[test]
fn the_environment_is_visible() {
    let home = apps(&[("env/env.lua", &saying("os.getenv('PATH')"))]);
    assert_eq!(says(home.path(), "env", None), std::env::var("PATH").unwrap());
}

#[test]
fn a_missing_file_says_where_it_was_looked_for() {
    let home = apps(&[("other/other.lua", "")]);
    let error = refused(home.path(), "hello");
    let file = home.path().join("hello/hello.lua");
    assert_eq!(error.file.as_deref(), Some(&*file));
    has(&error, &format!("service 'hello' cannot be started: {}: module 'hello' not found:", file.display()));
    has(&error, &format!("no file '{}'", file.display()));
    assert!(!error.to_string().contains("traceback"), "{error}");
}

#[test]
fn a_missing_apps_directory() {
    let error = refused(Path::new("/nowhere/apps"), "hello");
    has(
        &error,
        "service 'hello' cannot be started: /nowhere/apps: the directory of the services cannot be read:",
    );
}

#[test]
fn a_syntax_error_says_file_and_line() {
    let home = apps(&[("hello/hello.lua", "local x = 1\nlocal y =\nfunction oops(\n")]);
    let error = refused(home.path(), "hello");
    let file = home.path().join("hello/hello.lua");
    assert_eq!((error.file.as_deref(), error.line), (Some(&*file), Some(3)));
    has(&error, &format!("cannot be started: {}:3: syntax error: '(' expected near 'oops'", file.display()));
    assert!(!error.to_string().contains("traceback"), "{error}");
}

#[test]
fn a_syntax_error_in_a_module_names_that_module() {
    let home = apps(&[("hello/hello.lua", "require 'util'"), ("hello/util.lua", "\n\n\n)")]);
    let error = refused(home.path(), "hello");
    assert_eq!((error.file, error.line), (Some(home.path().join("hello/util.lua")), Some(4)));
}

#[test]
fn an_error_at_load_says_file_line_and_way() {
    let home = apps(&[("hello/hello.lua", "local function f()\n  local t = nil\n  return t.x\nend\nf()")]);
    let error = refused(home.path(), "hello");
    let file = home.path().join("hello/hello.lua");
    assert_eq!((error.file.as_deref(), error.line), (Some(&*file), Some(3)));
    has(
        &error,
        &format!("{}:3: attempt to index local 't' (a nil value)\nstack traceback:\n", file.display()),
    );
    assert!(error.to_string().ends_with("hello.lua:5: in main chunk"), "{error}");
}

#[test]
fn a_module_that_is_not_found_names_the_line_that_wants_it() {
    let home = apps(&[("hello/hello.lua", "\nlocal cjson = require 'no.such.module'")]);
    let error = refused(home.path(), "hello");
    assert_eq!((error.file.as_deref(), error.line), (Some(&*home.path().join("hello/hello.lua")), Some(2)));
    has(&error, "hello.lua:2: module 'no.such.module' not found:");
    has(&error, &format!("no file '{}/hello/no/such/module.lua'", home.path().display()));
}

#[test]
fn every_missing_function_is_named() {
    let home = apps(&[("hello/hello.lua", "return { onMessage = function() end, onShutdown = 'no' }")]);
    let error = refused(home.path(), "hello");
    assert_eq!(error.file, Some(home.path().join("hello/hello.lua")));
    has(
        &error,
        "onStart is missing, onDisconnect is missing, onShutdown is a string: a reactive service is a table",
    );
    assert!(!error.message.contains("onMessage is"), "{error}");
}

#[test]
fn a_file_that_returns_no_table() {
    for (text, given) in
        [("", "nothing"), ("return nil", "nothing"), ("return 5", "number"), ("return 'x'", "string")]
    {
        let home = apps(&[("hello/hello.lua", text)]);
        has(
            &refused(home.path(), "hello"),
            &format!("hello.lua: the file returns {given}, but a reactive service"),
        );
    }
}

#[test]
fn error_values_at_load() {
    for (text, part) in [
        ("error('plain', 0)", "plain"),
        ("error()", "nil"),
        ("error({})", "table"),
        ("os.exit(1)", "os.exit: a service cannot end the server"),
        ("local function f() return 1 + f() end f()", "stack overflow"),
        (
            "local s = 'x' while true do s = s .. s end",
            "not enough memory: one instance may use 67108864 bytes",
        ),
    ] {
        let home = apps(&[("hello/hello.lua", text)]);
        has(&refused(home.path(), "hello"), part);
    }
}

#[test]
fn a_service_cannot_take_the_name_of_a_library() {
    for name in ["string", "ws", "print"] {
        let home = apps(&[(&format!("{name}/{name}.lua"), &saying("''"))]);
        has(&refused(home.path(), name), "Lua has a global of this name already");
    }
}

#[test]
fn a_limit_below_what_lua_itself_needs() {
    let home = apps(&[("hello/hello.lua", &saying("''"))]);
    let source = Source::Apps { directory: home.path(), lua_path: None };
    for limit in [1, 20 << 10] {
        let setup = Setup { memory_limit: limit, ..Setup::new("hello", source) };
        let error = Reactive::load(&setup).expect_err("this is too little");
        has(&error, &format!("not enough memory: one instance may use {limit} bytes"));
    }
}

#[test]
fn embedded_code() {
    let setup = |text| Setup { strict: true, ..Setup::new("demo", Source::Embedded { text }) };
    let text = saying("'embedded'");
    let mut demo = Reactive::load(&setup(&text)).unwrap().start_quietly();
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.take_sent(), ["embedded"]);

    let error = Reactive::load(&setup("return {\n\nend")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "service 'demo' cannot be started: demo.lua:3: syntax error: unexpected symbol near 'end'"
    );
}

#[test]
fn the_version_names_luajit() {
    assert!(luajit_version().starts_with("LuaJIT 2.1."), "{}", luajit_version());
}
