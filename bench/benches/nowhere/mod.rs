//! A world without anybody in it.

use std::hint::black_box;
use std::time::Duration;

use lapps_lua::{Answer, Command, ConnId, Port};

/// Takes every command and does nothing with it.
pub(crate) struct Nowhere;

impl Port for Nowhere {
    fn command(&mut self, command: Command<'_>) -> Answer {
        black_box(command);
        Answer::Done
    }

    fn now(&mut self) -> Duration {
        Duration::ZERO
    }

    fn serves(&mut self, _: ConnId) -> bool {
        true
    }

    fn is_stopping(&mut self) -> bool {
        false
    }
}
