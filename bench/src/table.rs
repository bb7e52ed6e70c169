//! Runs of several servers beside each other: medians, spread, ratio to the baseline.

use std::fmt::Write;

/// The figures of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Messages per second.
    pub rate: f64,
    /// CPU nanoseconds of the server per message.
    pub cpu: f64,
    /// The part of that in user space.
    pub user: f64,
    /// Median latency in microseconds.
    pub p50: f64,
    /// 99th percentile in microseconds.
    pub p99: f64,
}

/// All runs of one server under one load, in the order of the passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Which server.
    pub server: &'static str,
    /// Messages that each connection keeps under way.
    pub depth: u32,
    /// One per pass.
    pub runs: Vec<Figures>,
}

impl Case {
    fn values(&self, figure: impl Fn(&Figures) -> f64) -> Vec<f64> {
        self.runs.iter().map(figure).collect()
    }

    /// The median of one figure over the passes.
    pub fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(&mut self.values(figure))
    }

    /// CPU per message: the median over that of `baseline`.
    pub fn ratio(&self, baseline: &Case) -> f64 {
        self.median(|run| run.cpu) / baseline.median(|run| run.cpu)
    }

    /// CPU per message: the median of the ratios of each pass, which does not mind a machine that drifts.
    pub fn ratio_by_pass(&self, baseline: &Case) -> f64 {
        let pairs = self.runs.iter().zip(&baseline.runs);
        median(&mut pairs.map(|(own, other)| own.cpu / other.cpu).collect::<Vec<_>>())
    }
}

/// The middle value; between the two middle ones of an even number. NaN for none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}

/// The case that the ratios of `case` are taken to: the same depth at `baseline`.
pub fn baseline<'a>(cases: &'a [Case], case: &Case, baseline: &str) -> Option<&'a Case> {
    cases.iter().find(|other| other.server == baseline && other.depth == case.depth)
}

/// The cases as a Markdown table, with ratios to the server `baseline_name` at the same depth.
pub fn markdown(cases: &[Case], baseline_name: &str) -> String {
    let mut text = format!(
        "| server | depth | messages/s | CPU ns/message | min..max | user | to {baseline_name} | by pass | p50 us | p99 us |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for case in cases {
        let cpu = case.values(|run| run.cpu);
        let (min, max) =
            cpu.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), x| (min.min(*x), max.max(*x)));
        let (ratio, by_pass) = baseline(cases, case, baseline_name)
            .map_or((f64::NAN, f64::NAN), |other| (case.ratio(other), case.ratio_by_pass(other)));
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {min:.0}..{max:.0} | {:.0} | {ratio:.3} | {by_pass:.3} | {:.0} | {:.0} |",
            case.server,
            case.depth,
            case.median(|run| run.rate),
            case.median(|run| run.cpu),
            case.median(|run| run.user),
            case.median(|run| run.p50),
            case.median(|run| run.p99),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(server: &'static str, depth: u32, cpu: &[f64]) -> Case {
        let runs =
            cpu.iter().map(|cpu| Figures { rate: 1e9 / cpu, cpu: *cpu, user: 0.0, p50: 1.0, p99: 2.0 });
        Case { server, depth, runs: runs.collect() }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn ratios_are_to_the_same_depth_and_by_pass_follow_a_drift() {
        let cases = [
            case("bare", 1, &[1000.0, 2000.0, 4000.0]),
            case("bare", 16, &[100.0, 100.0, 100.0]),
            case("other", 16, &[150.0, 110.0, 120.0]),
            // 10 % above in every pass, but for a baseline that moved in between.
            case("other", 1, &[1100.0, 2200.0, 4400.0]),
        ];
        let table = markdown(&cases, "bare");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[0].contains("| to bare | by pass |"));
        assert_eq!(lines[4], "| other | 16 | 8333333 | 120 | 110..150 | 0 | 1.200 | 1.200 | 1 | 2 |");
        assert!(lines[5].contains("| 1100..4400 | 0 | 1.100 | 1.100 |"), "{table}");
        assert!(lines[2].contains("| 1.000 | 1.000 |"));
    }
}
