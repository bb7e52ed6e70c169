//! Our sessions against the library's: the same bytes, however they are cut, with every cipher suite.

use std::io::{Read, Write};
use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, HandshakeKind, PeerMisbehaved, ServerConnection,
};

use super::testing::{
    client_config_of as client_config, localhost, server_config_of as server_config, suites, tls12, tls13,
};
use super::*;
use crate::net::tls::records::{
    ALERT, APPLICATION_DATA, HANDSHAKE, LARGEST_PLAINTEXT, LARGEST_RECORD, OVERHEAD,
};

type Server = Session<UnbufferedServerConnection>;
type Client = Session<UnbufferedClientConnection>;

/// A session of ours with the memory that a connection has for it.
struct Ours<S: Side> {
    session: Session<S>,
    cut: Vec<u8>,
    plain: Vec<u8>,
    reply: Vec<u8>,
    queue: WriteQueue,
    buffers: Buffers,
    end: bool,
}

impl<S: Side> Ours<S> {
    fn new(side: S) -> Ours<S> {
        let mut reply = Vec::new();
        let session = Session::new(side, &mut reply).unwrap();
        let (queue, buffers) = (WriteQueue::default(), Buffers::default());
        Ours { session, cut: Vec::new(), plain: Vec::new(), reply, queue, buffers, end: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut cipher = std::mem::take(&mut self.cut);
        cipher.extend_from_slice(bytes);
        let mut plain = vec![0; cipher.len()];
        let opened = self.session.open(&mut cipher, &mut plain, &mut self.reply)?;
        self.cut = cipher[opened.eaten..].to_vec();
        self.plain.extend_from_slice(&plain[..opened.len]);
        self.end |= opened.end;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.queue.append(&mut self.buffers, bytes.len(), |out| out.extend_from_slice(bytes));
    }

    /// All that is to be sent.
    fn give(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.reply);
        let mut out = vec![0; 2 * LARGEST_RECORD];
        while !self.queue.is_empty() {
            let len = self.session.seal(&mut self.queue, &mut self.buffers, &mut out).unwrap();
            if len == 0 {
                break;
            }
            all.extend_from_slice(&out[..len]);
        }
        all
    }

    fn traffic(&mut self) -> &mut Traffic<S> {
        match &mut self.session.phase {
            Phase::Traffic(traffic) => traffic,
            _ => panic!("the handshake is not done"),
        }
    }
}

/// All that a session of the library has to send.
fn output(peer: &mut rustls::Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// What a session of the library gets out of `bytes`.
fn input(peer: &mut rustls::Connection, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    while !bytes.is_empty() {
        peer.read_tls(&mut bytes).unwrap();
        let state = peer.process_new_packets()?;
        let before = plain.len();
        plain.resize(before + state.plaintext_bytes_to_read(), 0);
        peer.reader().read_exact(&mut plain[before..]).unwrap();
    }
    Ok(plain)
}

/// Lets them speak until neither has anything to say. Ours gets its bytes in pieces of these sizes, over and over.
fn converse<S: Side>(ours: &mut Ours<S>, theirs: &mut rustls::Connection, pieces: &[usize]) -> Vec<u8> {
    let mut pieces = pieces.iter().copied().cycle();
    let mut heard = Vec::new();
    loop {
        let (from_us, from_them) = (ours.give(), output(theirs));
        if from_us.is_empty() && from_them.is_empty() {
            return heard;
        }
        heard.extend(input(theirs, &from_us).unwrap());
        let mut rest = &from_them[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(pieces.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            ours.take(piece).unwrap();
            rest = behind;
        }
    }
}

fn server(
    provider: CryptoProvider,
    pieces: &[usize],
) -> (Ours<UnbufferedServerConnection>, rustls::Connection) {
    let mut ours = Ours::new(UnbufferedServerConnection::new(server_config(provider.clone())).unwrap());
    let mut theirs = ClientConnection::new(client_config(provider), localhost()).unwrap().into();
    converse(&mut ours, &mut theirs, pieces);
    assert!(!ours.session.is_handshaking() && !theirs.is_handshaking());
    (ours, theirs)
}

fn client(
    provider: CryptoProvider,
    pieces: &[usize],
) -> (Ours<UnbufferedClientConnection>, rustls::Connection) {
    let side = UnbufferedClientConnection::new(client_config(provider.clone()), localhost()).unwrap();
    let mut ours = Ours::new(side);
    let mut theirs = ServerConnection::new(server_config(provider)).unwrap().into();
    converse(&mut ours, &mut theirs, pieces);
    assert!(!ours.session.is_handshaking() && !theirs.is_handshaking());
    (ours, theirs)
}

/// Two of ours.
fn both(provider: CryptoProvider) -> (Ours<UnbufferedClientConnection>, Ours<UnbufferedServerConnection>) {
    let side = UnbufferedClientConnection::new(client_config(provider.clone()), localhost()).unwrap();
    let mut client = Ours::new(side);
    let mut server = Ours::new(UnbufferedServerConnection::new(server_config(provider)).unwrap());
    for _ in 0..4 {
        server.take(&client.give()).unwrap();
        client.take(&server.give()).unwrap();
    }
    client.traffic();
    server.traffic();
    (client, server)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 % 251) as u8).collect()
}

/// The plaintext lengths of TLS 1.3 records.
fn records(mut cipher: &[u8]) -> Vec<usize> {
    let mut lens = Vec::new();
    while let Ok(Framed::Whole(len)) = frame(cipher) {
        lens.push(len - 5 - 1 - 16);
        cipher = &cipher[len..];
    }
    assert!(cipher.is_empty());
    lens
}

fn echo<S: Side>((mut ours, mut theirs): (Ours<S>, rustls::Connection), pieces: &[usize], sizes: &[usize]) {
    theirs.set_buffer_limit(None);
    let mut said = Vec::new();
    for &size in sizes {
        said.extend(bytes(size));
        theirs.writer().write_all(&bytes(size)).unwrap();
    }
    converse(&mut ours, &mut theirs, pieces);
    assert!(ours.plain == said, "what came in");
    assert!(ours.cut.is_empty() && ours.cut.capacity() == 0);
    for &size in sizes {
        ours.put(&bytes(size));
    }
    assert!(converse(&mut ours, &mut theirs, pieces) == said, "what went out");
}

#[test]
fn all_suites_and_both_versions_are_spoken_on_both_sides() {
    let sizes = [1, 5, 16_383, 16_384, 16_385, 70_000, 3];
    assert_eq!(suites().len(), 6);
    for suite in suites() {
        echo(server(suite.clone(), &[usize::MAX]), &[usize::MAX], &sizes);
        echo(client(suite, &[usize::MAX]), &[usize::MAX], &sizes);
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    for suite in suites() {
        echo(server(suite.clone(), &[1]), &[1], &[3, 500]);
        echo(client(suite, &[1]), &[1], &[3, 500]);
    }
}

#[test]
fn messages_of_the_handshake_may_be_cut_into_many_records() {
    let mut config = ClientConfig::clone(&client_config(tls13()));
    config.max_fragment_size = Some(64);
    for piece in [1, 50, 69, 70, 200, usize::MAX] {
        let mut ours = Ours::new(UnbufferedServerConnection::new(server_config(tls13())).unwrap());
        let mut theirs = ClientConnection::new(Arc::new(config.clone()), localhost()).unwrap().into();
        converse(&mut ours, &mut theirs, &[piece]);
        echo((ours, theirs), &[piece], &[500]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn each_split_of_the_ciphertext_gives_the_same_plaintext(
        pieces in proptest::collection::vec(prop_oneof![1usize..40, 1usize..3000, 1usize..40_000], 1..8),
        sizes in proptest::collection::vec(prop_oneof![0usize..200, 0usize..40_000], 0..8),
        suite in 0usize..6,
    ) {
        echo(server(suites().swap_remove(suite), &pieces), &pieces, &sizes);
        echo(client(suites().swap_remove(suite), &pieces), &pieces, &sizes);
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0usize..2000, bit in 0u8..8, suite in 0usize..6, sizes in [0usize..300, 1..300]) {
        let (mut ours, mut theirs) = server(suites().swap_remove(suite), &[usize::MAX]);
        let mut cipher = Vec::new();
        for size in sizes {
            theirs.writer().write_all(&bytes(size)).unwrap();
            cipher.extend(output(&mut theirs));
        }
        let at = at % cipher.len();
        cipher[at] ^= 1 << bit;
        let said: Vec<u8> = sizes.iter().flat_map(|&size| bytes(size)).collect();
        match ours.take(&cipher) {
            // A length that grew is waited for.
            Ok(()) => prop_assert!(!ours.cut.is_empty() && said.starts_with(&ours.plain) && ours.plain.len() < said.len()),
            Err(_) => prop_assert!(!ours.reply.is_empty(), "the peer is told"),
        }
    }

    #[test]
    fn whatever_comes_instead_of_a_handshake_is_survived(
        change in proptest::collection::vec((0usize..3000, any::<u8>()), 0..6),
        junk in proptest::collection::vec(any::<u8>(), 0..200),
        pieces in proptest::collection::vec(1usize..400, 1..4),
    ) {
        let mut ours = Ours::new(UnbufferedServerConnection::new(server_config(tls13())).unwrap());
        let mut theirs = rustls::Connection::from(ClientConnection::new(client_config(tls13()), localhost()).unwrap());
        let mut hello = output(&mut theirs);
        for (at, byte) in change {
            let at = at % hello.len();
            hello[at] = byte;
        }
        hello.extend(junk);
        for piece in hello.chunks(pieces[0]) {
            if ours.take(piece).is_err() {
                break;
            }
        }
    }
}

#[test]
fn many_frames_become_few_records() {
    let (mut ours, mut theirs) = server(tls13(), &[usize::MAX]);
    for _ in 0..1000 {
        ours.put(&bytes(100));
    }
    let cipher = ours.give();
    assert_eq!(records(&cipher), [16_384, 16_384, 16_384, 16_384, 16_384, 16_384, 1696]);
    assert_eq!(input(&mut theirs, &cipher).unwrap().len(), 100_000);

    // Large frames have buffers of their own: what is small between them goes along.
    for size in [10, 20_000, 10, 20_000, 10] {
        ours.put(&bytes(size));
    }
    let cipher = ours.give();
    assert_eq!(records(&cipher), [16_384, 16_384, 40_030 - 2 * 16_384]);
    assert_eq!(input(&mut theirs, &cipher).unwrap().len(), 40_030);
}

#[test]
fn the_library_may_change_its_keys_and_ask_for_ours() {
    let (mut ours, mut theirs) = server(tls13(), &[usize::MAX]);
    for round in 1..100 {
        theirs.refresh_traffic_keys().unwrap();
        theirs.writer().write_all(b"under a new key").unwrap();
        ours.put(b"and here is mine");
        assert_eq!(converse(&mut ours, &mut theirs, &[7]), b"and here is mine", "round {round}");
        assert_eq!(std::mem::take(&mut ours.plain), b"under a new key");
    }
    // Asked often, answered once, and not before there is data.
    for _ in 0..5 {
        theirs.refresh_traffic_keys().unwrap();
    }
    ours.take(&output(&mut theirs)).unwrap();
    assert_eq!(ours.give(), b"");
    ours.put(b"x");
    assert_eq!(records(&ours.give()), [5, 1]);
    ours.put(b"y");
    assert_eq!(records(&ours.give()), [1]);
}

#[test]
fn a_key_of_ours_is_changed_when_it_is_used_up() {
    let (mut ours, mut theirs) = server(tls13(), &[usize::MAX]);
    ours.traffic().most_records = 10;
    for n in 0..100 {
        ours.put(&bytes(n + 1));
        assert_eq!(input(&mut theirs, &ours.give()).unwrap(), bytes(n + 1));
        assert!(ours.traffic().writing.records() < 10);
    }
    // TLS 1.2 has no others: the connection ends.
    let (mut ours, _) = server(tls12(), &[usize::MAX]);
    ours.traffic().most_records = 10;
    let mut out = vec![0; LARGEST_RECORD];
    let mut seal = || {
        ours.put(b"x");
        ours.session.seal(&mut ours.queue, &mut ours.buffers, &mut out)
    };
    assert!((0..20).any(|_| seal().is_err()));
}

#[test]
fn a_session_is_resumed_with_the_one_ticket_of_the_last() {
    for provider in [tls13(), tls12()] {
        let (server, client) = (server_config(provider.clone()), client_config(provider));
        for (round, kind) in [HandshakeKind::Full, HandshakeKind::Resumed].into_iter().enumerate() {
            let mut ours = Ours::new(UnbufferedServerConnection::new(Arc::clone(&server)).unwrap());
            let mut theirs = ClientConnection::new(Arc::clone(&client), localhost()).unwrap().into();
            converse(&mut ours, &mut theirs, &[usize::MAX]);
            assert_eq!(theirs.handshake_kind(), Some(kind), "round {round}");
            if theirs.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
                let rustls::Connection::Client(theirs) = &theirs else { unreachable!() };
                assert_eq!(theirs.tls13_tickets_received(), 1);
            }
        }
        // Our client keeps tickets, too.
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut ours =
                Ours::new(UnbufferedClientConnection::new(Arc::clone(&client), localhost()).unwrap());
            let mut theirs = ServerConnection::new(Arc::clone(&server)).unwrap().into();
            converse(&mut ours, &mut theirs, &[usize::MAX]);
            kinds.push(theirs.handshake_kind());
        }
        assert_eq!(kinds[1], Some(HandshakeKind::Resumed));
    }
}

#[test]
fn each_side_says_goodbye_and_what_follows_is_ignored() {
    for provider in [tls13(), tls12()] {
        let (mut ours, mut theirs) = server(provider, &[usize::MAX]);
        theirs.writer().write_all(b"last").unwrap();
        theirs.send_close_notify();
        let mut cipher = output(&mut theirs);
        cipher.extend_from_slice(b"\xff\xff\xff\xff\xff junk");
        ours.take(&cipher).unwrap();
        assert_eq!((ours.plain.as_slice(), ours.end), (&b"last"[..], true));
        // Half of the stream is still open.
        ours.put(b"answer");
        let mut cipher = ours.give();
        ours.session.goodbye(&mut cipher);
        let mut rest = &cipher[..];
        theirs.read_tls(&mut rest).unwrap();
        assert!(theirs.process_new_packets().unwrap().peer_has_closed());
    }
}

/// Records by type and plaintext.
type Records<'a> = &'a [(u8, &'a [u8])];

/// What our server answers to records that our client would not send.
fn fault(provider: CryptoProvider, records: Records<'_>) -> Result<Vec<u8>, Error> {
    let (mut client, mut server) = both(provider);
    let mut cipher = Vec::new();
    for (content, plain) in records {
        let mut record = vec![0; plain.len() + OVERHEAD + 1];
        let len = client.traffic().writing.seal(*content, plain, &mut record).unwrap();
        cipher.extend_from_slice(&record[..len]);
    }
    let result = server.take(&cipher);
    // Told to the client, which then knows why.
    let told = client.take(&server.give());
    match (&result, &told) {
        (Err(Error::AlertReceived(_)), _) => {}
        (Err(_), told) => assert!(matches!(told, Err(Error::AlertReceived(_))), "{result:?} {told:?}"),
        (Ok(()), _) => {}
    }
    result.map(|()| server.plain)
}

#[test]
fn what_no_peer_may_send_ends_the_session() {
    let key_update = &[24, 0, 0, 1, 0][..];
    let too_long = vec![1; LARGEST_PLAINTEXT + 1];
    let cases: &[(Records<'_>, &str)] = &[
        (&[(APPLICATION_DATA, &too_long)], "PeerSentOversizedRecord"),
        (&[(20, &[1])], "UnexpectedMessage"),
        (&[(99, b"what")], "UnexpectedMessage"),
        (&[(HANDSHAKE, &[])], "InvalidEmptyPayload"),
        (&[(HANDSHAKE, &[1, 0, 0, 0])], "UnexpectedMessage"),
        (&[(HANDSHAKE, &[4, 0, 0, 0])], "UnexpectedMessage"),
        (&[(HANDSHAKE, &[24, 255, 0, 0])], "HandshakePayloadTooLarge"),
        (&[(HANDSHAKE, &[24, 0, 0, 1, 2])], "InvalidKeyUpdate"),
        (&[(HANDSHAKE, &[24, 0, 0, 2, 0, 0])], "InvalidKeyUpdate"),
        (&[(HANDSHAKE, &[24, 0, 0, 1, 0, 24])], "KeyEpochWithPendingFragment"),
        (&[(HANDSHAKE, &[24, 0]), (APPLICATION_DATA, b"x")], "MessageInterleavedWithHandshakeMessage"),
        // The client of this test keeps its old key.
        (&[(HANDSHAKE, key_update), (APPLICATION_DATA, b"x")], "DecryptError"),
        (&[(ALERT, &[1])], "MessageTooShort"),
        (&[(ALERT, &[2, 20])], "AlertReceived(BadRecordMac)"),
        (&[(ALERT, &[1, 20])], "AlertReceived(BadRecordMac)"),
        (&[(APPLICATION_DATA, &[][..]); 33], "TooManyEmptyFragments"),
        (&[(ALERT, &[1, 90][..]); 33], "TooManyWarningAlertsReceived"),
    ];
    for (records, expected) in cases {
        let error = fault(tls13(), records).unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{error:?} instead of {expected}");
    }
    let renegotiation = fault(tls12(), &[(HANDSHAKE, &[1, 0, 0, 0][..]); 33]).unwrap_err();
    assert_eq!(renegotiation, PeerMisbehaved::TooManyRenegotiationRequests.into());
}

#[test]
fn what_is_odd_but_allowed_is_survived() {
    let data = (APPLICATION_DATA, &b"x"[..]);
    let mut many: Vec<(u8, &[u8])> = vec![(APPLICATION_DATA, &[]); 32];
    many.push(data);
    many.extend([(ALERT, &[1, 90][..]); 32]);
    many.push(data);
    assert_eq!(fault(tls13(), &many).unwrap(), b"xx");
    // A message of the handshake in pieces.
    assert_eq!(fault(tls13(), &[data, (HANDSHAKE, &[24, 0]), (HANDSHAKE, &[0, 1, 0])]).unwrap(), b"x");
    // TLS 1.2: warnings, and a wish for a new handshake.
    assert_eq!(fault(tls12(), &[(ALERT, &[1, 41]), (HANDSHAKE, &[0, 0, 0, 0]), data]).unwrap(), b"x");
}

#[test]
fn a_client_learns_why_its_certificate_is_not_believed() {
    let config = client_config(tls13());
    let stranger = ServerName::try_from("elsewhere").unwrap();
    let mut ours = Ours::new(UnbufferedClientConnection::new(config, stranger).unwrap());
    let mut theirs = rustls::Connection::from(ServerConnection::new(server_config(tls13())).unwrap());
    input(&mut theirs, &ours.give()).unwrap();
    let error = ours.take(&output(&mut theirs)).unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error:?}");
    let told = input(&mut theirs, &ours.give()).unwrap_err();
    assert_eq!(told, Error::AlertReceived(AlertDescription::BadCertificate));
}

/// `ARCHITECTURE.md` shows these.
#[test]
fn an_idle_session_is_small() {
    println!("Server {} Client {}", size_of::<Server>(), size_of::<Client>());
    assert!(size_of::<Server>() <= 696 && size_of::<Client>() <= 696);
}
