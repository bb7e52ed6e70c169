//! What comes from outside to a server as to the original: where modules are, and the signal that did nothing there.

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

#[test]
fn the_lua_path_of_the_environment_is_searched() {
    let code = r"
        local found = require('of_the_environment')
        NAME = {}
        NAME['onStart'] = function() end
        NAME['onMessage'] = function(handler, opcode) return ws:send(handler, opcode, found.name) end
        NAME['onDisconnect'] = function() end
        NAME['onShutdown'] = function() end
        return NAME";
    let home = Home::new().on_both("seeks", code, json!({}));
    home.write("elsewhere/of_the_environment.lua", "return { name = 'found' }");
    home.save();
    let pattern = format!("{}/elsewhere/?.lua;;", home.path().display());
    let arguments = ["run", "--home", home.path().to_str().unwrap()];
    let server = Lapps::run(home.path(), &arguments, &[("LUA_PATH", &pattern)]);
    for target in ["/seeks", "/seeks-dedicated"] {
        let mut client = Client::open(&server, target);
        client.text("?");
        assert_eq!(client.get(), Got::Text("found".into()));
    }
}

#[test]
fn a_hangup_ends_nothing() {
    let home = Home::new().service("echo", ECHO, json!({}));
    let mut server = Lapps::start(&home);
    let mut client = Client::open(&server, "/echo");
    server.signal("HUP");
    server.expect_log("read again");
    client.echo("still there");
    Client::open(&server, "/echo").echo("and new ones");
}
