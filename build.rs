//! Exports the Lua C API from the executable, so that C modules of LuaRocks or Debian find it when they are loaded. Compiles what
//! has to run on every processor.

use std::env;

fn main() {
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/sys/cpu.c");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        let mut c = cc::Build::new();
        // Not for the processor that the rest is for.
        c.inherit_rustflags(false).file("src/sys/cpu.c").flag("-march=x86-64").compile("lapps_cpu");
    }
}
