//! A load with and without something.

use crate::support::{Measurement, median};

/// Measures with (`true`) and without (`false`), alternating which of them is first, and prints the ratios of the
/// medians.
pub(crate) async fn compare(
    name: &str,
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
    print_ratios(name, &with, &without);
}

/// Prints the ratios of the medians.
pub(crate) fn print_ratios(name: &str, with: &[Measurement], without: &[Measurement]) {
    let rate = |all: &[Measurement]| median(all.iter().map(|one| one.per_second).collect());
    let p99 = |all: &[Measurement]| median(all.iter().map(|one| one.p99_micros.into()).collect());
    println!(
        "{name}: rate {:.3} × ({:.0}/s, without {:.0}/s), p99 {:.2} × ({:.0} µs, without {:.0} µs) \
         (medians of {})",
        rate(with) / rate(without),
        rate(with),
        rate(without),
        p99(with) / p99(without),
        p99(with),
        p99(without),
        with.len()
    );
}

pub(crate) fn describe(one: &Measurement) -> String {
    format!(
        "{:.0}/s (p50 {} µs, p99 {} µs)",
        one.per_second, one.p50_micros, one.p99_micros
    )
}
