//! Runs the README's tour.

use std::process::Command;

use crate::support::Process;

/// Returns the script between the markers, without the fence.
fn tour() -> String {
    let readme = include_str!("../README.md");
    let (_, rest) = readme
        .split_once("<!-- tour: ")
        .expect("the README has a tour");
    let (tour, _) = rest
        .split_once("<!-- end of tour -->")
        .expect("the tour ends");
    tour.lines()
        .filter(|line| !line.starts_with("```"))
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_tour_leads_to_a_paid_order() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start_demo(directory.path());
    let script = tour()
        .replace("http://127.0.0.1:8080", &server.url)
        .replace("target/release/shop", env!("CARGO_BIN_EXE_shop"));
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env("SHOP_DATA_DIR", directory.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!stdout.contains("/problems/"), "{stdout}");
    let (_, orders) = stdout
        .rsplit_once("{\"data\":")
        .expect("the last answer is a page");
    assert!(
        orders.contains("\"status\":\"PAID\"") && orders.contains("\"status\":\"CAPTURED\""),
        "{orders}"
    );
}
