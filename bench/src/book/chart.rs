//! Bar charts as SVG: one panel for each shape, one bar for each server.

use std::fmt::Write;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// How long it is; finite and not below 0.
    pub value: f64,
    /// Whether it is one of ours.
    pub ours: bool,
}

/// A panel with a scale of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What was measured.
    pub title: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

const COLUMNS: usize = 2;
const WIDTH: f64 = 470.0;
const NAMES: f64 = 190.0;
const FIGURES: f64 = 70.0;
const BAR: f64 = 17.0;
const GAP: f64 = 18.0;
const TOP: f64 = 48.0;

/// The panels under one title, in two columns. `unit` says what the figures are.
pub fn svg(title: &str, unit: &str, panels: &[Panel]) -> String {
    let rows: Vec<&[Panel]> = panels.chunks(COLUMNS).collect();
    let heights: Vec<f64> = rows
        .iter()
        .map(|row| 26.0 + BAR * row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0) as f64 + GAP)
        .collect();
    let height = TOP + heights.iter().sum::<f64>();
    let width = WIDTH * COLUMNS as f64 + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{GAP}\" y=\"20\" font-size=\"16\" font-weight=\"bold\" fill=\"#1c1c1c\">{}</text>\n\
         <text x=\"{GAP}\" y=\"37\" fill=\"#5a5a5a\">{}</text>\n",
        escape(title),
        escape(unit)
    );
    let mut y = TOP;
    for (row, height) in rows.iter().zip(&heights) {
        for (column, panel) in row.iter().enumerate() {
            panel.draw(&mut text, GAP + WIDTH * column as f64, y);
        }
        y += height;
    }
    text.push_str("</svg>\n");
    text
}

impl Panel {
    fn draw(&self, text: &mut String, x: f64, y: f64) {
        let most = self.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        let room = WIDTH - GAP - NAMES - FIGURES;
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{:.1}\" font-weight=\"bold\" fill=\"#1c1c1c\">{}</text>",
            y + 16.0,
            escape(&self.title)
        );
        for (n, bar) in self.bars.iter().enumerate() {
            let y = y + 24.0 + BAR * n as f64;
            let length = if most > 0.0 { (bar.value / most * room).max(1.0) } else { 1.0 };
            let (color, weight) = if bar.ours { ("#d1495b", "bold") } else { ("#8d99ae", "normal") };
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-weight=\"{weight}\" fill=\"#1c1c1c\">{}</text>\
                 <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1c1c1c\">{}</text>",
                x + NAMES - 6.0,
                y + 12.0,
                escape(&bar.name),
                x + NAMES,
                y + 2.0,
                BAR - 4.0,
                x + NAMES + length + 4.0,
                y + 12.0,
                figure(bar.value)
            );
        }
    }
}

/// At most four digits before the point, and one behind it where there is room.
fn figure(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.1}k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, value, ours| Bar { name: name.to_owned(), value, ours };
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            bars: vec![bar("a<b", 50.0, false), bar("we", 100.0, true), bar("far", 12_345.0, false)],
        };
        let text = svg("Echo & more", "ns", &[panel("one"), panel("two"), panel("three")]);
        assert_eq!(text.matches("<rect x=").count(), 9);
        assert!(text.contains("a&lt;b") && text.contains("Echo &amp; more") && text.contains(">12.3k<"));
        let room = WIDTH - GAP - NAMES - FIGURES;
        assert!(text.contains(&format!("width=\"{room:.1}\"")), "the longest takes all the room");
        assert_eq!(text.matches("#d1495b").count(), 3);
        assert!(text.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_makes_no_chart_that_is_broken() {
        let empty = Panel { title: "none".to_owned(), bars: vec![] };
        assert!(svg("t", "u", &[empty]).contains("none"));
        assert!(!svg("t", "u", &[]).contains("NaN"));
    }
}
