//! Every figure of every run, by what was measured and of whom.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::table::median;

/// The figures of one run by their names.
pub type Run = BTreeMap<&'static str, f64>;

/// All runs.
#[derive(Debug, Default)]
pub struct Ledger {
    cells: Vec<Cell>,
}

/// All runs of one server in one shape.
#[derive(Debug)]
struct Cell {
    shape: String,
    server: &'static str,
    /// In the order of the passes.
    runs: Vec<Run>,
    /// Why it was not measured any further.
    failed: Option<String>,
}

impl Ledger {
    /// Adds a run.
    pub fn add(&mut self, shape: &str, server: &'static str, run: Run) {
        self.cell(shape, server).runs.push(run);
    }

    /// Notes that a server failed in this shape.
    pub fn fail(&mut self, shape: &str, server: &'static str, why: String) {
        self.cell(shape, server).failed = Some(why);
    }

    /// Whether it has failed there.
    pub fn has_failed(&self, shape: &str, server: &str) -> bool {
        self.find(shape, server).is_some_and(|cell| cell.failed.is_some())
    }

    /// Shape, server and reason of all that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &'static str, &str)> {
        self.cells.iter().filter_map(|cell| Some((cell.shape.as_str(), cell.server, cell.failed.as_deref()?)))
    }

    /// The median of a figure over the passes; none without a run that has it.
    pub fn median(&self, shape: &str, server: &str, figure: &str) -> Option<f64> {
        let cell = self.find(shape, server).filter(|cell| cell.failed.is_none())?;
        let mut values: Vec<f64> = cell.runs.iter().filter_map(|run| run.get(figure).copied()).collect();
        (!values.is_empty()).then(|| median(&mut values))
    }

    /// The median of the ratios of each pass, which does not mind a machine that drifts.
    pub fn ratio(&self, shape: &str, server: &str, to: &str, figure: &str) -> Option<f64> {
        let [own, other] = [server, to].map(|name| self.find(shape, name));
        let (own, other) = (own?, other?);
        if own.failed.is_some() || other.failed.is_some() {
            return None;
        }
        let pairs = own.runs.iter().zip(&other.runs);
        let mut ratios: Vec<f64> =
            pairs.filter_map(|(own, other)| Some(own.get(figure)? / other.get(figure)?)).collect();
        (!ratios.is_empty()).then(|| median(&mut ratios))
    }

    /// The server of `among` whose median is the smallest, with it.
    pub fn least<'s>(
        &self,
        shape: &str,
        among: impl Iterator<Item = &'s str>,
        figure: &str,
    ) -> Option<(&'s str, f64)> {
        among
            .filter_map(|server| Some((server, self.median(shape, server, figure)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Whether there is anything about this shape.
    pub fn has(&self, shape: &str) -> bool {
        self.cells.iter().any(|cell| cell.shape == shape)
    }

    /// Everything.
    pub fn json(&self) -> Value {
        self.cells
            .iter()
            .map(|cell| {
                json!({
                    "shape": cell.shape, "server": cell.server, "runs": cell.runs, "failed": cell.failed,
                })
            })
            .collect()
    }

    fn find(&self, shape: &str, server: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.shape == shape && cell.server == server)
    }

    fn cell(&mut self, shape: &str, server: &'static str) -> &mut Cell {
        let at = self.cells.iter().position(|cell| cell.shape == shape && cell.server == server);
        let at = at.unwrap_or_else(|| {
            self.cells.push(Cell { shape: shape.to_owned(), server, runs: Vec::new(), failed: None });
            self.cells.len() - 1
        });
        &mut self.cells[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(cells: &[(&'static str, &[f64])]) -> Ledger {
        let mut ledger = Ledger::default();
        for (server, values) in cells {
            for value in *values {
                ledger.add("plain", server, Run::from([("cpu", *value)]));
            }
        }
        ledger
    }

    #[test]
    fn ratios_are_taken_pass_by_pass() {
        let ledger = ledger(&[("bare", &[1000.0, 2000.0, 4000.0]), ("ours", &[1100.0, 2200.0, 4400.0])]);
        assert!((ledger.ratio("plain", "ours", "bare", "cpu").unwrap() - 1.1).abs() < 1e-9);
        assert_eq!(ledger.median("plain", "ours", "cpu"), Some(2200.0));
        assert_eq!(ledger.median("plain", "ours", "p50"), None);
        assert_eq!(ledger.ratio("plain", "ours", "other", "cpu"), None);
        assert_eq!(ledger.least("plain", ["ours", "bare"].into_iter(), "cpu"), Some(("bare", 2000.0)));
    }

    #[test]
    fn who_failed_has_no_figure() {
        let mut ledger = ledger(&[("bare", &[1.0]), ("ours", &[2.0])]);
        ledger.fail("plain", "ours", "it ended".to_owned());
        assert!(ledger.has_failed("plain", "ours") && !ledger.has_failed("plain", "bare"));
        assert_eq!(ledger.median("plain", "ours", "cpu"), None);
        assert_eq!(ledger.ratio("plain", "ours", "bare", "cpu"), None);
        assert_eq!(ledger.failures().collect::<Vec<_>>(), [("plain", "ours", "it ended")]);
        assert_eq!(ledger.json()[1]["failed"], "it ended");
    }
}
