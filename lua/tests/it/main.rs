//! Services under a recording port: events in, commands out.

mod faults;
mod fibers;
mod handles;
mod limits;
mod loading;
mod messages;
mod stage;
mod world;
