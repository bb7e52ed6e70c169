//! Exports the Lua C API from the executable, so that C modules of LuaRocks or Debian find it when they are loaded.

fn main() {
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    println!("cargo:rerun-if-changed=build.rs");
}
