//! A decoder as one would write it down from RFC 6455: one byte at a time, everything copied, nothing fast.

use std::slice::Iter;

use lapps_parser::{CloseCode, Limits, OpCode, Role, Violation};

use crate::drive::{Event, Outcome};

/// What [`crate::drive::run_bytewise`] must give.
pub(crate) fn decode(role: Role, limits: Limits, input: &[u8]) -> Outcome {
    let mut oracle = Oracle { role, limits, input: input.iter(), events: Vec::new(), message: None };
    let failed = loop {
        match oracle.frame() {
            Ok(()) => {}
            Err(Stop::EndOfInput) => break None,
            Err(Stop::Violation(violation)) => {
                break Some((violation, input.len() - oracle.input.as_slice().len()));
            }
        }
    };
    Outcome { events: oracle.events, failed }
}

struct Oracle<'a> {
    role: Role,
    limits: Limits,
    input: Iter<'a, u8>,
    events: Vec<Event>,
    message: Option<Message>,
}

struct Message {
    opcode: OpCode,
    payload: Vec<u8>,
    frames: u32,
}

enum Stop {
    EndOfInput,
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Stop {
        Stop::Violation(violation)
    }
}

impl Oracle<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        self.input.next().copied().ok_or(Stop::EndOfInput)
    }

    fn frame(&mut self) -> Result<(), Stop> {
        let start = self.byte()?;
        if start & 0b0111_0000 != 0 {
            return Err(Violation::ReservedBits.into());
        }
        let fin = start & 0b1000_0000 != 0;
        let opcode = match start & 0b1111 {
            0 => OpCode::Continuation,
            1 => OpCode::Text,
            2 => OpCode::Binary,
            8 => OpCode::Close,
            9 => OpCode::Ping,
            10 => OpCode::Pong,
            _ => return Err(Violation::ReservedOpCode.into()),
        };
        let control = matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong);
        if control && !fin {
            return Err(Violation::FragmentedControl.into());
        }
        if opcode == OpCode::Continuation {
            match &self.message {
                None => return Err(Violation::StrayContinuation.into()),
                Some(message) if message.frames == self.limits.max_fragments => {
                    return Err(Violation::TooManyFragments.into());
                }
                Some(_) => {}
            }
        } else if !control && self.message.is_some() {
            return Err(Violation::InterleavedMessage.into());
        }
        let second = self.byte()?;
        match (self.role, second & 0b1000_0000 != 0) {
            (Role::Server, false) => return Err(Violation::NotMasked.into()),
            (Role::Client, true) => return Err(Violation::Masked.into()),
            _ => {}
        }
        let short = second & 0b0111_1111;
        if control && short > 125 {
            return Err(Violation::ControlTooLong.into());
        }
        let len = self.length(short)?;
        if opcode == OpCode::Close && len == 1 {
            return Err(Violation::CloseTooShort.into());
        }
        if !control {
            let before = self.message.as_ref().map_or(0, |message| message.payload.len());
            if before as u64 + len > self.limits.max_message as u64 {
                return Err(Violation::TooBig.into());
            }
        }
        let mut key = [0; 4];
        if self.role == Role::Server {
            for byte in &mut key {
                *byte = self.byte()?;
            }
        }
        if control { self.control(opcode, len, key) } else { self.data(fin, opcode, len, key) }
    }

    fn length(&mut self, short: u8) -> Result<u64, Stop> {
        match short {
            126 => {
                let len = u64::from(self.byte()?) * 256 + u64::from(self.byte()?);
                if len <= 125 { Err(Violation::LengthNotMinimal.into()) } else { Ok(len) }
            }
            127 => {
                let mut len = 0;
                for index in 0..8 {
                    let byte = self.byte()?;
                    if index == 0 && byte >= 0x80 {
                        return Err(Violation::LengthTopBit.into());
                    }
                    len = len * 256 + u64::from(byte);
                    // From here on it is below 65536, whatever follows.
                    if index == 5 && len == 0 {
                        return Err(Violation::LengthNotMinimal.into());
                    }
                }
                Ok(len)
            }
            short => Ok(u64::from(short)),
        }
    }

    fn control(&mut self, opcode: OpCode, len: u64, key: [u8; 4]) -> Result<(), Stop> {
        let mut payload = Vec::new();
        for index in 0..len as usize {
            payload.push(self.byte()? ^ key[index % 4]);
        }
        self.events.push(match opcode {
            OpCode::Ping => Event::Ping(payload),
            OpCode::Pong => Event::Pong(payload),
            _ if payload.is_empty() => Event::Close(None, String::new()),
            _ => {
                let reason = payload.split_off(2);
                let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
                let code = CloseCode::new(code).ok_or(Violation::CloseCode)?;
                Event::Close(Some(code), String::from_utf8(reason).map_err(|_| Violation::CloseReason)?)
            }
        });
        Ok(())
    }

    fn data(&mut self, fin: bool, opcode: OpCode, len: u64, key: [u8; 4]) -> Result<(), Stop> {
        let mut message = self.message.take().unwrap_or(Message { opcode, payload: Vec::new(), frames: 0 });
        message.frames += 1;
        let mut characters = 0;
        for index in 0..len as usize {
            message.payload.push(self.byte()? ^ key[index % 4]);
            if message.opcode == OpCode::Text {
                match std::str::from_utf8(&message.payload[characters..]) {
                    Ok(_) => characters = message.payload.len(),
                    Err(error) if error.error_len().is_some() => return Err(Violation::Utf8.into()),
                    Err(error) => characters += error.valid_up_to(),
                }
            }
        }
        if !fin {
            self.message = Some(message);
            return Ok(());
        }
        if message.opcode == OpCode::Text && std::str::from_utf8(&message.payload).is_err() {
            return Err(Violation::Utf8.into());
        }
        self.events.push(Event::Message(message.opcode, message.payload));
        Ok(())
    }
}
