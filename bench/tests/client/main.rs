//! The load client from the outside: as a library, and as a command.

mod command;
mod compare;
mod echo;
mod servers;
