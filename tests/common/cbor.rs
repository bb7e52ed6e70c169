//! CBOR by another library than the server's own, and messages of the LAppS protocol with it.

use lapps_parser::frame::OpCode;
use serde_json::{Value, json};

use super::client::{Client, Got};

/// A value as CBOR.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("values have a form in CBOR");
    bytes
}

/// CBOR as a value.
#[track_caller]
pub fn decode(bytes: &[u8]) -> Value {
    ciborium::from_reader(bytes).unwrap_or_else(|error| panic!("no CBOR: {error}: {bytes:02x?}"))
}

impl Client {
    /// Sends a value.
    pub fn value(&mut self, value: &Value) {
        self.send(true, OpCode::Binary, &encode(value));
    }

    /// The next message, which is a value.
    #[track_caller]
    pub fn get_value(&mut self) -> Value {
        match self.get() {
            Got::Binary(bytes) => decode(&bytes),
            other => panic!("no value: {other:?}"),
        }
    }

    /// Sends a request and reads what comes next.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.value(&json!({ "lapps": 1, "method": method, "params": params }));
        self.get_value()
    }

    /// The result of a request, which must have succeeded.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let response = self.request(method, params);
        assert_eq!((&response["cid"], &response["status"]), (&json!(0), &json!(1)), "{method}: {response}");
        response["result"].clone()
    }
}
