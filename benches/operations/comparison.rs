//! A load with and without something.

use crate::support::{Measurement, results::Row};

/// Measures with (`true`) and without (`false`), alternating which of them is first, and prints the ratios of the
/// medians.
pub(crate) async fn compare(
    name: &str,
    goals: &Goals,
    rounds: usize,
    mut measure: impl AsyncFnMut(bool) -> Measurement,
) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        if round % 2 == 0 {
            with.push(measure(true).await);
            without.push(measure(false).await);
        } else {
            without.push(measure(false).await);
            with.push(measure(true).await);
        }
        let last = |all: &[Measurement]| all.last().map(describe).unwrap_or_default();
        println!(
            "{name}, round {round}: with {}, without {}",
            last(&with),
            last(&without)
        );
    }
    record_ratios(name, goals, &with, &without);
}

/// The least rate and the greatest 99th percentile that a load may have, relative to the load without the work.
#[derive(Default)]
pub(crate) struct Goals {
    pub(crate) rate: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// Prints and records the ratios of the medians.
pub(crate) fn record_ratios(
    name: &str,
    goals: &Goals,
    with: &[Measurement],
    without: &[Measurement],
) {
    let rounds = with.len();
    let (with, without) = (Measurement::median(with), Measurement::median(without));
    let rate = with.per_second / without.per_second;
    let p99 = f64::from(with.p99_micros) / f64::from(without.p99_micros);
    println!(
        "{name}: rate {rate:.3} × ({:.0}/s, without {:.0}/s), p99 {p99:.2} × ({} µs, without {} µs) \
         (medians of {rounds})",
        with.per_second, without.per_second, with.p99_micros, without.p99_micros
    );
    let limit = format!("{:.0}/s without", without.per_second);
    Row::ratio(format!("{name}: rate"), rate, limit)
        .with(&with)
        .at_least(goals.rate)
        .record();
    let limit = format!("{} µs without", without.p99_micros);
    Row::ratio(format!("{name}: p99"), p99, limit)
        .with(&with)
        .at_most(goals.p99)
        .record();
}

pub(crate) fn describe(one: &Measurement) -> String {
    format!(
        "{:.0}/s (p50 {} µs, p99 {} µs)",
        one.per_second, one.p50_micros, one.p99_micros
    )
}
