//! RFC 6455 5.4 and 5.5: fragments and control frames, and the limits of a message.

use super::case::{Case, Expect, Form, fragments, frame, header, unfinished};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    control(&mut cases);
    fragmented(&mut cases);
    sizes(&mut cases);
    cases
}

fn control(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.5.2 and 5.5.3: a ping is answered with its payload";
    for len in [0, 1, 2, 4, 5, 64, 124, 125] {
        let payload: Vec<u8> = (0..len).map(|n| 255 - n as u8).collect();
        let sent = frame(PING, &payload);
        cases.push(Case::new(rfc, format!("{len} bytes"), sent, vec![Expect::Pong(payload)]));
    }
    let sent = (0..10u8).flat_map(|n| frame(PING, &[n; 3])).collect();
    let expected = (0..10u8).map(|n| Expect::Pong(vec![n; 3])).collect();
    cases.push(Case::new(rfc, "ten in a row", sent, expected));
    let sent = [frame(PING, b"a"), frame(TEXT, b"b"), frame(PING, b"c"), frame(TEXT, b"d")].concat();
    let expected = vec![
        Expect::Pong(b"a".into()),
        Expect::Text(b"b".into()),
        Expect::Pong(b"c".into()),
        Expect::Text(b"d".into()),
    ];
    cases.push(Case::new(rfc, "between messages", sent, expected));

    let rfc = "RFC 6455 5.5.3: a pong that was not asked for needs no answer";
    for len in [0, 5, 125] {
        let sent = [frame(PONG, &vec![b'p'; len]), frame(TEXT, b"after")].concat();
        cases.push(Case::new(rfc, format!("{len} bytes"), sent, vec![Expect::Text(b"after".into())]));
    }
    let sent = frame(PONG, b"many").repeat(200);
    cases.push(Case::new(rfc, "200 of them", sent, vec![]));

    let rfc = "RFC 6455 5.5: a control frame has at most 125 bytes";
    for (name, first) in [("ping", PING), ("pong", PONG), ("close", CLOSE)] {
        for (len, form) in
            [(126, Form::Sixteen), (127, Form::Sixteen), (65_535, Form::Sixteen), (65_536, Form::SixtyFour)]
        {
            let sent = header(first, form, len);
            cases.push(Case::new(rfc, format!("{name} of {len}"), sent, vec![Expect::Close(1002)]));
        }
        // The short length says it before the long one has come.
        cases.push(Case::new(
            rfc,
            format!("{name}, two bytes"),
            vec![first, 0xfe],
            vec![Expect::Close(1002)],
        ));
        cases.push(Case::new(
            rfc,
            format!("{name}, two bytes of 64 bits"),
            vec![first, 0xff],
            vec![Expect::Close(1002)],
        ));
        let long = header(first, Form::Sixteen, 5);
        cases.push(Case::new(rfc, format!("{name} of 5 in 16 bits"), long, vec![Expect::Close(1002)]));
    }
    let sent = frame(PING, &[7; 126]);
    cases.push(Case::new(rfc, "a whole ping of 126", sent, vec![Expect::Close(1002)]));

    let rfc = "RFC 6455 5.5: a control frame must not be fragmented";
    for (name, first) in [("ping", 0x09), ("pong", 0x0a), ("close", 0x08)] {
        let sent = frame(first, b"");
        cases.push(Case::new(rfc, name, sent, vec![Expect::Close(1002)]));
        let sent = [frame(first, b"a"), frame(0x80, b"b")].concat();
        cases.push(Case::new(rfc, format!("{name} and its continuation"), sent, vec![Expect::Close(1002)]));
        let sent = [frame(0x01, b"a"), frame(first, b""), frame(0x80, b"b")].concat();
        cases.push(Case::new(rfc, format!("{name} inside a message"), sent, vec![Expect::Close(1002)]));
        cases.push(Case::new(rfc, format!("{name}, one byte"), vec![first], vec![Expect::Close(1002)]));
    }
}

fn fragmented(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.4: fragments make up a message";
    let fill = vec![b'x'; 70_000];
    let ones: Vec<&[u8]> = vec![b"y"; 300];
    let nothing: Vec<&[u8]> = vec![b""; 100];
    let shapes: [(&str, &[&[u8]]); 13] = [
        ("two", &[b"Hel", b"lo"]),
        ("three", &[b"a", b"b", b"c"]),
        ("the first empty", &[b"", b"abc"]),
        ("the middle empty", &[b"ab", b"", b"c"]),
        ("the last empty", &[b"abc", b""]),
        ("two empty", &[b"", b""]),
        ("three empty", &[b"", b"", b""]),
        ("a hundred empty", &nothing),
        ("three hundred of one byte", &ones),
        ("all forms of length", &[&fill[..125], &fill[..126], &fill[..65_536], &fill[..65_535], b"z"]),
        ("from long to short", &[&fill, b"a", b""]),
        ("from short to long", &[b"", b"a", &fill]),
        ("of the size of a segment", &[&fill[..1448], &fill[..1448], &fill[..1448]]),
    ];
    for (name, parts) in shapes {
        let whole = parts.concat();
        cases.push(Case::new(
            rfc,
            format!("text, {name}"),
            fragments(1, parts),
            vec![Expect::Text(whole.clone())],
        ));
        cases.push(Case::new(
            rfc,
            format!("binary, {name}"),
            fragments(2, parts),
            vec![Expect::Binary(whole)],
        ));
    }
    let sent = [fragments(1, &[b"a", b"b"]), fragments(2, &[b"c", b"d"]), frame(TEXT, b"e")].concat();
    let expected = vec![Expect::Text(b"ab".into()), Expect::Binary(b"cd".into()), Expect::Text(b"e".into())];
    cases.push(Case::new(rfc, "messages in a row", sent, expected));

    let rfc = "RFC 6455 5.4: control frames between fragments";
    let (a, b, c) = (frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, b"c"));
    let sent = [&a[..], &frame(PING, b"1"), &b, &frame(PING, b"2"), &frame(PING, b"3"), &c].concat();
    let expected = vec![
        Expect::Pong(b"1".into()),
        Expect::Pong(b"2".into()),
        Expect::Pong(b"3".into()),
        Expect::Text(b"abc".into()),
    ];
    cases.push(Case::new(rfc, "pings", sent, expected));
    let sent = [&a[..], &frame(PONG, b"1"), &b, &frame(PONG, &[0; 125]), &c].concat();
    cases.push(Case::new(rfc, "pongs", sent, vec![Expect::Text(b"abc".into())]));
    let sent = [&a[..], &b, &frame(CLOSE, &[3, 232])].concat();
    cases.push(Case::new(rfc, "a close", sent, vec![Expect::Close(1000)]));

    let rfc = "RFC 6455 5.4: a continuation of nothing";
    for (name, first, payload) in [
        ("the last", 0x80, &b"a"[..]),
        ("the last, empty", 0x80, b""),
        ("not the last", 0x00, b"a"),
        ("not the last, empty", 0x00, b""),
    ] {
        let stray = frame(first, payload);
        cases.push(Case::new(rfc, name, stray.clone(), vec![Expect::Close(1002)]));
        let sent = [frame(TEXT, b"good"), stray.clone()].concat();
        let expected = vec![Expect::Text(b"good".into()), Expect::Close(1002)];
        cases.push(Case::new(rfc, format!("{name}, after a message"), sent, expected.clone()));
        let sent = [fragments(1, &[b"go", b"od"]), stray.clone()].concat();
        cases.push(Case::new(rfc, format!("{name}, after a fragmented message"), sent, expected));
        let sent = [frame(PING, b"p"), stray].concat();
        let expected = vec![Expect::Pong(b"p".into()), Expect::Close(1002)];
        cases.push(Case::new(rfc, format!("{name}, after a ping"), sent, expected));
    }
    cases.push(Case::new(rfc, "one byte is enough", vec![0x80], vec![Expect::Close(1002)]));

    let rfc = "RFC 6455 5.4: another message inside a fragmented one";
    for outer in [0x01, 0x02] {
        for inner in [0x81, 0x82, 0x01, 0x02] {
            let sent = [frame(outer, b"a"), frame(inner, b"b"), frame(0x80, b"c")].concat();
            cases.push(Case::new(
                rfc,
                format!("{inner:#04x} in {outer:#04x}"),
                sent,
                vec![Expect::Close(1002)],
            ));
        }
    }
    let sent = [frame(0x01, b"a"), frame(PING, b"p"), frame(0x01, b"b")].concat();
    let expected = vec![Expect::Pong(b"p".into()), Expect::Close(1002)];
    cases.push(Case::new(rfc, "after a ping", sent, expected));
}

/// The service `small` takes 1000 bytes and 4 fragments, `usual` takes what is the default: 1 MiB and 16384 fragments.
fn sizes(cases: &mut Vec<Case>) {
    let limit = "limit of a message";
    let full = vec![b'f'; 1000];
    let mut add = |name: &str, sent: Vec<u8>, expected: Vec<Expect>| {
        cases.push(Case::new(limit, name, sent, expected).service("small"));
    };
    let text = || vec![Expect::Text(full.clone())];
    let refused = || vec![Expect::Close(1009)];
    add("exactly", frame(TEXT, &full), text());
    add(
        "exactly, twice",
        frame(BINARY, &full).repeat(2),
        vec![Expect::Binary(full.clone()), Expect::Binary(full.clone())],
    );
    add("one more, header alone", header(TEXT, Form::Sixteen, 1001), refused());
    add("one more, whole", frame(TEXT, &vec![b'f'; 1001]), refused());
    add("64 KiB", header(BINARY, Form::SixtyFour, 65_536), refused());
    add("4 GiB", header(BINARY, Form::SixtyFour, 1 << 32), refused());
    add("all that a header can say", header(BINARY, Form::SixtyFour, u64::MAX >> 1), refused());
    add("exactly, in two fragments", fragments(1, &[&full[..600], &full[600..]]), text());
    add(
        "exactly, in four fragments",
        fragments(1, &[&full[..1], &full[1..2], &full[2..999], &full[999..]]),
        text(),
    );
    add("exactly, and an empty fragment", fragments(1, &[&full, b""]), text());
    let first = frame(0x01, &full[..600]);
    add(
        "the second fragment announces too much",
        [&first[..], &header(0x80, Form::Sixteen, 401)].concat(),
        refused(),
    );
    let two = [&first[..], &frame(0x00, &full[..400])].concat();
    add("the third fragment announces a byte", [&two[..], &header(0x80, Form::Seven, 1)].concat(), refused());
    add(
        "a fragment that would overflow the sum",
        [&first[..], &header(0x80, Form::SixtyFour, u64::MAX >> 1)].concat(),
        refused(),
    );
    let sent = [&two[..], &frame(PING, &[0; 100]), &frame(0x80, b"")].concat();
    add("pings do not count", sent, vec![Expect::Pong(vec![0; 100]), Expect::Text(full.clone())]);
    let mut sent = frame(TEXT, b"good");
    sent.extend(header(TEXT, Form::Sixteen, 1001));
    add("after a good message", sent, vec![Expect::Text(b"good".into()), Expect::Close(1009)]);

    let fragment = |count: usize| fragments(2, &vec![&b"1"[..]; count]);
    add("4 fragments", fragment(4), vec![Expect::Binary(vec![b'1'; 4])]);
    add("4 fragments, twice", fragment(4).repeat(2), vec![Expect::Binary(vec![b'1'; 4]); 2]);
    add("5 fragments", fragment(5), vec![Expect::Close(1008)]);
    add("5 empty fragments", fragments(1, &[&b""[..]; 5]), vec![Expect::Close(1008)]);
    let mut usual = |name: &str, sent: Vec<u8>, expected: Vec<Expect>| {
        cases.push(Case::new(limit, name, sent, expected).service("usual"));
    };
    usual("16384 fragments", fragment(16_384), vec![Expect::Binary(vec![b'1'; 16_384])]);
    usual("16385 fragments", fragment(16_385), vec![Expect::Close(1008)]);
    let endless = [frame(0x01, b""), frame(0x00, b"").repeat(16_384)].concat();
    usual("empty fragments without end", endless, vec![Expect::Close(1008)]);
    let mib = vec![b'm'; 1 << 20];
    usual("1 MiB", frame(BINARY, &mib), vec![Expect::Binary(mib.clone())]);
    usual("1 MiB and a byte", header(BINARY, Form::SixtyFour, (1 << 20) + 1), vec![Expect::Close(1009)]);
    usual(
        "1 MiB and a byte, unfinished",
        unfinished(TEXT, (1 << 20) + 1, &[b'a'; 3000]),
        vec![Expect::Close(1009)],
    );

    let large: Vec<u8> = (0..16u32 << 20).map(|n| (n * 31 + n / 997) as u8).collect();
    let parts: Vec<&[u8]> = large.chunks(65_536).collect();
    for (name, sent) in
        [("16 MiB", frame(BINARY, &large)), ("16 MiB in fragments of 64 KiB", fragments(2, &parts))]
    {
        cases.push(Case::new(limit, name, sent, vec![Expect::Binary(large.clone())]));
    }
}
