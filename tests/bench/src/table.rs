//! The table of figures.

use std::fmt::Write as _;

use crate::rounds::Side;

/// One line.
#[derive(Debug, Clone)]
pub struct Row {
    figure: String,
    ours: String,
    bare: String,
    ratio: String,
    goal: String,
    verdict: &'static str,
}

/// What the service's latencies shall stay below, in milliseconds, by percentile.
const LATENCY: [(usize, f64); 3] = [(50, 50.0), (95, 200.0), (99, 500.0)];

impl Row {
    /// A figure that has no goal.
    pub fn told(figure: impl Into<String>, ours: impl Into<String>, bare: impl Into<String>) -> Self {
        Self {
            figure: figure.into(),
            ours: ours.into(),
            bare: bare.into(),
            ratio: String::new(),
            goal: String::new(),
            verdict: "",
        }
    }

    /// A rate that shall reach a percentage of the bare one.
    pub fn rate(figure: impl Into<String>, ours: f64, bare: f64, percent: f64) -> Self {
        let reached = ours / bare * 100.0;
        Self {
            ratio: format!("{reached:.0} %"),
            goal: format!(">= {percent:.0} %"),
            verdict: verdict(reached >= percent),
            ..Self::told(figure, format!("{ours:.0}/s"), format!("{bare:.0}/s"))
        }
    }

    /// A value that shall stay at or below a goal.
    pub fn limit(figure: impl Into<String>, ours: f64, goal: f64, unit: &str) -> Self {
        Self {
            ratio: format!("{:.0} %", ours / goal * 100.0),
            goal: format!("<= {goal:.0} {unit}"),
            verdict: verdict(ours <= goal),
            ..Self::told(figure, format!("{ours:.1} {unit}"), "")
        }
    }

    /// The two lines of an endpoint: its throughput against the bare operation's, and its latencies.
    pub fn endpoint(name: &str, ours: &Side, bare: &Side) -> [Self; 2] {
        let throughput = Self::rate(
            format!("{name}, throughput"),
            ours.rates.median(),
            bare.rates.median(),
            60.0,
        );
        let kept = LATENCY
            .iter()
            .all(|(percent, goal)| ours.latencies.percentile(*percent) < *goal);
        let latency = Self {
            goal: "< 50 / 200 / 500 ms".to_owned(),
            verdict: verdict(kept),
            ..Self::told(
                format!("{name}, p50 / p95 / p99"),
                ours.latencies.summary(),
                bare.latencies.summary(),
            )
        };
        [throughput, latency]
    }

    fn cells(&self) -> [&str; 6] {
        [
            &self.figure,
            &self.ours,
            &self.bare,
            &self.ratio,
            &self.goal,
            self.verdict,
        ]
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "ok" } else { "below" }
}

/// Writes the table as Markdown that also reads well as it is.
pub fn render(rows: &[Row]) -> String {
    let head = ["figure", "ours", "bare", "ratio", "goal", ""];
    let lines: Vec<[&str; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String does not fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}
