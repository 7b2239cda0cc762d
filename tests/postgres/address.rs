//! The database URL: parsing, its sources, and connection errors.

use std::net::TcpListener;

use super::*;

/// Returns a port on which nothing listens.
fn unused_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

#[test]
fn an_invalid_url_is_rejected_with_an_example() {
    for (url, words) in [
        ("", &["postgres://"][..]),
        ("a database", &["postgres://"]),
        ("mysql://ada:sw0rdfish@db/shop", &["postgres://"]),
        (
            "postgres://ada:sw0rdfish@db:port/shop",
            &["port", "postgres://"],
        ),
        (
            "postgres://ada:sw0rdfish@db:5432",
            &["database", "postgres://"],
        ),
        (
            "postgres://ada:sw0rdfish@db:5432/",
            &["database", "postgres://"],
        ),
        ("postgres://ada:sw0rdfish@/shop", &["host", "postgres://"]),
        ("postgres:///shop", &["host", "postgres://"]),
        ("postgres://ada:sw0rdfish@db/shop?colour=red", &["colour"]),
        ("postgres://ada:sw0rdfish@db/shop?sslmode", &["postgres://"]),
        (
            "postgres://ada:sw0rdfish@db/shop?sslmode=",
            &["sslmode", "verify-full"],
        ),
        (
            "postgres://ada:sw0rdfish@db/shop?sslmode=sometimes",
            &["sslmode", "`require`"],
        ),
    ] {
        assert_contains(&url_usage_error(url), words);
    }
}

#[test]
fn no_part_of_an_unencoded_password_is_shown() {
    let port = unused_port();
    for password in [
        "one@sw0rdfish",
        "sw0rdfish/two",
        "one@sw0rdfish/two",
        "one@two/sw0rdfish",
        "one@two:sw0rdfish",
        "one@two?sw0rdfish",
        "one@two?sw0rdfish=three",
        "one@two?three&sw0rdfish=four",
        "one#sw0rdfish",
        "sw0rdfish?two",
        "sw0rdfish%zz",
        "sw0rdfish%ff",
    ] {
        let url = format!("postgres://ada:{password}@127.0.0.1:{port}/shop");
        let here = tempfile::tempdir().unwrap();
        exit_of(shop(here.path()).env("SHOP_DATABASE_URL", url));
    }
}

#[test]
fn a_sqlite_url_is_rejected_in_favour_of_the_data_directory() {
    let here = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", here.path().join("elsewhere.db").display());
    assert_contains(&url_usage_error(&url), &["postgres://", "--data-dir"]);
    assert!(!here.path().join("elsewhere.db").exists());
}

#[test]
fn an_unreachable_server_is_reported() {
    let port = unused_port().to_string();
    let url = format!("postgres://ada:{SECRET}@127.0.0.1:{port}/shop");
    assert_contains(
        &refuses(&url),
        &["`shop`", "127.0.0.1", &port, "check that it runs"],
    );
    let here = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_shop"));
    server
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("SHOP_DATABASE_URL", &url)
        .current_dir(here.path());
    assert_contains(&refused(&mut server), &["`shop`", "check that it runs"]);

    let url = format!("postgres://ada:{SECRET}@no-such-host.invalid/shop");
    assert_contains(&refuses(&url), &["`shop`", "no-such-host.invalid"]);
    let url = format!("postgres://ada:{SECRET}@%2Fnowhere/shop");
    assert_contains(&refuses(&url), &["`shop`", "/nowhere"]);
    let url = format!("postgres://ada:{SECRET}@[::1]:{port}/shop");
    let address = format!("[::1]:{port}");
    assert_contains(&refuses(&url), &["`shop`", &address, "check that it runs"]);
}

#[test]
fn a_server_that_is_not_postgres_times_out() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let url = format!("postgres://ada:{SECRET}@127.0.0.1:{port}/shop");
    assert_contains(&refuses(&url), &["`shop`", "127.0.0.1", &port]);
}

#[test]
fn a_missing_database_is_reported() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.url("postgres", "no_such_shop");
    assert_contains(&refuses(&url), &["no_such_shop", "createdb"]);
}

#[test]
fn a_wrong_password_is_reported() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let rest = format!("{database}?sslmode=disable");
    for user in ["ada:not-sw0rdfish", "ada:sw0rdfish2", "ada"] {
        let why = refuses(&server.url(user, &rest));
        assert_contains(&why, &["`ada`", "password", &database]);
    }
    assert_eq!(server.tables(&database), [""; 0]);
}

#[test]
fn a_correct_password_is_accepted() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database_with("OWNER ada");
    for mode in ["disable", "require"] {
        let rest = format!("{database}?sslmode={mode}");
        opens(&server.url(&format!("ada:{SECRET}"), &rest));
    }
    assert!(server.tables(&database).contains(&"orders".to_owned()));

    let odd = format!("odd:{SECRET}%40%3A%2F%3F%23%25%26%3D%20%C3%A9");
    opens(&server.url(&odd, &database));
    let odd = format!("odd:{SECRET}%40:/?#%25&=%20é");
    opens(&server.url(&odd, &format!("{database}?sslmode=require")));
}

#[test]
fn a_missing_role_is_reported() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let url = server.url("nobody_at_all", &database);
    assert_contains(&refuses(&url), &["nobody_at_all"]);
}

#[test]
fn a_role_without_connect_permission_is_reported() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    server.run(
        "postgres",
        &format!("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"),
    );
    let why = refuses(&server.url("guest", &database));
    let grant = format!("GRANT CONNECT ON DATABASE {database} TO guest");
    assert_contains(&why, &["permission", &grant]);
    server.run("postgres", &grant);
    let why = refuses(&server.url("guest", &database));
    assert_contains(&why, &["GRANT CREATE"]);
}

#[test]
fn a_unix_socket_is_accepted() {
    let Some(server) = Server::shared() else {
        return;
    };
    let directory = server.cluster.directory().display().to_string();
    let (port, encoded) = (server.cluster.port(), directory.replace('/', "%2F"));
    let database = server.database();
    opens(&format!("postgres://postgres@{encoded}:{port}/{database}"));
    opens(&format!(
        "postgres://postgres@/{database}?host={directory}&port={port}"
    ));
    let encrypted = format!("postgres://postgres@{encoded}:{port}/{database}?sslmode=require");
    assert_contains(&refuses(&encrypted), &["sslmode"]);
}

#[test]
fn the_url_may_come_from_a_file() {
    let Some(server) = Server::shared() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let (file, database) = (here.path().join("url"), server.database());
    fs::write(&file, format!("{}\n", server.url("postgres", &database))).unwrap();
    opened(shop(here.path()).env("SHOP_DATABASE_URL_FILE", &file));
    assert!(server.tables(&database).contains(&"orders".to_owned()));
    let why = usage_error(shop(here.path()).env("SHOP_DATABASE_URL_FILE", "nowhere"));
    assert_contains(&why, &["SHOP_DATABASE_URL_FILE", "nowhere"]);

    let settings = format!(
        "database_url = \"{}\"\n",
        server.url("postgres", "no_such_shop")
    );
    fs::write(here.path().join("settings.toml"), settings).unwrap();
    let why = refused(shop(here.path()).args(["--config", "settings.toml"]));
    assert_contains(&why, &["no_such_shop"]);
}

#[test]
fn a_flag_overrides_the_environment() {
    let Some(server) = Server::shared() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let (flag, environment) = (server.database(), server.database());
    opened(
        shop(here.path())
            .args(["--database-url", &server.url("postgres", &flag)])
            .env("SHOP_DATABASE_URL", server.url("postgres", &environment)),
    );
    assert!(server.tables(&flag).contains(&"orders".to_owned()));
    assert_eq!(server.tables(&environment), [""; 0]);
}

#[test]
fn a_password_in_the_arguments_is_rejected() {
    let port = unused_port();
    for url in [
        format!("postgres://ada:{SECRET}@127.0.0.1:{port}/shop"),
        format!("postgres://ada@127.0.0.1:{port}/shop?password={SECRET}"),
    ] {
        let here = tempfile::tempdir().unwrap();
        let why = usage_error(shop(here.path()).args(["--database-url", &url]));
        assert_contains(
            &why,
            &[
                "`--database-url`",
                "`SHOP_DATABASE_URL`",
                "`SHOP_DATABASE_URL_FILE`",
            ],
        );
    }
    let here = tempfile::tempdir().unwrap();
    let url = format!("postgres://ada@127.0.0.1:{port}/shop");
    let why = refused(shop(here.path()).args(["--database-url", &url]));
    assert_contains(&why, &["check that it runs"]);
}

#[test]
fn a_shop_without_a_url_uses_a_file() {
    let here = tempfile::tempdir().unwrap();
    opened(&mut shop(here.path()));
    assert!(here.path().join("shop-data/shop.db").exists());
}
