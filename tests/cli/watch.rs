//! `shop watch`: the live inventory in the terminal.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use super::*;
use crate::support::{Engine, Site, storage_test};

/// A running `shop watch`; killed when dropped.
struct Watcher {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Watcher {
    fn spawn(mut command: Command) -> Watcher {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Watcher { child, stdout }
    }

    fn json(arguments: &[&str]) -> Watcher {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.args(["watch", "--json"]).args(arguments);
        Watcher::spawn(command)
    }

    /// Watches in a terminal.
    fn table(data_dir: &str) -> Watcher {
        let shop = env!("CARGO_BIN_EXE_shop");
        let line = format!("stty rows 12 cols 100; exec '{shop}' watch --data-dir '{data_dir}'");
        let mut command = Command::new("script");
        command.args(["-qfc", &line, "/dev/null"]);
        Watcher::spawn(command)
    }

    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Reads what is drawn until it contains the text.
    fn see(&mut self, text: &str) {
        let mut seen = Vec::new();
        while !seen.ends_with(text.as_bytes()) {
            let mut byte = [0];
            self.stdout.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn change_stock(site: &Site, product: &str, delta: &str) {
    let change = [
        "admin", "product", "stock", product, delta, "--reason", "counted",
    ];
    let changed = site.run(&change);
    assert!(changed.status.success(), "{changed:?}");
}

storage_test! {
    async fn the_messages_are_printed_one_per_line(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let process = site.start();
        let mut watcher = Watcher::json(&["--url", &format!("{}/", process.url)]);
        assert_eq!(watcher.message(), json!({ "type": "HELLO", "seq": 1 }));
        change_stock(&site, &kettle, "-2");
        let update = watcher.message();
        assert_eq!(update["seq"], 2);
        assert_eq!(update["products"], json!([{ "id": kettle, "stockQuantity": 3 }]));
    }

    async fn it_continues_after_a_restart_without_a_gap(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let process = site.start();
        let mut watcher = Watcher::json(&["--data-dir", site.path().to_str().unwrap()]);
        assert_eq!(watcher.message(), json!({ "type": "HELLO", "seq": 1 }));
        process.kill();
        change_stock(&site, &kettle, "-2");
        // It has another port.
        let _process = site.start();
        assert_eq!(watcher.message(), json!({ "type": "HELLO", "seq": 1 }));
        assert_eq!(watcher.message()["products"][0]["stockQuantity"], 3);
    }

    async fn the_table_is_drawn_again_after_a_change(site: Site) {
        let kettle = site.product("Steel Kettle", 129_900, 73);
        let _process = site.start();
        let mut watcher = Watcher::table(site.path().to_str().unwrap());
        watcher.see("Steel Kettle");
        watcher.see("73");
        change_stock(&site, &kettle, "-4");
        watcher.see("Steel Kettle");
        watcher.see("69");
        watcher.see("-4");
        site.product("Mug", 30_000, 11);
        // It was created after the start, so its name is looked up.
        watcher.see("Mug");
        watcher.see("11");
    }
}

#[tokio::test]
async fn it_fails_without_a_server_a_shop_or_a_terminal() {
    let site = Site::on(Engine::Sqlite).await.unwrap();
    let failed = |arguments: &[&str], why: &str| {
        let ended = site.run(arguments);
        let (out, err) = streams(&ended);
        assert_eq!((ended.status.code(), out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(why), "{err}");
    };
    failed(&["watch", "--json"], "no server is running");
    failed(
        &["watch", "--json", "--url", "http://127.0.0.1:1"],
        "cannot reach http://127.0.0.1:1",
    );
    let process = site.start();
    let nowhere = format!("{}/elsewhere", process.url);
    failed(&["watch", "--json", "--url", &nowhere], "404");
    failed(&["watch"], "use `--json`");
    let (out, err) = streams(&site.run(&["watch", "--json", "--url", "nonsense"]));
    assert_eq!(out, "");
    assert!(
        err.contains("must be a URL, e.g. `https://shop.example`"),
        "{err}"
    );
}
