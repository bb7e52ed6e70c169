//! One who watches a server: asks the admin listener, and reads the answer as strictly as Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::json;

use crate::common::client::{Client, Response};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

/// A server with an admin listener.
pub(crate) struct Watched {
    pub(crate) server: Lapps,
    pub(crate) admin: SocketAddr,
}

/// What was told at one moment.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// The type of each metric.
    pub(crate) types: BTreeMap<String, String>,
    /// Numbers by name and labels.
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
}

/// A home whose server can be watched: one worker, so that all is counted there.
pub(crate) fn home() -> Home {
    Home::new().ws(json!({ "workers": { "workers": 1 }, "admin": { "listen": "127.0.0.1:0" } }))
}

impl Watched {
    pub(crate) fn start(home: &Home) -> Watched {
        Watched::new(Lapps::start(home))
    }

    pub(crate) fn new(mut server: Lapps) -> Watched {
        let line = server.expect_line("metrics at http://");
        let address = line.trim().strip_prefix("metrics at http://").unwrap();
        let admin = address.strip_suffix("/metrics").unwrap().parse().unwrap();
        Watched { server, admin }
    }

    /// Asks for something by GET.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Sends a request as it is.
    pub(crate) fn ask(&self, request: &str) -> Response {
        let mut client = Client::to(self.admin, false);
        client.write(request.as_bytes());
        client.read_response()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200);
        assert_eq!(response.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Scrape::read(&response.body)
    }

    /// What the samples of `name` with these labels are together now.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.scrape().sum(name, labels)
    }

    /// Waits until the samples of `name` with these labels are together so much.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut seen = f64::NAN;
        let what = format!("{name} {labels:?} is {value}");
        let is_so = std::panic::AssertUnwindSafe(|| {
            until(&what, || {
                seen = self.sum(name, labels);
                seen == value
            });
        });
        assert!(std::panic::catch_unwind(is_so).is_ok(), "{what}, but it is {}", self.sum(name, labels));
    }

    /// Waits until they are more than that.
    #[track_caller]
    pub(crate) fn until_above(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        until(&format!("{name} {labels:?} above {value}"), || self.sum(name, labels) > value);
    }
}

impl Scrape {
    /// Reads the text format.
    pub(crate) fn read(text: &str) -> Scrape {
        assert!(text.ends_with('\n'));
        let mut scrape = Scrape { types: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("help with a text");
                assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
                assert!(helped.insert(name.to_owned()), "twice: {line}");
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(name, family, "the help comes first");
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                scrape.types.insert(name.to_owned(), kind.to_owned());
            } else {
                scrape.sample(line, &family);
            }
        }
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().expect(line) };
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect(line))),
            None => (series, Vec::new()),
        };
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(legal), "{line}");
        let kind = &self.types[family];
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} among those of {family}"));
        match suffix {
            "" => assert_ne!(kind, "histogram", "{line}"),
            "_bucket" | "_sum" | "_count" => assert_eq!(kind, "histogram", "{line}"),
            _ => panic!("{line} among those of {family}"),
        }
        assert!(value >= 0.0, "{line}");
        assert_eq!(self.samples.insert((name.to_owned(), labels), value), None, "twice: {line}");
    }

    /// The sum of the samples of `name` that have these labels; there has to be one.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |own: &[(String, String)]| {
            labels.iter().all(|(name, value)| own.iter().any(|(n, v)| n == name && v == value))
        };
        let found: Vec<f64> = self
            .samples
            .iter()
            .filter(|((own, own_labels), _)| own == name && has(own_labels))
            .map(|(_, value)| *value)
            .collect();
        assert!(!found.is_empty(), "there is no {name} {labels:?}");
        found.iter().sum()
    }

    /// The values of a label that the samples of `name` have.
    pub(crate) fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let of = self.samples.keys().filter(|(own, _)| own == name);
        of.flat_map(|(_, labels)| labels).filter(|(name, _)| name == label).map(|(_, v)| v.as_str()).collect()
    }
}

/// `a="b",c="d"`, with the three escapes that there are.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(text);
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().expect(text) {
                (at, '"') => break at + 1,
                (_, '\\') => match letters.next().expect(text).1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    _ => panic!("{text}"),
                },
                (_, letter) => value.push(letter),
            }
        };
        assert!(labels.iter().all(|(other, _)| other != name), "{text}");
        labels.push((name.to_owned(), value));
        rest = &after[end..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}
