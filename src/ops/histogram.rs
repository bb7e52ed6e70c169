//! How long something took, in buckets that are fixed.

use std::time::Duration;

use super::counter::Counter;

/// The upper bounds of the buckets in nanoseconds, and as Prometheus has them in seconds. What took longer is in one more.
pub(crate) const BOUNDS: [(u64, &str); 17] = [
    (1_000, "0.000001"),
    (2_500, "0.0000025"),
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
];

/// Counts by bucket, written by one thread at a time.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Not cumulative.
    buckets: [Counter; BOUNDS.len() + 1],
    nanoseconds: Counter,
}

impl Histogram {
    /// Counts one that took so long.
    pub(crate) fn observe(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < nanoseconds);
        self.buckets[bucket].add(1);
        self.nanoseconds.add(nanoseconds);
    }

    /// Adds what another one has counted.
    pub(crate) fn absorb(&self, other: &Histogram) {
        for (bucket, more) in self.buckets.iter().zip(&other.buckets) {
            bucket.add(more.get());
        }
        self.nanoseconds.add(other.nanoseconds.get());
    }

    /// How many took no longer than each bound, then how many there were.
    pub(crate) fn cumulative(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|bucket| {
            sum += self.buckets[bucket].get();
            sum
        })
    }

    /// How long all of them took, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.nanoseconds.get() as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for nanoseconds in [0, 1_000, 1_001, 1_000_000_000, 1_000_000_001] {
            histogram.observe(Duration::from_nanos(nanoseconds));
        }
        let counts = histogram.cumulative();
        assert_eq!((counts[0], counts[1], counts[15], counts[16], counts[17]), (2, 3, 3, 4, 5));
        assert!((histogram.seconds() - 2.000_002_002).abs() < 1e-12);
    }

    #[test]
    fn the_bounds_grow_and_their_texts_say_the_same() {
        assert!(BOUNDS.is_sorted());
        for (nanoseconds, seconds) in BOUNDS {
            let said: f64 = seconds.parse().unwrap();
            assert!((said * 1e9 - nanoseconds as f64).abs() < 1e-3, "{seconds}");
        }
    }
}
