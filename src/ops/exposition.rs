//! Prometheus' text format, version 0.0.4: families of samples, with what they mean.

use std::fmt::{Display, Write};

/// What is told to one who asks.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// The samples of one metric.
pub(super) struct Family<'e> {
    name: &'static str,
    out: &'e mut String,
}

impl Exposition {
    /// Begins a metric whose name ends with `_total` because it is a count.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, "counter", help)
    }

    /// Begins a metric that is a quantity of the moment.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a metric that counts by size.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let out = &mut self.0;
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { name, out }
    }
}

impl Family<'_> {
    /// One number, told from others by its labels.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// A histogram: the counts up to each bound, then that of all, and the sum.
    pub(super) fn buckets<'b>(
        &mut self,
        labels: &[(&str, &str)],
        bounds: impl Iterator<Item = &'b str>,
        counts: &[u64],
        sum: f64,
    ) {
        let count = counts.last().copied().unwrap_or(0);
        for (bound, count) in bounds.chain(["+Inf"]).zip(counts) {
            self.line("_bucket", labels, Some(("le", bound)), count);
        }
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        last: Option<(&str, &str)>,
        value: impl Display,
    ) {
        let out = &mut *self.out;
        let _ = write!(out, "{}{suffix}", self.name);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            let _ = write!(out, "{before}{name}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => out.push_str("\\\\"),
                    '"' => out.push_str("\\\""),
                    '\n' => out.push_str("\\n"),
                    letter => out.push(letter),
                }
            }
            out.push('"');
            before = ',';
        }
        if before == ',' {
            out.push('}');
        }
        let _ = writeln!(out, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_as_prometheus_wants_it() {
        let mut exposition = Exposition::default();
        exposition.counter("a_total", "What a is.").sample(&[("of", "x\\\"\ny"), ("nth", "0")], 3);
        exposition.gauge("b", "B.").sample(&[], 1.5);
        exposition.histogram("c_seconds", "C.").buckets(&[("of", "x")], ["0.5"].into_iter(), &[1, 4], 2.25);
        assert_eq!(
            exposition.into_text(),
            "# HELP a_total What a is.\n# TYPE a_total counter\na_total{of=\"x\\\\\\\"\\ny\",nth=\"0\"} 3\n\
             # HELP b B.\n# TYPE b gauge\nb 1.5\n\
             # HELP c_seconds C.\n# TYPE c_seconds histogram\nc_seconds_bucket{of=\"x\",le=\"0.5\"} 1\n\
             c_seconds_bucket{of=\"x\",le=\"+Inf\"} 4\nc_seconds_sum{of=\"x\"} 2.25\nc_seconds_count{of=\"x\"} 4\n"
        );
    }
}
