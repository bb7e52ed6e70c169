//! Services under a recording port: events in, commands out.

mod batches;
mod clients;
mod collector;
mod faults;
mod fiber_ends;
mod fiber_events;
mod fiber_stops;
mod fiber_storm;
mod fibers;
mod handles;
mod limits;
mod loading;
mod messages;
mod neighbours;
mod stage;
mod world;
