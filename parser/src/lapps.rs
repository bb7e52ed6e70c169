//! The LAppS protocol: what kind of message a client has sent, and whether what a service sends is one.
//!
//! A message is an object with members of the names below; what else it has is the service's affair. Numbers may be
//! written as integers or as floats.

use crate::value::{NodeId, Tree, Value};

/// The number by which `onMessage` is told what it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageType {
    /// With `cid`, without `params`.
    Notification = 1,
    /// With `cid` and `params`.
    NotificationWithParams = 2,
    /// Without `cid` and `params`.
    Request = 3,
    /// Without `cid`, with `params`.
    RequestWithParams = 4,
}

/// Why an outgoing message is refused.
pub const INVALID: &str = "invalid LAppS-protocol message";

/// What kind of message has come in. Empty `params` count as none.
///
/// # Errors
/// It is none; the text says why and is short enough for the reason of a close frame.
pub fn classify(tree: &Tree) -> Result<MessageType, &'static str> {
    let Value::Object(root) = tree.value(tree.root()) else {
        return Err("invalid LAppS-protocol message: not an object");
    };
    match tree.get(root, b"lapps").map(|version| version.number()) {
        Some(Some(1.0)) => {}
        Some(Some(_)) => return Err("invalid LAppS-protocol message: lapps must be 1"),
        _ => return Err("invalid LAppS-protocol message: no number lapps"),
    }
    match tree.get(root, b"method") {
        Some(Value::Text(name)) if name.first() == Some(&b'_') => {
            return Err("invalid LAppS-protocol message: method must not begin with _");
        }
        Some(Value::Text(name)) if memchr::memchr(b'.', name).is_some() => {
            return Err("invalid LAppS-protocol message: method must not contain a dot");
        }
        Some(Value::Text(_)) => {}
        _ => return Err("invalid LAppS-protocol message: no string method"),
    }
    let has_params = match tree.get(root, b"params") {
        None => false,
        Some(Value::Array(params)) => tree.len(params) > 0,
        Some(_) => return Err("invalid LAppS-protocol message: params must be an array"),
    };
    let has_cid = match tree.get(root, b"cid").map(|cid| cid.number()) {
        None => false,
        Some(Some(_)) => true,
        Some(None) => return Err("invalid LAppS-protocol message: cid must be a number"),
    };
    Ok(match (has_cid, has_params) {
        (true, false) => MessageType::Notification,
        (true, true) => MessageType::NotificationWithParams,
        (false, false) => MessageType::Request,
        (false, true) => MessageType::RequestWithParams,
    })
}

/// Whether a service may send what is at `node`: a response, with channel 0, or an out-of-order notification, with any
/// other, which may say that its `status` is 1.
///
/// # Errors
/// It may not: [`INVALID`].
pub fn check_outgoing(tree: &Tree, node: NodeId) -> Result<(), &'static str> {
    let number = |name| tree.get(node, name).map(|value| value.number());
    let cid = number(b"cid").flatten().ok_or(INVALID)?;
    let is_valid = match number(b"status") {
        Some(Some(0.0)) => cid == 0.0 && is_error(tree, node),
        Some(Some(1.0)) if cid == 0.0 => is_array(tree, node, b"result"),
        Some(Some(1.0)) | None => cid != 0.0 && is_array(tree, node, b"message"),
        _ => false,
    };
    if is_valid { Ok(()) } else { Err(INVALID) }
}

/// Whether what is at `node` may be sent to the subscribers of a channel.
///
/// # Errors
/// It may not: [`INVALID`].
pub fn check_broadcast(tree: &Tree, node: NodeId) -> Result<(), &'static str> {
    let has_cid = tree.get(node, b"cid").is_some_and(|cid| cid.number().is_some());
    if has_cid && is_array(tree, node, b"message") { Ok(()) } else { Err(INVALID) }
}

fn is_array(tree: &Tree, node: NodeId, name: &[u8]) -> bool {
    matches!(tree.get(node, name), Some(Value::Array(_)))
}

fn is_error(tree: &Tree, node: NodeId) -> bool {
    let Some(Value::Object(error)) = tree.get(node, b"error") else { return false };
    tree.get(error, b"code").is_some_and(|code| code.number().is_some())
        && matches!(tree.get(error, b"message"), Some(Value::Text(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::value::Limits;

    fn tree(text: &str) -> Tree {
        json::decode(text.as_bytes(), Limits::default()).unwrap()
    }

    #[test]
    fn messages_have_types() {
        use MessageType::*;
        for (text, expected) in [
            (r#"{"lapps":1,"method":"a"}"#, Request),
            (r#"{"lapps":1.0,"method":"","params":[]}"#, Request),
            (r#"{"lapps":1,"method":"a_","params":[null],"more":{}}"#, RequestWithParams),
            (r#"{"lapps":1,"method":"a","cid":0}"#, Notification),
            (r#"{"lapps":1,"method":"a","cid":-2.5,"params":[]}"#, Notification),
            (r#"{"lapps":1,"method":"a","cid":18446744073709551615,"params":[[]]}"#, NotificationWithParams),
        ] {
            assert_eq!(classify(&tree(text)), Ok(expected), "{text}");
        }
        assert_eq!([Notification as u8, NotificationWithParams as u8], [1, 2]);
        assert_eq!([Request as u8, RequestWithParams as u8], [3, 4]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("1", "not an object"),
            ("[]", "not an object"),
            ("{}", "no number lapps"),
            (r#"{"lapps":"1","method":"a"}"#, "no number lapps"),
            (r#"{"lapps":2,"method":"a"}"#, "lapps must be 1"),
            (r#"{"lapps":1}"#, "no string method"),
            (r#"{"lapps":1,"method":1}"#, "no string method"),
            (r#"{"lapps":1,"method":"a.b"}"#, "method must not contain a dot"),
            (r#"{"lapps":1,"method":"_a"}"#, "method must not begin with _"),
            (r#"{"lapps":1,"method":"a","params":{}}"#, "params must be an array"),
            (r#"{"lapps":1,"method":"a","params":null}"#, "params must be an array"),
            (r#"{"lapps":1,"method":"a","cid":"1"}"#, "cid must be a number"),
            (r#"{"lapps":1,"method":"a","cid":null}"#, "cid must be a number"),
        ] {
            let message = classify(&tree(text)).unwrap_err();
            assert_eq!(message.strip_prefix(INVALID).unwrap(), std::format!(": {expected}"), "{text}");
            assert!(message.len() <= 123);
        }
    }

    #[test]
    fn services_send_responses_and_notifications() {
        for (text, expected) in [
            (r#"{"cid":0,"status":1,"result":[]}"#, true),
            (r#"{"cid":0.0,"status":1.0,"result":[1]}"#, true),
            (r#"{"cid":0,"status":0,"error":{"code":-32601,"message":"","data":1}}"#, true),
            (r#"{"cid":1,"message":[]}"#, true),
            (r#"{"cid":0.5,"status":1,"message":[1]}"#, true),
            ("5", false),
            ("{}", false),
            (r#"{"status":1,"result":[]}"#, false),
            (r#"{"cid":"0","status":1,"result":[]}"#, false),
            (r#"{"cid":0,"result":[]}"#, false),
            (r#"{"cid":0,"message":[]}"#, false),
            (r#"{"cid":0,"status":1,"message":[]}"#, false),
            (r#"{"cid":0,"status":1,"result":{}}"#, false),
            (r#"{"cid":0,"status":2,"result":[]}"#, false),
            (r#"{"cid":0,"status":"1","result":[]}"#, false),
            (r#"{"cid":0,"status":null,"result":[]}"#, false),
            (r#"{"cid":1,"status":1,"result":[]}"#, false),
            (r#"{"cid":1,"status":0,"error":{"code":1,"message":""}}"#, false),
            (r#"{"cid":1,"status":null,"message":[]}"#, false),
            (r#"{"cid":1,"message":{}}"#, false),
            (r#"{"cid":0,"status":0}"#, false),
            (r#"{"cid":0,"status":0,"error":[]}"#, false),
            (r#"{"cid":0,"status":0,"error":{"code":"1","message":""}}"#, false),
            (r#"{"cid":0,"status":0,"error":{"code":1,"message":1}}"#, false),
            (r#"{"cid":0,"status":0,"error":{"code":1}}"#, false),
        ] {
            let tree = tree(text);
            let expected = if expected { Ok(()) } else { Err(INVALID) };
            assert_eq!(check_outgoing(&tree, tree.root()), expected, "{text}");
        }
    }

    #[test]
    fn broadcasts_have_a_number_and_a_list() {
        for (text, expected) in [
            (r#"{"cid":5,"message":[]}"#, true),
            (r#"{"cid":0,"message":[1],"more":1}"#, true),
            (r#"{"cid":"5","message":[]}"#, false),
            (r#"{"cid":5,"message":"x"}"#, false),
            (r#"{"message":[]}"#, false),
            ("[]", false),
        ] {
            let tree = tree(text);
            assert_eq!(check_broadcast(&tree, tree.root()).is_ok(), expected, "{text}");
        }
    }
}
