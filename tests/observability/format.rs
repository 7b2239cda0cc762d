//! The first line of a server, and the format of every line.

use std::process::Command;

use serde_json::json;

use super::{Logged, events, parse};
use crate::support::{Engine, Remote, ends, storage_test};

storage_test! {
    async fn the_log_says_what_was_started(site: Site) {
        let server = Logged::start(&site, &[("SHOP_LOG", "info"), ("SHOP_LOG_FORMAT", "json")]);
        let url = server.process.url.clone();
        let lines = server.stop();
        let starts = events(&lines, "shop::cli::serve");
        let start = starts.iter().map(|event| &event["fields"]);
        let start: Vec<_> = start.filter(|fields| fields["message"] == "shop started").collect();
        let [start] = start[..] else { panic!("{lines:?}") };
        let engine = match site.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        assert_eq!((&start["engine"], &start["version"]), (&json!(engine), &json!(env!("CARGO_PKG_VERSION"))));
        assert_eq!(url, format!("http://{}", start["listen"].as_str().unwrap()));
        assert_eq!(start["data_dir"], site.path().to_str().unwrap());
        assert!(start["schema"].as_u64().unwrap() >= 24, "{start}");
        let database = start["database"].as_str().unwrap();
        match &site.database {
            None => assert!(database.contains("shop.db"), "{database}"),
            Some(postgres) => {
                let credentials = postgres.url().split_once('@').map(|(before, _)| before.to_owned());
                assert!(!credentials.is_some_and(|it| lines.concat().contains(&it)), "{database}");
            }
        }
    }

    async fn with_json_every_line_on_stderr_is_json(site: Site) {
        let server = Logged::start(&site, &[("SHOP_LOG", "debug"), ("SHOP_LOG_FORMAT", "json")]);
        let ada = Remote::new(&server.process).registered("ada").await;
        assert_eq!(ada.post("/me/phone", &json!({ "phone": "+919812345678" })).await.status, 202);
        let lines = server.stop();
        for line in &lines {
            parse(line);
        }
        let messages = |target| {
            let events = events(&lines, target).into_iter();
            events.map(|event| event["fields"]["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(messages("shop::cli").concat().contains("no admin yet"));
        assert!(messages("shop::sms").concat().contains("[sms] to +919812345678: your code is "));
    }
}

#[test]
fn with_json_the_error_of_a_command_is_json() {
    let here = tempfile::tempdir().unwrap();
    for arguments in [
        &["admin", "user", "list"][..],
        &["serve", "--listen", "192.0.2.1:80"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command
            .args(arguments)
            .args(["--log-format", "json", "--data-dir"])
            .arg(here.path().join("shop"));
        let output = ends(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let error = parse(text.lines().last().unwrap());
        assert_eq!(error["level"], "ERROR");
        let message = error["fields"]["message"].as_str().unwrap();
        assert!(message.starts_with("error: "), "{message}");
    }
}
