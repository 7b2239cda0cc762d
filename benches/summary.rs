//! Prints the results of all benchmarks as one table. `cargo bench` runs it last.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use support::results::{self, Goal, Row};

fn main() {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header([
        "work", "rate", "p50", "p99", "limit", "result", "goal", "met",
    ]);
    for row in results::read() {
        table.add_row(cells(&row));
    }
    println!("{table}");
    println!("{}", results::path().display());
}

fn cells(row: &Row) -> [String; 8] {
    let milliseconds = |micros: Option<u32>| {
        micros.map_or_else(String::new, |micros| {
            format!("{:.1} ms", f64::from(micros) / 1000.0)
        })
    };
    let goal = match row.goal {
        None => String::new(),
        Some(Goal::AtLeast(goal)) => format!("≥ {goal}"),
        Some(Goal::AtMost(goal)) => format!("≤ {goal}"),
    };
    let is_met = match row.is_met() {
        None => "",
        Some(true) => "yes",
        Some(false) => "no",
    };
    [
        row.work.clone(),
        row.per_second
            .map_or_else(String::new, |rate| format!("{rate:.0}/s")),
        milliseconds(row.p50_micros),
        milliseconds(row.p99_micros),
        row.limit.clone(),
        format!("{:.2} {}", row.value, row.unit),
        goal,
        is_met.to_owned(),
    ]
}
