//! C modules load into services: the executable exports the Lua C API.

mod common;

use std::path::Path;
use std::process::Command;

use common::client::{Client, Got};
use common::home::Home;
use common::process::Lapps;
use serde_json::json;

/// A C module that needs nothing but a compiler: the few functions of the C API that it uses are declared by hand.
const TINY: &str = r#"
typedef struct lua_State lua_State;
extern const char *lua_tolstring(lua_State *, int, unsigned long *);
extern void lua_pushlstring(lua_State *, const char *, unsigned long);
extern void lua_pushcclosure(lua_State *, int (*)(lua_State *), int);
extern void lua_createtable(lua_State *, int, int);
extern void lua_setfield(lua_State *, int, const char *);

static int reverse(lua_State *L) {
    unsigned long length, n;
    const char *text = lua_tolstring(L, 1, &length);
    char out[256];
    if (length > sizeof out) length = sizeof out;
    for (n = 0; n < length; n++) out[n] = text[length - 1 - n];
    lua_pushlstring(L, out, length);
    return 1;
}

int luaopen_tiny(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcclosure(L, reverse, 0);
    lua_setfield(L, -2, "reverse");
    return 1;
}
"#;

fn service(body: &str) -> String {
    format!(
        "local NAME = {{}}
         {body}
         function NAME.onStart() end
         function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, answer(message)) end
         function NAME.onDisconnect(handler) end
         function NAME.onShutdown() end
         return NAME"
    )
}

fn expect(server: &Lapps, name: &str, question: &str, answer: &str) {
    for target in [format!("/{name}"), format!("/{name}-dedicated")] {
        let mut client = Client::open(server, &target);
        client.text(question);
        assert_eq!(client.get(), Got::Text(answer.into()), "{target}");
    }
}

#[test]
fn a_module_made_by_the_c_compiler_loads() {
    let body = "local tiny = require 'tiny'; local function answer(text) return tiny.reverse(text) end";
    let home = Home::new().on_both("reversing", &service(body), json!({}));
    home.write("tiny.c", TINY);
    let (source, library) = (home.path().join("tiny.c"), home.path().join("tiny.so"));
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(status.expect("a C compiler, which the build needs too").success());
    home.save();
    let cpath = format!("{}/?.so;;", home.path().display());
    let arguments = ["run", "--home", home.path().to_str().unwrap()];
    let server = Lapps::run(home.path(), &arguments, &[("LUA_CPATH", &cpath)]);
    expect(&server, "reversing", "stressed", "desserts");
}

#[test]
fn lua_cjson_and_lua_socket_of_debian_load() {
    let libraries = Path::new("/usr/lib/x86_64-linux-gnu/lua/5.1");
    if !libraries.join("cjson.so").exists() || !libraries.join("socket").exists() {
        let required = std::env::var_os("LAPPS_REQUIRE_LUA_C_MODULES").is_some_and(|value| value == "1");
        assert!(!required, "lua-cjson and lua-socket are required, and are not in {}", libraries.display());
        println!("skipped: lua-cjson or lua-socket is not installed");
        return;
    }
    let body = r#"
        local cjson, socket = require "cjson", require "socket"
        local function answer(text)
            local value = cjson.decode(text)
            return cjson.encode({ value[1] + value[2], socket.gettime() > 1e9 })
        end"#;
    let home = Home::new().on_both("summing", &service(body), json!({}));
    let server = Lapps::start(&home);
    expect(&server, "summing", "[20, 22]", "[42,true]");
}
