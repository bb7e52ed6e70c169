//! The load client against servers in this process: faithful ones, and each way to be wrong.

use std::time::Duration;

use crate::servers::{Behaviour, certificate, plan, serve, serve_answer, serve_bare, serve_tls};
use lapps_bench::Failure;
use lapps_bench::echo::{EchoPlan, EchoReport, Progress, Stage, run};
use lapps_bench::idle::{self, IdlePlan};
use lapps_bench::tls::Trust;
use lapps_parser::OpCode;

fn quiet(plan: &EchoPlan) -> Result<EchoReport, Failure> {
    run(plan, &mut |_| ())
}

/// On a busy machine the measurement of a short run may see none of its echoes, but what was sent at the start comes
/// back and is checked.
fn plausible(plan: &EchoPlan) {
    let report = quiet(plan).unwrap();
    assert!(report.checked >= u64::from(plan.connections * plan.depth), "{report:?}");
    assert!(report.messages <= report.checked, "{report:?}");
    assert_eq!(report.latency.count, report.messages, "{report:?}");
    assert!(report.messages == 0 || 0 < report.latency.p50, "{report:?}");
    assert!(report.latency.p50 <= report.latency.max, "{report:?}");
    assert!(report.length >= 100_000_000, "{report:?}");
}

#[test]
fn echoes_of_every_length_form_are_checked() {
    let url = format!("ws://{}/echo?x=1", serve(Behaviour::Echo));
    for payload in [0, 1, 20, 125, 126, 65_535, 65_536, 700_000] {
        for opcode in [OpCode::Text, OpCode::Binary] {
            plausible(&EchoPlan { payload, opcode, ..plan(&url, None) });
        }
    }
}

#[test]
fn the_bare_echo_is_measured_by_the_same_client() {
    let url = format!("tcp://{}", serve_bare());
    // The last one does not fit into the buffers of the sockets: both ends must wait for room.
    for (payload, depth) in [(1, 1), (128, 16), (70_000, 3), (3_000_000, 4)] {
        plausible(&EchoPlan { payload, depth, ..plan(&url, None) });
    }
    let failure = quiet(&EchoPlan { payload: 0, ..plan(&url, None) }).unwrap_err();
    assert!(matches!(failure, Failure::Usage(_)), "{failure}");
}

#[test]
fn pings_are_answered() {
    let url = format!("ws://{}", serve(Behaviour::Ping));
    plausible(&EchoPlan { depth: 1, ..plan(&url, None) });
}

#[test]
fn tls_is_spoken_with_a_known_certificate_or_with_anybody() {
    let (config, file) = certificate("localhost");
    let url = format!("wss://localhost:{}/", serve_tls(Behaviour::Echo, config).port());
    for trust in [Trust::Authority(file.path()), Trust::Anybody] {
        for payload in [20, 100_000] {
            plausible(&EchoPlan { payload, ..plan(&url, Some(trust)) });
        }
    }
}

#[test]
fn a_certificate_of_somebody_else_is_refused() {
    let (config, _) = certificate("localhost");
    let (_, other) = certificate("localhost");
    let address = serve_tls(Behaviour::Echo, config.clone());
    let url = format!("wss://localhost:{}/", address.port());
    let failure = quiet(&plan(&url, Some(Trust::Authority(other.path())))).unwrap_err();
    assert!(matches!(failure, Failure::Tls { .. }), "{failure}");
    assert!(failure.to_string().contains("--ca FILE"), "{failure}");

    let (config, named) = certificate("elsewhere.example");
    let url = format!("wss://localhost:{}/", serve_tls(Behaviour::Echo, config).port());
    let failure = quiet(&plan(&url, Some(Trust::Authority(named.path())))).unwrap_err();
    assert!(matches!(failure, Failure::Tls { .. }), "{failure}");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let url = format!("wss://{}/", serve_bare());
    let failure = quiet(&plan(&url, Some(Trust::Anybody))).unwrap_err();
    assert!(matches!(failure, Failure::Tls { .. }), "{failure}");
}

#[test]
fn a_corrupted_echo_ends_the_run() {
    let url = format!("ws://{}", serve(Behaviour::Corrupt(5)));
    let failure = quiet(&plan(&url, None)).unwrap_err();
    assert!(matches!(failure, Failure::Mismatch { message: 5, .. }), "{failure}");
    assert!(failure.to_string().contains("byte 299 of 300"), "{failure}");
}

#[test]
fn an_echo_too_many_ends_the_run() {
    let url = format!("ws://{}", serve(Behaviour::Twice));
    let failure = quiet(&plan(&url, None)).unwrap_err();
    assert!(matches!(failure, Failure::Mismatch { message: 1, .. }), "{failure}");
}

#[test]
fn an_echo_of_another_type_ends_the_run() {
    let url = format!("ws://{}", serve(Behaviour::OtherOpcode));
    let failure = quiet(&EchoPlan { opcode: OpCode::Text, ..plan(&url, None) }).unwrap_err();
    assert!(failure.to_string().contains("opcode Binary instead of Text"), "{failure}");
}

#[test]
fn an_early_close_ends_the_run_with_its_code() {
    let url = format!("ws://{}", serve(Behaviour::Close(3)));
    let failure = quiet(&EchoPlan { depth: 1, ..plan(&url, None) }).unwrap_err();
    assert!(matches!(failure, Failure::EarlyClose { .. }), "{failure}");
    assert!(failure.to_string().contains("close frame 4001 (enough)"), "{failure}");
}

#[test]
fn a_close_is_heard_although_the_server_hangs_up_on_what_is_being_sent() {
    let url = format!("ws://{}", serve(Behaviour::HangUp(0)));
    let failure = quiet(&EchoPlan { payload: 3_000_000, depth: 4, ..plan(&url, None) }).unwrap_err();
    assert!(failure.to_string().contains("close frame 4001 (enough)"), "{failure}");
}

#[test]
fn an_early_end_of_the_stream_ends_the_run() {
    let url = format!("ws://{}", serve(Behaviour::Drop(3)));
    let failure = quiet(&EchoPlan { depth: 1, ..plan(&url, None) }).unwrap_err();
    assert!(matches!(failure, Failure::EarlyClose { .. }), "{failure}");
    let (config, _) = certificate("localhost");
    let url = format!("wss://{}", serve_tls(Behaviour::Drop(3), config));
    let failure = quiet(&EchoPlan { depth: 1, ..plan(&url, Some(Trust::Anybody)) }).unwrap_err();
    assert!(matches!(failure, Failure::EarlyClose { .. }), "{failure}");
}

#[test]
fn a_refused_upgrade_is_quoted() {
    let table = [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service Unavailable"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Accept"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "Accept",
        ),
        ("SSH-2.0-server\r\n\r\n", "HTTP"),
        ("HTTP/1.1 101 Switching", "inside of its answer"),
        ("", "without an answer"),
    ];
    for (answer, part) in table {
        let failure = quiet(&plan(&format!("ws://{}", serve_answer(answer)), None)).unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. }), "{answer:?}: {failure}");
        assert!(failure.to_string().contains(part), "{answer:?}: {failure}");
    }
}

#[test]
fn a_refused_connection_is_named() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["ws", "tcp"] {
        let failure = quiet(&plan(&format!("{scheme}://{address}"), None)).unwrap_err();
        assert!(matches!(failure, Failure::Connect { .. }), "{failure}");
    }
}

#[test]
fn a_server_that_stops_answering_ends_the_run() {
    let url = format!("ws://{}", serve(Behaviour::Silent));
    let failure = quiet(&EchoPlan { stall: Duration::from_millis(200), ..plan(&url, None) }).unwrap_err();
    assert!(matches!(failure, Failure::Stalled { .. }), "{failure}");
    assert!(failure.to_string().contains("12 messages are under way on 4 of 4 connections"), "{failure}");
}

#[test]
fn a_server_that_never_upgrades_ends_the_run() {
    // The backlog takes the connections, nobody accepts them.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let failure = quiet(&EchoPlan { stall: Duration::from_millis(200), ..plan(&url, None) }).unwrap_err();
    assert!(matches!(failure, Failure::Stalled { .. }), "{failure}");
    assert!(failure.to_string().contains("0 of 4 connections are open"), "{failure}");
}

#[test]
fn a_paced_run_sends_what_is_due_and_no_more() {
    let url = format!("ws://{}", serve(Behaviour::Echo));
    let load = EchoPlan { rate: Some(1000), duration: Duration::from_millis(500), ..plan(&url, None) };
    let report = quiet(&load).unwrap();
    // What is due in the window is timed whenever it comes; the window opens when the run notices that it is time.
    assert!((300..=500).contains(&report.latency.count), "{report:?}");
    assert!(report.messages <= 502, "{report:?}");
    assert_eq!(report.unanswered, 0);
}

/// 1000 messages a second on one connection to a server that needs 5 ms for each: of the 200 due in 0.2 s the last comes
/// back after 1 s at the earliest, 0.8 s late. A client that waited with the clock would report 5 ms.
#[test]
fn latency_of_a_paced_run_counts_from_the_due_time() {
    let url = format!("ws://{}", serve(Behaviour::Slow(Duration::from_millis(5))));
    let load = EchoPlan {
        connections: 1,
        depth: 1,
        rate: Some(1000),
        duration: Duration::from_millis(200),
        ..plan(&url, None)
    };
    let report = quiet(&load).unwrap();
    assert!(report.latency.max >= 795_000_000, "{report:?}");
    assert!(report.latency.p50 >= 300_000_000, "{report:?}");
}

#[test]
fn the_warm_up_does_not_count() {
    let url = format!("tcp://{}", serve_bare());
    let load = EchoPlan {
        warm_up: Duration::from_millis(1050),
        duration: Duration::from_millis(1000),
        pid: Some(std::process::id()),
        ..plan(&url, None)
    };
    let mut stages = Vec::new();
    let mut echoes = 0;
    let report = run(&load, &mut |progress| {
        if let Progress::Second { stage, echoes: more, .. } = progress {
            stages.push(stage);
            echoes += more;
        }
    })
    .unwrap();
    assert!(stages.starts_with(&[Stage::WarmUp]) && stages.contains(&Stage::Measuring), "{stages:?}");
    assert!(report.messages < echoes, "{report:?} of {echoes}");
    assert!(report.length.abs_diff(1_000_000_000) < 500_000_000, "{report:?}");
    // The process is that of all these tests, whose threads come and go: its CPU time is checked on another one.
    assert!(report.server.is_some_and(|(_, memory)| memory > 100_000), "{report:?}");
    assert!(report.client > 0);
}

#[test]
fn idle_connections_are_opened_held_and_closed() {
    let (config, file) = certificate("localhost");
    let wss = format!("wss://localhost:{}", serve_tls(Behaviour::Echo, config).port());
    let table = [
        (format!("ws://{}", serve(Behaviour::Echo)), None),
        (format!("tcp://{}", serve_bare()), None),
        (wss, Some(Trust::Authority(file.path()))),
    ];
    for (url, trust) in table {
        let idle = IdlePlan {
            target: plan(&url, trust).target,
            connections: 100,
            hold: Duration::from_millis(20),
            pid: std::process::id(),
            stall: Duration::from_secs(10),
        };
        let mut most = 0;
        let report = idle::run(&idle, &mut |open| most = open).unwrap();
        assert_eq!((most, report.connections, report.lingering), (100, 100, 0), "{url}");
        assert!(report.before > 0 && report.open > 0 && report.closed > 0);
    }
}
