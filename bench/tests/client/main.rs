//! The load client from the outside: as a library, and as a command.

mod command;
mod compare;
mod documented;
mod echo;
mod servers;
