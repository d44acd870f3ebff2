//! Reading metrics in Prometheus' text format.

use std::collections::BTreeMap;

/// A histogram: how many observations were at or below each bound, and how many there were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<(f64, f64)>,
}

/// Sums up the series of a metric whose labels satisfy `wanted`.
pub fn sum(text: &str, metric: &str, wanted: impl Fn(&BTreeMap<&str, &str>) -> bool) -> f64 {
    let all = text.lines().filter_map(|line| parse(line, metric));
    all.filter(|(labels, _)| wanted(labels)).map(|(_, value)| value).sum()
}

/// Reads the histogram of the series with a label.
pub fn histogram(text: &str, metric: &str, (label, value): (&str, &str)) -> Histogram {
    let metric = format!("{metric}_bucket");
    let buckets = text.lines().filter_map(|line| {
        let (labels, count) = parse(line, &metric)?;
        let bound = labels.get("le")?.parse().ok()?;
        (labels.get(label) == Some(&value)).then_some((bound, count))
    });
    Histogram {
        buckets: buckets.collect(),
    }
}

impl Histogram {
    /// Returns how many observations there were.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// Returns what came after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let known = earlier
                .buckets
                .iter()
                .find(|(other, _)| other.total_cmp(&bound).is_eq());
            known.map_or(0.0, |(_, count)| *count)
        };
        Self {
            buckets: self
                .buckets
                .iter()
                .map(|(bound, count)| (*bound, count - before(*bound)))
                .collect(),
        }
    }

    /// Returns a percentile, taken to lie evenly within its bucket, as Prometheus' `histogram_quantile` does; in the last
    /// bucket, its lower bound.
    pub fn percentile(&self, percent: f64) -> f64 {
        let wanted = self.count() * percent / 100.0;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= wanted {
                let share = if *count > below {
                    (wanted - below) / (count - below)
                } else {
                    1.0
                };
                return if bound.is_finite() {
                    lower + (bound - lower) * share
                } else {
                    lower
                };
            }
            (lower, below) = (*bound, *count);
        }
        lower
    }
}

/// Reads a line of a metric: its labels, none of which has a comma or a quote in its value, and its number.
fn parse<'a>(line: &'a str, metric: &str) -> Option<(BTreeMap<&'a str, &'a str>, f64)> {
    let (labels, value) = line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once("} ")?;
    let pairs = labels.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name, value.trim_matches('"')))
    });
    Some((pairs.collect(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE t histogram\nt_bucket{c=\"a\",le=\"1\"} 90\nt_bucket{c=\"a\",le=\"2\"} 100\n\
        t_bucket{c=\"a\",le=\"+Inf\"} 100\nt_bucket{c=\"b\",le=\"1\"} 7\nn{v=\"PUT\"} 3\nn{v=\"GET\"} 4\n";

    #[test]
    fn a_percentile_lies_within_its_bucket() {
        let read = histogram(TEXT, "t", ("c", "a"));
        assert!((read.count() - 100.0).abs() < 1e-9);
        assert!((read.percentile(99.0) - 1.9).abs() < 1e-9, "{read:?}");
        assert!((read.percentile(45.0) - 0.5).abs() < 1e-9, "{read:?}");
        assert!(read.since(&read).count().abs() < 1e-9);
    }

    #[test]
    fn series_are_summed_by_their_labels() {
        assert!((sum(TEXT, "n", |labels| labels.get("v") == Some(&"PUT")) - 3.0).abs() < 1e-9);
    }
}
