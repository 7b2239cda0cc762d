//! Runs what the README shows, so that all of it works as pasted.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::support::{Process, run, skip};

const ADDRESS: &str = "127.0.0.1:8080";

/// A fenced block.
struct Block {
    section: &'static str,
    language: &'static str,
    code: String,
}

fn blocks() -> Vec<Block> {
    let (mut blocks, mut section, mut open) = (Vec::new(), "", false);
    for line in include_str!("../README.md").lines() {
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                blocks.push(Block {
                    section,
                    language,
                    code: String::new(),
                });
            }
        } else if open {
            let block = blocks.last_mut().unwrap();
            block.code.push_str(line);
            block.code.push('\n');
        } else if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim();
        }
    }
    blocks
}

/// Returns the code of a section in one language.
fn code(section: &str, language: &str) -> Vec<String> {
    let chosen = blocks()
        .into_iter()
        .filter(|block| block.section == section && block.language == language);
    chosen.map(|block| block.code).collect()
}

/// Returns a terminal of a new user that has `shop` on the path.
fn terminal(home: &Path, script: &str) -> std::process::Command {
    let program = Path::new(env!("CARGO_BIN_EXE_shop"));
    let path = std::env::var("PATH").unwrap();
    let mut command = std::process::Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", script])
        .env("HOME", home)
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// Runs a block that ends with the server, on a free port.
fn serve(home: &Path, block: &str) -> Process {
    let script = block.replace("\nshop serve", "\nexec shop serve");
    let mut command = terminal(home, &script);
    command
        .env("SHOP_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Process::listening(command)
}

/// Runs a block beside the server and returns what it prints.
fn output(home: &Path, server: &Process, block: &str) -> String {
    let output = terminal(home, &at(server, block)).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// Replaces the address of the README by that of the server.
fn at(server: &Process, block: &str) -> String {
    block.replace(ADDRESS, server.url.strip_prefix("http://").unwrap())
}

/// Returns the command that runs a program with Node.js, with these options.
fn node(options: &[&str], program: &str) -> Command {
    let mut command = Command::new("node");
    command
        .args(options)
        .args(["--input-type=module", "--eval", program])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[test]
fn only_building_and_installing_is_not_run_here() {
    let commands: String = code("shop", "sh").concat();
    assert_eq!(
        commands,
        "cargo run --release -- serve --demo\ncargo test\n"
    );
    for block in blocks() {
        let section = block.section;
        assert!(["shop", "Install", "Try the API", "Your own shop"].contains(&section));
        assert!(["sh", "js"].contains(&block.language), "{}", block.language);
    }
}

#[test]
fn a_customer_buys_in_the_demo() {
    let home = tempfile::tempdir().unwrap();
    let blocks = code("Try the API", "sh");
    let [demo, purchase] = &blocks[..] else {
        panic!("the demo, then a purchase");
    };
    let server = serve(home.path(), demo);
    let printed = output(home.path(), &server, purchase);
    assert!(!printed.contains("/problems/"), "{printed}");
    let (_, orders) = printed
        .rsplit_once("{\"data\":")
        .expect("the last response is a page");
    assert!(
        orders.contains("\"status\":\"PAID\"") && orders.contains("\"status\":\"CAPTURED\""),
        "{orders}"
    );
}

#[test]
fn a_new_shop_gets_its_first_product() {
    let home = tempfile::tempdir().unwrap();
    let blocks = code("Your own shop", "sh");
    let [start, work] = &blocks[..] else {
        panic!("the server, then the commands");
    };
    let mut server = serve(home.path(), start);
    let printed: Vec<_> = server.stdout_lines().take(3).collect();
    assert!(printed[2].contains("/first-admin#"), "{printed:?}");
    let printed = output(home.path(), &server, work);
    for part in ["EUR 49.00", "my-shop/backups/", "Usage: shop"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

/// Without Node.js the test is skipped with a warning, or fails if `SHOP_TEST_REQUIRE_NODE=1`.
#[tokio::test]
async fn node_reads_the_catalog() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start_demo(directory.path());
    let catalog = &code("Try the API", "js")[1];
    let Ok(ended) = node(&[], &at(&server, catalog)).output().await else {
        return skip("NODE", "no node: install nodejs");
    };
    let printed = String::from_utf8_lossy(&ended.stdout);
    assert!(printed.contains("Dotted Notebook 39900 120"), "{ended:?}");
}

/// Without a Node.js that has `WebSocket`s the test is skipped with a warning, or fails if
/// `SHOP_TEST_REQUIRE_WEBSOCKET=1`.
#[tokio::test]
async fn node_watches_the_stock() {
    // Node.js 20 and 21 have WebSockets behind this flag, later versions accept it.
    let options = ["--experimental-websocket"];
    let mut probe = node(
        &options,
        "new WebSocket('ws://127.0.0.1:9').onerror = () => {}",
    );
    if !probe.status().await.is_ok_and(|status| status.success()) {
        return skip(
            "WEBSOCKET",
            "no node with WebSockets: install Node.js 20 or newer",
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start_demo(directory.path());
    let listed = run(directory.path(), &["admin", "product", "list", "--json"]);
    let products: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let product = products[0]["id"].as_str().unwrap();

    let watch = &code("Try the API", "js")[0];
    let mut watcher = node(&options, &at(&server, watch)).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(Duration::from_secs(20), lines.next_line()).await;
        line.expect("a message arrives").unwrap().expect("a line")
    };
    let greeting = next().await;
    assert!(greeting.contains("\"HELLO\""), "{greeting}");
    let stock = [
        "admin", "product", "stock", product, "+5", "--reason", "delivery",
    ];
    assert!(run(directory.path(), &stock).status.success());
    let update = next().await;
    assert!(update.contains("\"INVENTORY_UPDATE\""), "{update}");
    assert!(update.contains(product), "{update}");
}
