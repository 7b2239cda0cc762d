//! The documentation of the metrics, the alert rules and the dashboard name only metrics that exist.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;
use serde_json::Value;
use shop::{
    infra::metrics::{Metric, MetricKind},
    server::metrics::all,
};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the row of a metric in `docs/operations.md`.
fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    };
    let labels: Vec<_> = metric
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{}` | {kind} | {} | {} |",
        metric.name,
        labels.join(", "),
        metric.help
    )
}

#[test]
fn the_documented_metrics_are_those_of_the_program() {
    let document = read("docs/operations.md");
    let documented: BTreeSet<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `shop_") || line.starts_with("| `process_"))
        .collect();
    let rows: Vec<String> = all().map(row).collect();
    let declared: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(documented, declared);
}

#[test]
fn names_follow_the_conventions() {
    for metric in all() {
        let name = metric.name;
        assert!(
            name.starts_with("shop_") || name.starts_with("process_"),
            "{name}"
        );
        if metric.kind == MetricKind::Counter {
            assert!(name.ends_with("_total"), "{name}");
        }
        assert!(metric.help.ends_with('.'), "{name}");
    }
}

#[test]
fn alerts_of_late_backups_and_certificates_name_a_remedy() {
    let rules = read("packaging/prometheus/shop-alerts.yml");
    for (alert, remedy) in [
        ("ShopBackupLate", "shop backup"),
        ("ShopBackupFailed", "/readyz"),
        ("ShopCertificateExpiry", "SIGHUP"),
    ] {
        let (_, rule) = rules.split_once(&format!("alert: {alert}\n")).unwrap();
        let rule = rule.split("- alert:").next().unwrap();
        let (_, description) = rule.split_once("description: ").unwrap();
        assert!(description.contains(remedy), "{alert}: {description}");
    }
}

#[test]
fn alerts_and_dashboard_use_existing_metrics() {
    let declared: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    let name = Regex::new(r"\b(shop|process)_[a-z0-9_]+").unwrap();
    for path in [
        "packaging/prometheus/shop-alerts.yml",
        "packaging/grafana/shop-dashboard.json",
    ] {
        let text = read(path);
        let mut used = 0;
        for found in name.find_iter(&text) {
            let found = found.as_str();
            let suffix = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| found.strip_suffix(suffix));
            let is_known =
                declared.contains(found) || suffix.is_some_and(|name| declared.contains(name));
            assert!(is_known, "{path}: {found}");
            used += 1;
        }
        assert!(used > 5, "{path}");
    }
    let dashboard: Value =
        serde_json::from_str(&read("packaging/grafana/shop-dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);
}
