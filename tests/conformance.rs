//! Programs written as those of the original were: each module with right and wrong arguments, the traps of its contract, and
//! stand-ins for its examples, on both placements.

mod common;

#[path = "conformance/environment.rs"]
mod environment;
#[path = "conformance/home.rs"]
mod home;
#[path = "conformance/modules.rs"]
mod modules;
#[path = "conformance/stand_ins.rs"]
mod stand_ins;
#[path = "conformance/traps.rs"]
mod traps;
