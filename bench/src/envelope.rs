//! What stands around the payload of each message, in both directions.

/// Bytes that are the same in all messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Before the payload that is sent.
    pub sent: Vec<u8>,
    /// Before and after the payload that comes back.
    pub back: [Vec<u8>; 2],
}

impl Envelope {
    /// A request of the LAppS protocol whose only parameter is a text of `len` bytes, and the response with that text as its
    /// only result.
    pub fn lapps(len: usize) -> Envelope {
        let text = text_head(len);
        let parts = |parts: &[&[u8]]| parts.concat();
        Envelope {
            sent: parts(&[b"\xa3\x65lapps\x01\x66method\x64echo\x66params\x81", &text]),
            back: [parts(&[b"\xa3\x63cid\x00\x66result\x81", &text]), b"\x66status\x01".to_vec()],
        }
    }

    /// The payload of a message that came back; `None` if something else stands around it.
    #[inline]
    pub fn open<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        message.strip_prefix(&self.back[0][..])?.strip_suffix(&self.back[1][..])
    }
}

/// The beginning of a CBOR text of `len` bytes (RFC 8949 section 3).
fn text_head(len: usize) -> Vec<u8> {
    match len {
        0..24 => vec![0x60 | len as u8],
        24..0x100 => vec![0x78, len as u8],
        0x100..0x1_0000 => [&[0x79], &(len as u16).to_be_bytes()[..]].concat(),
        _ => [&[0x7a], &(len as u32).to_be_bytes()[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_its_response_are_cbor() {
        for len in [0, 23, 24, 255, 256, 65_535, 65_536] {
            let envelope = Envelope::lapps(len);
            let text = vec![b'x'; len];
            let request = [&envelope.sent[..], &text].concat();
            let request: serde_json::Value = ciborium::from_reader(&request[..]).unwrap();
            assert_eq!(request["params"][0].as_str().unwrap().len(), len);
            assert_eq!((&request["lapps"], &request["method"]), (&1.into(), &"echo".into()));
            let response = [&envelope.back[0][..], &text, &envelope.back[1]].concat();
            assert_eq!(envelope.open(&response), Some(&text[..]));
            assert_eq!(envelope.open(&response[1..]), None);
            let response: serde_json::Value = ciborium::from_reader(&response[..]).unwrap();
            assert_eq!(response["result"][0].as_str().unwrap().len(), len);
            assert_eq!((&response["cid"], &response["status"]), (&0.into(), &1.into()));
        }
    }

    #[test]
    fn without_one_a_message_is_its_payload() {
        assert_eq!(Envelope::default().open(b"abc"), Some(&b"abc"[..]));
    }
}
