//! Preflight checks: databases that the shop rejects are left unchanged.

use super::*;

/// Asserts that the shop rejects the database and leaves it unchanged. Returns the error message.
#[track_caller]
fn rejects(server: &Server, database: &str) -> String {
    let before = server.tables(database);
    let why = refuses(&server.url("postgres", database));
    assert_contains(&why, &[&format!("`{database}`")]);
    assert_eq!(server.tables(database), before, "{why}");
    why
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let Some(server) = Server::shared() else {
        return;
    };
    for (made, word) in [
        ("CREATE TABLE users (id int)", "`users`"),
        (
            "CREATE TABLE orders (id int); CREATE TABLE users (id int)",
            "`orders`, `users`",
        ),
        ("CREATE VIEW numbers AS SELECT 1", "`numbers`"),
        ("CREATE MATERIALIZED VIEW numbers AS SELECT 1", "`numbers`"),
        (
            "CREATE TABLE parts (id int) PARTITION BY RANGE (id)",
            "`parts`",
        ),
    ] {
        let database = server.database();
        server.run(&database, made);
        assert_contains(&rejects(server, &database), &["another program", word]);
    }
}

#[test]
fn migrations_of_another_program_are_detected() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    server.run(
        &database,
        "CREATE TABLE refinery_schema_history
             (version int4 PRIMARY KEY, name text, applied_on text, checksum text);
         INSERT INTO refinery_schema_history VALUES (1, 'initial', '', '1')",
    );
    assert_contains(
        &rejects(server, &database),
        &["another program", "`initial`"],
    );

    let database = server.database();
    server.run(&database, "CREATE TABLE refinery_schema_history (id int)");
    assert_contains(&rejects(server, &database), &["another program"]);
}

#[test]
fn relations_of_an_extension_are_ignored() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let mut client = server.client(&database);
    if let Err(missing) = client.batch_execute("CREATE EXTENSION pg_stat_statements") {
        // Some systems have it in a separate package.
        assert_eq!(missing.code().unwrap().code(), "0A000", "{missing}");
        return;
    }
    opens(&server.url("postgres", &database));
}

#[test]
fn other_schemas_are_ignored() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    server.run(
        &database,
        "CREATE SCHEMA other; CREATE TABLE other.users (id int)",
    );
    opens(&server.url("postgres", &database));
    assert!(server.tables(&database).contains(&"orders".to_owned()));
}

#[test]
fn missing_permissions_are_reported_with_a_remedy_that_works() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    server.run(&database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let url = server.url("guest", &database);
    let why = refuses(&url);
    let remedy = "GRANT CREATE, USAGE ON SCHEMA public TO guest";
    assert_contains(&why, &["`guest`", &database, remedy]);
    assert_eq!(server.tables(&database), [""; 0]);

    server.run(&database, remedy);
    opens(&url);
}

#[test]
fn a_shop_owned_by_another_role_is_reported() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    opens(&server.url("postgres", &database));
    let why = refuses(&server.url("guest", &database));
    assert_contains(&why, &["`guest`", &database]);
}

#[test]
fn a_database_without_utf8_is_rejected() {
    let Some(server) = Server::shared() else {
        return;
    };
    let version = server
        .client("postgres")
        .query_one("SHOW server_version_num", &[])
        .unwrap();
    let number: i32 = version.get::<_, &str>(0).parse().unwrap();
    // Since version 15 the default provider may be ICU, which does not support every encoding.
    let provider = if number < 150_000 {
        ""
    } else {
        "LOCALE_PROVIDER libc"
    };
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let options = format!("ENCODING '{encoding}' LOCALE 'C' {provider}");
        let database = server.database_with(&options);
        assert_contains(&rejects(server, &database), &[encoding, "createdb -E UTF8"]);
    }
}

#[test]
fn an_old_server_is_rejected() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    // A function that shadows the built-in one and returns the version of an older server.
    server.run(
        &database,
        &format!(
            "CREATE SCHEMA old;
             CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS $$
                 SELECT CASE $1 WHEN 'server_version_num' THEN '130023'
                     WHEN 'server_version' THEN '13.23 (Debian)'
                     ELSE pg_catalog.current_setting($1) END $$;
             ALTER DATABASE {database} SET search_path = old, pg_catalog"
        ),
    );
    assert_contains(&rejects(server, &database), &["Postgres 13.23", "14"]);
}

#[test]
fn a_read_only_replica_is_rejected() {
    let Some(cluster) = Cluster::start(&[("fsync", "off")]) else {
        return;
    };
    cluster.write_file("standby.signal", "");
    cluster.restart();
    let why = refuses(&cluster.url("postgres"));
    assert_contains(&why, &["replica", "primary"]);
}

#[test]
fn a_read_only_database_is_rejected() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let set = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    server.run("postgres", &set);
    assert_contains(
        &rejects(server, &database),
        &["read-only", "`default_transaction_read_only`"],
    );
}

#[test]
fn a_newer_schema_is_rejected_on_postgres() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    opens(&server.url("postgres", &database));
    server.run(
        &database,
        "INSERT INTO refinery_schema_history SELECT 1000, 'teleport', applied_on, checksum
         FROM refinery_schema_history WHERE version = 1",
    );
    assert_contains(&rejects(server, &database), &["newer", "`V1000__teleport`"]);
}

#[test]
fn a_newer_schema_is_rejected_on_sqlite() {
    let here = tempfile::tempdir().unwrap();
    opened(&mut shop(here.path()));
    let path = here.path().join("shop-data/shop.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "INSERT INTO refinery_schema_history SELECT 1000, 'teleport', applied_on, checksum
         FROM refinery_schema_history WHERE version = 1;
         PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    file.close().unwrap();
    let before = fs::read(&path).unwrap();
    let output = shop(here.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let why = texts(&output.stderr);
    assert_eq!(why.lines().count(), 1, "{why}");
    assert_contains(&why, &["shop.db", "newer", "`V1000__teleport`"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}
