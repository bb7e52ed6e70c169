//! Section 7.4: which codes may go on the wire, and the payload that carries them.

use lapps_parser::close::{MAX_REASON_LEN, write_payload};
use lapps_parser::{CloseCode, OpCode, Violation};

use crate::drive::{Event, LIMITS, ROLES, frame, run};

/// Section 7.4.1 name by name, section 7.4.2 range by range, and the three codes that IANA added since.
fn allowed(code: u16) -> bool {
    match code {
        ..=999 => false,
        1000 => true,  // normal
        1001 => true,  // going away
        1002 => true,  // protocol error
        1003 => true,  // unsupported data
        1004 => false, // reserved
        1005 => false, // no status, never sent
        1006 => false, // abnormal, never sent
        1007 => true,  // invalid payload
        1008 => true,  // policy
        1009 => true,  // too big
        1010 => true,  // mandatory extension
        1011 => true,  // internal error
        1012 => true,  // service restart
        1013 => true,  // try again later
        1014 => true,  // bad gateway
        1015 => false, // TLS handshake, never sent
        1016..=2999 => false,
        3000..=3999 => true, // libraries and frameworks
        4000..=4999 => true, // private use
        5000.. => false,
    }
}

#[test]
fn every_code_against_the_registry() {
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).map(CloseCode::get), allowed(code).then_some(code), "{code}");
    }
}

#[test]
fn every_code_on_the_wire() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let outcome = run(role, LIMITS, &frame(role, true, OpCode::Close, &code.to_be_bytes()), &[]);
            match CloseCode::new(code) {
                Some(code) => {
                    assert_eq!(outcome.what(), (&[Event::Close(Some(code), String::new())][..], None))
                }
                None => assert_eq!(outcome.what(), (&[][..], Some(Violation::CloseCode)), "{code}"),
            }
        }
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    for (reason, kept) in [
        ("", 0),
        ("bye", 3),
        (&"x".repeat(MAX_REASON_LEN), MAX_REASON_LEN),
        (&"x".repeat(500), MAX_REASON_LEN),
        (&"\u{e9}".repeat(100), 122),
        (&"\u{20ac}".repeat(100), 123),
        (&"\u{1f980}".repeat(100), 120),
    ] {
        let mut payload = b"before".to_vec();
        write_payload(&mut payload, CloseCode::GOING_AWAY, reason);
        assert_eq!(payload, [b"before\x03\xe9", &reason.as_bytes()[..kept]].concat());
        let outcome = run(ROLES[1], LIMITS, &frame(ROLES[1], true, OpCode::Close, &payload[6..]), &[]);
        assert_eq!(outcome.events, [Event::Close(Some(CloseCode::GOING_AWAY), reason[..kept].to_owned())]);
    }
}

#[test]
fn every_violation_says_what_it_is_and_has_its_code() {
    use Violation::*;
    let protocol = [
        ReservedBits,
        ReservedOpCode,
        NotMasked,
        Masked,
        LengthNotMinimal,
        LengthTopBit,
        FragmentedControl,
        ControlTooLong,
        StrayContinuation,
        InterleavedMessage,
        CloseTooShort,
        CloseCode,
    ];
    let others = [(Utf8, 1007), (CloseReason, 1007), (TooBig, 1009), (TooManyFragments, 1008)];
    let mut texts = std::collections::HashSet::new();
    for (violation, code) in protocol.map(|violation| (violation, 1002)).into_iter().chain(others) {
        assert_eq!(violation.close_code().get(), code, "{violation:?}");
        assert!(violation.to_string().len() <= MAX_REASON_LEN && texts.insert(violation.to_string()));
    }
}
