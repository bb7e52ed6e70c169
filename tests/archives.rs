//! Archives of services: what is written can be read by others, what others write is read, and what is wrong is refused.

mod common;

#[path = "archives/commands.rs"]
mod commands;
#[path = "archives/damage.rs"]
mod damage;
#[path = "archives/model.rs"]
mod model;
#[path = "archives/python.rs"]
mod python;
#[path = "archives/random.rs"]
mod random;
