//! The kinds of metrics, and how each is written in Prometheus' text format (version 0.0.4). A metric is a static of
//! atomic numbers, so that counting costs some nanoseconds and never waits.

use std::fmt::{Display, Write as _};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of values of the labels of a metric together.
const MAX_VALUES: usize = 32;
/// Maximum number of bounds of a histogram.
const BOUNDS: usize = 15;

/// The values of a label. All are listed, so that each series exists from the start.
pub(crate) trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// Its values, in the order of the variants.
    const VALUES: &'static [&'static str];
    /// The index of this value.
    fn index(self) -> usize;
}

/// A label and its values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $label:literal: $($variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl $crate::metrics::kinds::Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [&'static str] = &[$($text),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use label;

/// A metric that can be written.
pub(crate) trait Metric: Sync {
    fn write(&self, out: &mut String);
}

/// Writes a value for each of a label's.
fn write_values<L: Label>(out: &mut String, name: &str, values: impl Iterator<Item = impl Display>) {
    for (text, value) in L::VALUES.iter().zip(values) {
        let _ = writeln!(out, "{name}{{{}=\"{text}\"}} {value}", L::NAME);
    }
}

/// The same for each pair of values of two labels.
fn write_pairs<A: Label, B: Label>(out: &mut String, name: &str, values: impl Iterator<Item = impl Display>) {
    let pairs = A::VALUES.iter().flat_map(|a| B::VALUES.iter().map(move |b| (a, b)));
    for ((a, b), value) in pairs.zip(values) {
        let _ = writeln!(out, "{name}{{{}=\"{a}\",{}=\"{b}\"}} {value}", A::NAME, B::NAME);
    }
}

/// Writes the two lines above the samples of a metric.
pub(crate) fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string does not fail, here and below.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A number that only grows.
pub(crate) struct Counter {
    name: &'static str,
    help: &'static str,
    value: AtomicU64,
}

impl Counter {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: AtomicU64::new(0) }
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.value.fetch_add(count, Ordering::Relaxed);
    }
}

impl Metric for Counter {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "counter");
        let _ = writeln!(out, "{} {}", self.name, self.value.load(Ordering::Relaxed));
    }
}

/// A number that is unknown until it is set.
pub(crate) struct Gauge {
    name: &'static str,
    help: &'static str,
    value: AtomicI64,
}

/// The value of a gauge that is not known, which is not written.
const UNKNOWN: i64 = i64::MIN;

impl Gauge {
    /// A gauge that starts at 0.
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: AtomicI64::new(0) }
    }

    /// A gauge that is not written before it is set.
    pub(crate) const fn unknown(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: AtomicI64::new(UNKNOWN) }
    }

    pub(crate) fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, change: i64) {
        self.value.fetch_add(change, Ordering::Relaxed);
    }
}

impl Metric for Gauge {
    fn write(&self, out: &mut String) {
        let value = self.value.load(Ordering::Relaxed);
        if value != UNKNOWN {
            head(out, self.name, self.help, "gauge");
            let _ = writeln!(out, "{} {value}", self.name);
        }
    }
}

/// A gauge for each value of a label.
pub(crate) struct Gauges<L> {
    name: &'static str,
    help: &'static str,
    values: [AtomicI64; MAX_VALUES],
    label: PhantomData<fn() -> L>,
}

impl<L: Label> Gauges<L> {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: [const { AtomicI64::new(0) }; MAX_VALUES], label: PhantomData }
    }

    pub(crate) fn add(&self, label: L, change: i64) {
        if let Some(gauge) = self.values.get(label.index()) {
            gauge.fetch_add(change, Ordering::Relaxed);
        }
    }
}

impl<L: Label> Metric for Gauges<L> {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "gauge");
        write_values::<L>(out, self.name, self.values.iter().map(|value| value.load(Ordering::Relaxed)));
    }
}

/// A gauge for each pair of values of two labels.
pub(crate) struct GaugePairs<A, B> {
    name: &'static str,
    help: &'static str,
    values: [AtomicI64; MAX_VALUES],
    labels: PhantomData<fn() -> (A, B)>,
}

impl<A: Label, B: Label> GaugePairs<A, B> {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: [const { AtomicI64::new(0) }; MAX_VALUES], labels: PhantomData }
    }

    pub(crate) fn set(&self, a: A, b: B, value: i64) {
        if let Some(gauge) = self.values.get(a.index() * B::VALUES.len() + b.index()) {
            gauge.store(value, Ordering::Relaxed);
        }
    }
}

impl<A: Label, B: Label> Metric for GaugePairs<A, B> {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "gauge");
        write_pairs::<A, B>(out, self.name, self.values.iter().map(|value| value.load(Ordering::Relaxed)));
    }
}

/// How long ago something happened. It is not written before that.
pub(crate) struct Age {
    name: &'static str,
    help: &'static str,
    happened: Mutex<Option<Instant>>,
}

impl Age {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, happened: Mutex::new(None) }
    }

    /// Records when it happened.
    pub(crate) fn since(&self, time: Instant) {
        *self.happened.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
    }
}

impl Metric for Age {
    fn write(&self, out: &mut String) {
        if let Some(time) = *self.happened.lock().unwrap_or_else(PoisonError::into_inner) {
            head(out, self.name, self.help, "gauge");
            let _ = writeln!(out, "{} {}", self.name, time.elapsed().as_secs_f64());
        }
    }
}

/// A counter for each value of a label.
pub(crate) struct Counters<L> {
    name: &'static str,
    help: &'static str,
    values: [AtomicU64; MAX_VALUES],
    label: PhantomData<fn() -> L>,
}

impl<L: Label> Counters<L> {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: [const { AtomicU64::new(0) }; MAX_VALUES], label: PhantomData }
    }

    pub(crate) fn increment(&self, label: L) {
        self.add(label, 1);
    }

    pub(crate) fn add(&self, label: L, count: u64) {
        if let Some(counter) = self.values.get(label.index()) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl<L: Label> Metric for Counters<L> {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "counter");
        write_values::<L>(out, self.name, self.values.iter().map(|value| value.load(Ordering::Relaxed)));
    }
}

/// A counter for each pair of values of two labels.
pub(crate) struct Pairs<A, B> {
    name: &'static str,
    help: &'static str,
    values: [AtomicU64; MAX_VALUES],
    labels: PhantomData<fn() -> (A, B)>,
}

impl<A: Label, B: Label> Pairs<A, B> {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: [const { AtomicU64::new(0) }; MAX_VALUES], labels: PhantomData }
    }

    pub(crate) fn increment(&self, a: A, b: B) {
        if let Some(counter) = self.values.get(a.index() * B::VALUES.len() + b.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<A: Label, B: Label> Metric for Pairs<A, B> {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "counter");
        write_pairs::<A, B>(out, self.name, self.values.iter().map(|value| value.load(Ordering::Relaxed)));
    }
}

/// The numbers of values up to each bound.
pub(crate) struct Buckets {
    /// Upper bounds, in the unit of the values.
    bounds: &'static [u64],
    /// Number of values in a written unit: a million microseconds in a second.
    scale: u32,
    /// The last one is for values above all bounds.
    counts: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

impl Buckets {
    pub(crate) const fn new(bounds: &'static [u64], scale: u32) -> Self {
        Self { bounds, scale, counts: [const { AtomicU64::new(0) }; BOUNDS + 1], sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, value: u64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Writes the samples. `labels` are those of all of them, each followed by a comma.
    pub(crate) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            total += count.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{{labels}le=\"{}\"}} {total}", self.scaled(*bound));
        }
        total += self.counts.get(self.bounds.len()).map_or(0, |count| count.load(Ordering::Relaxed));
        let sum = self.scaled(self.sum.load(Ordering::Relaxed));
        let braced = |labels: &str| if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let labels_in_braces = braced(labels.trim_end_matches(','));
        let _ = writeln!(out, "{name}_bucket{{{labels}le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{labels_in_braces} {sum}\n{name}_count{labels_in_braces} {total}");
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of 285 years in microseconds is exact enough")]
    fn scaled(&self, value: u64) -> f64 {
        value as f64 / f64::from(self.scale)
    }
}

/// A histogram of values.
pub(crate) struct Histogram {
    name: &'static str,
    help: &'static str,
    buckets: Buckets,
}

impl Histogram {
    /// A histogram of periods, with bounds in microseconds. It is written in seconds.
    pub(crate) const fn durations(name: &'static str, help: &'static str, bounds: &'static [u64]) -> Self {
        Self { name, help, buckets: Buckets::new(bounds, 1_000_000) }
    }

    /// A histogram of numbers.
    pub(crate) const fn numbers(name: &'static str, help: &'static str, bounds: &'static [u64]) -> Self {
        Self { name, help, buckets: Buckets::new(bounds, 1) }
    }

    pub(crate) fn observe(&self, value: u64) {
        self.buckets.observe(value);
    }

    pub(crate) fn observe_time(&self, period: Duration) {
        self.observe(micros(period));
    }

    /// Records how long some work takes.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = work.await;
        self.observe_time(begun.elapsed());
        result
    }
}

impl Metric for Histogram {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "histogram");
        self.buckets.write(out, self.name, "");
    }
}

/// A histogram of periods for each value of a label.
pub(crate) struct Histograms<L> {
    name: &'static str,
    help: &'static str,
    values: [Buckets; 8],
    label: PhantomData<fn() -> L>,
}

impl<L: Label> Histograms<L> {
    pub(crate) const fn durations(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: [const { Buckets::new(super::list::TIMES, 1_000_000) }; 8], label: PhantomData }
    }

    /// Records the time until the returned value is dropped.
    pub(crate) fn time(&self, label: L) -> Timed<'_> {
        Timed { buckets: self.values.get(label.index()), started: Instant::now() }
    }
}

impl<L: Label> Metric for Histograms<L> {
    fn write(&self, out: &mut String) {
        head(out, self.name, self.help, "histogram");
        for (text, buckets) in L::VALUES.iter().zip(&self.values) {
            buckets.write(out, self.name, &format!("{}=\"{text}\",", L::NAME));
        }
    }
}

/// Records its lifetime when it is dropped.
pub(crate) struct Timed<'a> {
    buckets: Option<&'a Buckets>,
    started: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if let Some(buckets) = self.buckets {
            buckets.observe(micros(self.started.elapsed()));
        }
    }
}

/// A period in microseconds.
pub(crate) fn micros(period: Duration) -> u64 {
    u64::try_from(period.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    label!(
        /// For the tests.
        Colour, "colour": Red = "red", Blue = "blue"
    );

    #[test]
    fn metrics_are_written_in_prometheus_format_with_all_label_values() {
        let (counters, gauge) = (Counters::<Colour>::new("a_total", "Things."), Gauge::unknown("b", "More."));
        let mut out = String::new();
        counters.add(Colour::Red, 0);
        counters.increment(Colour::Blue);
        counters.write(&mut out);
        gauge.write(&mut out);
        assert_eq!(
            out,
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{colour=\"red\"} 0\na_total{colour=\"blue\"} 1\n"
        );
        gauge.set(-2);
        out.clear();
        gauge.write(&mut out);
        assert_eq!(out, "# HELP b More.\n# TYPE b gauge\nb -2\n");
    }

    #[test]
    fn histogram_bounds_are_inclusive_and_counts_are_cumulative() {
        let histogram = Histogram::durations("t_seconds", "Times.", &[500, 1_000]);
        for value in [0, 500, 501, 1_000, 1_001, 2_000_000] {
            histogram.observe(value);
        }
        let mut out = String::new();
        histogram.write(&mut out);
        let expected = "t_seconds_bucket{le=\"0.0005\"} 2\nt_seconds_bucket{le=\"0.001\"} 4\n\
                        t_seconds_bucket{le=\"+Inf\"} 6\nt_seconds_sum 2.003002\nt_seconds_count 6\n";
        assert_eq!(out.split_once("histogram\n").unwrap().1, expected);
    }
}
