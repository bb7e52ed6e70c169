//! The built-in demo: its configuration, and that `examples/demo` is the same as a home of its own.

use std::path::Path;

use lapps::config::{self, Placement, Places, Protocol, Source};

const MIB: usize = 1 << 20;

#[test]
fn the_demo_has_three_services_on_loopback() {
    let demo = config::demo();
    assert!(demo.demo);
    assert_eq!(demo.listen.ip.to_string(), "127.0.0.1");
    assert_eq!(demo.listen.port, 5083);
    assert_eq!(demo.tls, None);
    assert_eq!(demo.workers.count, core_affinity::get_core_ids().unwrap().len());
    let services: Vec<_> = demo
        .services
        .iter()
        .map(|s| {
            assert!(s.auto_start && s.protocol == Protocol::Raw, "{}", s.name);
            assert!(s.outgoing_limit >= 2 * s.max_inbound_message_size, "an echo has to fit");
            (s.name.as_str(), s.request_target.as_str(), s.placement, s.max_inbound_message_size / MIB)
        })
        .collect();
    assert_eq!(
        services,
        [
            ("echo", "/echo", Placement::Worker, 16),
            ("echo_dedicated", "/echo-dedicated", Placement::Dedicated(1), 16),
            ("hello", "/hello", Placement::Worker, 1),
        ]
    );
}

#[test]
fn the_demo_home_in_the_examples_is_the_built_in_one() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo");
    let places = Places::find(Some(&home), &|_| None).unwrap();
    let from_files = config::load(&places).unwrap();
    let demo = config::demo();
    assert_eq!(from_files.listen, demo.listen);
    assert_eq!(from_files.workers, demo.workers);
    assert_eq!(from_files.services.len(), demo.services.len());
    for (file, built_in) in from_files.services.iter().zip(&demo.services) {
        let Source::Embedded(text) = built_in.source else { panic!("{} is not built in", built_in.name) };
        let code = from_files.directories.applications.join(&file.name).join(format!("{}.lua", file.name));
        assert_eq!(std::fs::read_to_string(&code).unwrap(), text, "{}", code.display());
        let mut same = built_in.clone();
        same.source = Source::Apps;
        assert_eq!(*file, same);
    }
}
