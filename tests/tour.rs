//! The README's tour, as it stands there.

use std::process::Command;

use crate::support::Process;

/// The lines between the marks, without their fence.
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
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!said.contains("/problems/"), "{said}");
    let (_, paid) = said
        .rsplit_once("{\"data\":")
        .expect("the last answer is a page");
    assert!(
        paid.contains("\"status\":\"PAID\"") && paid.contains("\"status\":\"CAPTURED\""),
        "{paid}"
    );
}
