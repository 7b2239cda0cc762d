//! `shop migrate`, and other commands on a schema of an earlier version.

use super::*;
use crate::support::storage_test;

storage_test! {
    async fn pending_migrations_are_listed_then_applied(earlier: EarlierShop) {
        earlier.migrate_to(23);
        let listed = earlier.run(&["migrate", "--check", "--json"]);
        let (out, err) = streams(&listed);
        assert_eq!(listed.status.code(), Some(1), "{err}");
        let listed: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(listed.first(), Some(&json!({ "name": "V24__refund_failures" })));
        assert!(err.contains("V23") && err.contains("`shop migrate`"), "{err}");

        let applied = earlier.run(&["migrate"]);
        let (out, err) = streams(&applied);
        assert!(applied.status.success(), "{err}");
        assert!(out.contains("V24__refund_failures"), "{out}");
        assert!(err.contains("applied"), "{err}");
        let check = stdout_of(&earlier.run(&["migrate", "--check"]));
        assert!(check.starts_with("the schema is up to date (V"), "{check}");
        assert_eq!(stdout_of(&earlier.run(&["admin", "user", "list", "--json"])), "[]\n");
    }

    async fn a_command_does_not_migrate_an_earlier_schema(earlier: EarlierShop) {
        earlier.migrate_to(23);
        let commands = [
            &["admin", "user", "list"][..],
            &["admin", "seed"],
            &["verify"],
        ];
        for command in commands {
            let error = failure_of(&earlier.run(command));
            for word in ["V23", "`shop migrate`", "start the server"] {
                assert!(error.contains(word), "{command:?}: {word}: {error}");
            }
        }
        let pending = earlier.run(&["migrate", "--check"]);
        assert_eq!(pending.status.code(), Some(1), "nothing was migrated");
    }
}

#[test]
fn a_sqlite_shop_with_a_running_server_is_not_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path());
    let file = directory.path().join("shop.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    let newest = "DELETE FROM refinery_schema_history
                  WHERE version = (SELECT max(version) FROM refinery_schema_history)";
    connection.execute(newest, []).unwrap();
    let output = run(directory.path(), &["migrate"]);
    let (_, error) = streams(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("another server is running"), "{error}");
    drop(server);
}
