//! Request heads made from a good one by changing a line.

use crate::common::client::KEY;

/// A request head in lines, without their ends.
#[derive(Clone)]
pub(crate) struct Head {
    line: Vec<u8>,
    fields: Vec<Vec<u8>>,
}

impl Head {
    /// What the server has to accept at `target`.
    pub(crate) fn good(target: &str) -> Head {
        let key = format!("Sec-WebSocket-Key: {KEY}");
        let fields = [
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            key.as_str(),
            "Sec-WebSocket-Version: 13",
        ];
        Head {
            line: format!("GET {target} HTTP/1.1").into_bytes(),
            fields: fields.map(|field| field.as_bytes().to_vec()).into(),
        }
    }

    /// With another first line.
    pub(crate) fn line(mut self, line: impl AsRef<[u8]>) -> Head {
        self.line = line.as_ref().to_vec();
        self
    }

    /// With `field`, a whole line, in place of the one of this name.
    pub(crate) fn set(mut self, name: &str, field: impl AsRef<[u8]>) -> Head {
        let begins = |line: &Vec<u8>| line.starts_with(format!("{name}:").as_bytes());
        let at = self.fields.iter().position(begins).expect("a field of the good head");
        self.fields[at] = field.as_ref().to_vec();
        self
    }

    /// Without the field of this name.
    pub(crate) fn without(mut self, name: &str) -> Head {
        self.fields.retain(|line| !line.starts_with(format!("{name}:").as_bytes()));
        self
    }

    /// With one more line at the end.
    pub(crate) fn add(mut self, field: impl AsRef<[u8]>) -> Head {
        self.fields.push(field.as_ref().to_vec());
        self
    }

    /// With one more line before all others.
    pub(crate) fn add_first(mut self, field: impl AsRef<[u8]>) -> Head {
        self.fields.insert(0, field.as_ref().to_vec());
        self
    }

    /// With every field changed by `change`.
    pub(crate) fn map(mut self, change: impl Fn(&[u8]) -> Vec<u8>) -> Head {
        self.fields = self.fields.iter().map(|field| change(field)).collect();
        self
    }

    /// With the fields in reverse order.
    pub(crate) fn reversed(mut self) -> Head {
        self.fields.reverse();
        self
    }

    /// Padded with fields until there are `count`.
    pub(crate) fn with_fields(mut self, count: usize) -> Head {
        for n in self.fields.len()..count {
            self.fields.push(format!("X-{n}: {n}").into_bytes());
        }
        self
    }

    /// Padded with fields, each of 1000 bytes at most, until the head is `len` bytes long.
    pub(crate) fn with_len(mut self, len: usize) -> Head {
        loop {
            match len.checked_sub(self.bytes().len()) {
                None => panic!("longer already"),
                Some(0) => return self,
                Some(missing) => {
                    // A line costs its end, too; what is left must be enough for another line.
                    let size = if missing > 1200 { 1000 } else { missing.min(600) };
                    let size = if (1..8).contains(&(missing - size)) { size - 8 } else { size };
                    self.fields.push(format!("X:{}", "a".repeat(size - 4)).into_bytes());
                }
            }
        }
    }

    /// As it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone();
        for field in &self.fields {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(field);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }
}
