//! Help texts and usage errors.

use super::*;

/// Returns the path of every command with its help.
fn all_help() -> Vec<(Vec<String>, String)> {
    let here = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    let mut left: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = left.pop() {
        let output = Command::new(env!("CARGO_BIN_EXE_shop"))
            .args(&path)
            .arg("--help")
            .current_dir(here.path())
            .output()
            .unwrap();
        let help = stdout_of(&output);
        let commands = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let names = commands
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help");
        left.extend(names.map(|name| [&path[..], &[name.to_owned()]].concat()));
        found.push((path, help));
    }
    found
}

#[test]
fn help_is_plain_text_with_a_section_of_global_options() {
    let all = all_help();
    assert!(all.len() > 35, "{}", all.len());
    for (path, help) in all {
        assert!(!help.contains('`'), "{path:?}: {help}");
        let (own, global) = help
            .split_once("Global options:\n")
            .unwrap_or_else(|| panic!("{path:?}: {help}"));
        for option in [
            "--data-dir",
            "--database-url",
            "--config",
            "--log-format",
            "--json",
        ] {
            let listed = format!(" {option}");
            assert!(
                global.contains(&listed) && !own.contains(&listed),
                "{path:?} {option}: {help}"
            );
        }
    }
}

/// Returns the usage error for these arguments.
#[track_caller]
fn usage_error(arguments: &[&str]) -> String {
    let here = tempfile::tempdir().unwrap();
    let output = run(&here.path().join("data"), arguments);
    let (out, err) = streams(&output);
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(2), ""),
        "{arguments:?}: {err}"
    );
    assert!(!here.path().join("data").exists());
    err
}

#[test]
fn common_mistakes_get_a_tip() {
    for (arguments, meant) in [
        (&["--demo"][..], "shop serve --demo"),
        (&["start"], "shop serve"),
        (&["demo"], "shop serve --demo"),
        (&["product", "list"], "shop admin product"),
        (&["users"], "shop admin user"),
        (&["seed"], "shop admin seed"),
        (&["serve", "--port", "80"], "--listen 127.0.0.1:8080"),
        (&["serve", "-v"], "SHOP_LOG"),
        (&["admin", "product", "list", "--format", "json"], "--json"),
        (
            &[
                "admin",
                "user",
                "add",
                "--email",
                "a@b.example",
                "--name",
                "A",
                "--password",
                "x",
            ],
            "--password-stdin",
        ),
        (
            &["admin", "user", "disable", "--email", "a@b.example"],
            "an argument of its own",
        ),
    ] {
        let err = usage_error(arguments);
        assert!(
            err.contains("tip: ") && err.contains(meant),
            "{arguments:?}: {err}"
        );
    }
    for (listen, meant) in [
        ("8080", "127.0.0.1:8080"),
        (":9000", "127.0.0.1:9000"),
        ("localhost:9000", "127.0.0.1:9000"),
        ("0.0.0.0", "0.0.0.0:8080"),
        ("::", "[::]:8080"),
        ("*:80", "0.0.0.0:80"),
    ] {
        let err = usage_error(&["serve", "--listen", listen]);
        assert!(err.contains(&format!("`{meant}`")), "{listen}: {err}");
    }
}

#[test]
fn negative_numbers_are_parsed_as_values() {
    let directory = new_shop();
    let add = ["admin", "product", "add", "--name", "Kettle"];
    for (more, named) in [
        (&["--price", "-1", "--stock", "1"][..], "--price"),
        (&["--price", "1", "--stock", "-1"], "--stock"),
    ] {
        let error = usage_failure_of(&run(directory.path(), &[&add[..], more].concat()));
        assert!(
            error.contains(&format!("`{named}`: must be ")) && error.contains("from "),
            "{error}"
        );
    }
    let refund = ["admin", "order", "refund", "7K3M-9QXD", "--amount", "-5"];
    let error = usage_failure_of(&run(directory.path(), &refund));
    assert!(error.contains("`--amount`"), "{error}");
    let err = usage_error(&["admin", "seed", "--products", "-5"]);
    assert!(err.contains("invalid value '-5' for '--products"), "{err}");
}

#[test]
fn amounts_have_the_currencys_decimals() {
    for (currency, shown) in [
        ("INR", "INR 1,299.00"),
        ("JPY", "JPY 129,900"),
        ("BHD", "BHD 129.900"),
    ] {
        let directory = new_shop();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
            command
                .args(arguments)
                .arg("--data-dir")
                .arg(directory.path());
            stdout_of(&command.env("SHOP_CURRENCY", currency).output().unwrap())
        };
        let kettle = [
            "admin", "product", "add", "--name", "Kettle", "--price", "129900", "--stock", "1",
        ];
        run(&kettle);
        let table = run(&["admin", "product", "list"]);
        assert!(table.contains(shown), "{table}");
        let listed: Value =
            serde_json::from_str(&run(&["admin", "product", "list", "--json"])).unwrap();
        assert_eq!(listed[0]["price"], 129_900);
    }
}

#[test]
fn wrong_usage_exits_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 10] = [
        &[],
        &["sell"],
        &["admin"],
        &["admin", "user", "add"],
        &["admin", "user", "add", "--email", "a@example.com"],
        &["admin", "user", "role", "a@example.com", "BOSS"],
        &["admin", "product", "stock", "ID"],
        &["admin", "category", "add", "One", "Two"],
        &["admin", "user", "list", "--verbose"],
        &["serve", "--port", "80"],
    ];
    for arguments in wrong {
        let output = run(directory.path(), arguments);
        let (out, err) = streams(&output);
        assert_eq!(
            (output.status.code(), out.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was created"
    );
}
