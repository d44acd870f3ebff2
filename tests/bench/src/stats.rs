//! Medians and percentiles.

use std::time::Duration;

/// Measured values of one kind, in any order.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds durations, in milliseconds.
    pub fn extend(&mut self, took: impl IntoIterator<Item = Duration>) {
        self.0.extend(took.into_iter().map(|took| took.as_secs_f64() * 1_000.0));
    }

    /// Returns how many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the smallest value that so many percent of the values do not exceed (nearest rank); 0 of none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// Returns the median.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// Writes p50, p95 and p99.
    pub fn summary(&self) -> String {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| self.percentile(percent));
        format!("{p50:.1} / {p95:.1} / {p99:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut sample = Sample::default();
        (1..=20).rev().for_each(|value| sample.push(f64::from(value)));
        for (percent, value) in [(50, 10.0), (95, 19.0), (99, 20.0), (100, 20.0)] {
            assert!((sample.percentile(percent) - value).abs() < f64::EPSILON, "{percent}");
        }
        assert!(Sample::default().percentile(99).abs() < f64::EPSILON);
    }
}
