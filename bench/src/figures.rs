//! Numbers of several runs and what they come to.

use std::time::Duration;

/// Any error of a benchmark: it ends the run.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Latencies, each to one per cent, however many.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: usize,
}

/// Two neighbours differ by this factor; the first ends at one microsecond.
const STEP: f64 = 1.01;

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = latency.as_secs_f64() * 1e6;
        let bucket = if micros <= 1.0 { 0 } else { micros.log(STEP).ceil() as usize };
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    pub(crate) const fn count(&self) -> usize {
        self.total
    }

    /// In milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return STEP.powi(bucket as i32) / 1e3;
            }
        }
        f64::NAN
    }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

pub(crate) fn range(figures: &[f64]) -> (f64, f64) {
    figures
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &figure| (low.min(figure), high.max(figure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[1.0, 2.0]) - 1.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }

    #[test]
    fn quantiles_are_right_to_one_per_cent() {
        let mut latencies = Histogram::default();
        (1..=1000).for_each(|millis| latencies.record(Duration::from_millis(millis)));
        assert_eq!(latencies.count(), 1000);
        assert!((latencies.quantile(0.5) / 500.0 - 1.0).abs() < 0.011, "{}", latencies.quantile(0.5));
        assert!((latencies.quantile(0.99) / 990.0 - 1.0).abs() < 0.011, "{}", latencies.quantile(0.99));
        assert!(Histogram::default().quantile(0.5).is_nan());
    }
}
