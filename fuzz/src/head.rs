//! Target `head`: any bytes as a request head and as a response head.

use lapps_parser::handshake::{check_response, read_upgrade, write_accept};
use lapps_parser::http::{Fields, HeadLimits, HeadScan, RequestHead, ResponseHead, is_token};

/// Small, so that short input reaches them.
pub(crate) const LIMITS: HeadLimits = HeadLimits { head: 1000, fields: 12, target: 200 };

/// All of `data` is what the peer sends.
///
/// # Panics
/// If a head is accepted that breaks a promise of the parser, or if the answer to an upgrade is not one that the
/// client side accepts.
pub fn head(data: &[u8]) {
    let Ok(Some(end)) = HeadScan::new().find_end(data, &LIMITS) else { return };
    let bytes = &data[..end];
    assert!(end <= LIMITS.head && bytes.ends_with(b"\r\n\r\n"));
    if let Ok(head) = ResponseHead::parse(bytes, &LIMITS) {
        assert!((100..=999).contains(&head.status));
        fields(&head.fields);
    }
    if let Ok(head) = RequestHead::parse(bytes, &LIMITS) {
        assert!(is_token(head.method) && head.target.len() <= LIMITS.target);
        fields(&head.fields);
        upgrade(&head);
    }
}

fn fields(fields: &Fields<'_>) {
    assert!(fields.iter().count() <= LIMITS.fields);
    for (name, value) in fields.iter() {
        assert!(is_token(name));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert_eq!(value.trim_ascii(), value);
        assert!(fields.all(&name.to_ascii_uppercase()).any(|other| other == value));
        assert_eq!(fields.get(name), fields.all(name).next());
        assert_eq!(fields.count(name), fields.all(name).count());
    }
}

fn upgrade(head: &RequestHead<'_>) {
    let Ok(upgrade) = read_upgrade(head) else { return };
    let key = head.fields.get("sec-websocket-key").and_then(|key| key.try_into().ok());
    let key = key.expect("an accepted upgrade has a key of 24 bytes");
    let mut answer = Vec::new();
    let protocol = upgrade.protocols().next();
    write_accept(&mut answer, &upgrade, "test", [("X-Path", upgrade.path)].into_iter(), protocol);
    let end = HeadScan::new().find_end(&answer, &HeadLimits::default());
    assert_eq!(end, Ok(Some(answer.len())));
    let response =
        ResponseHead::parse(&answer, &HeadLimits::default()).expect("our own answer is well-formed");
    let checked = check_response(&response, key);
    assert!(checked.is_ok() || protocol.is_some(), "{checked:?}");
}
