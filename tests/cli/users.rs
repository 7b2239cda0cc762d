//! `shop admin user`: add, list, show and role.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_created_listed_and_given_roles() {
    let directory = new_shop();
    let directory = directory.path();
    let made = add_user(
        directory,
        "ada@example.com",
        "ADMIN",
        &format!("{PASSWORD}\n"),
    );
    let made: Value = serde_json::from_str(&stdout_of(&made)).unwrap();
    assert_eq!(made["email"], "ada@example.com");
    assert_eq!(
        (&made["role"], &made["isEmailVerified"]),
        (&json!("ADMIN"), &json!(true))
    );
    assert!(!made.to_string().contains("assword"), "{made}");
    let as_text = run_with_input(
        directory,
        &[
            "admin",
            "user",
            "add",
            "--email",
            "bob@example.com",
            "--name",
            "Bob",
            "--password-stdin",
        ],
        PASSWORD,
    );
    assert_eq!(stdout_of(&as_text), "created bob@example.com (CUSTOMER)\n");

    let listed = json_of(directory, &["admin", "user", "list"]);
    assert_eq!(
        strings(&listed, "email"),
        ["ada@example.com", "bob@example.com"]
    );
    assert_eq!(strings(&listed, "role"), ["ADMIN", "CUSTOMER"]);
    let table = stdout_of(&run(directory, &["admin", "user", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("bob@example.com"), "{table}");

    // A running server ends the sessions when the role changes.
    let server = Process::start(directory);
    let client = Remote::new(&server);
    assert_eq!(
        sign_in_status(&client, "ada@example.com", PASSWORD).await,
        200
    );
    let session = json!({ "email": "bob@example.com", "password": PASSWORD });
    let token = client
        .post("/auth/login", &session)
        .await
        .text("/accessToken");
    let bob = client.with_token(token);
    assert_eq!(bob.get("/me").await.status, 200);
    let moved = json_of(
        directory,
        &["admin", "user", "role", "BOB@example.com", "admin"],
    );
    assert_eq!(moved["role"], "ADMIN");
    bob.get("/me").await.assert_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_shown_with_sessions_and_orders() {
    let directory = new_shop();
    let directory = directory.path();
    stdout_of(&add_user(directory, "root@example.com", "ADMIN", PASSWORD));
    stdout_of(&add_user(
        directory,
        "ada@example.com",
        "CUSTOMER",
        PASSWORD,
    ));
    let kettle = [
        "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "9",
    ];
    let kettle = json_of(directory, &kettle)["id"].clone();
    let server = Process::start(directory);
    let client = Remote::new(&server);
    let session = json!({ "email": "ada@example.com", "password": PASSWORD });
    for _ in 0..2 {
        let token = client
            .post("/auth/login", &session)
            .await
            .text("/accessToken");
        let ada = client.with_token(token);
        ada.post("/cart", &json!({ "productId": kettle })).await;
        assert_eq!(ada.post("/orders", &json!({})).await.status, 201);
    }
    let shown = json_of(directory, &["admin", "user", "show", "ADA@example.com"]);
    assert_eq!(shown["email"], "ada@example.com");
    assert_eq!(
        (&shown["isDisabled"], &shown["disabledAt"]),
        (&json!(false), &Value::Null)
    );
    let sessions = shown["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{shown}");
    for field in ["signedInAt", "expiresAt"] {
        assert!(sessions[0][field].is_string(), "{shown}");
    }
    assert_eq!(sessions[0]["refreshedAt"], Value::Null);
    assert_eq!(shown["orders"]["total"], 2);
    let newest = shown["orders"]["newest"].as_str().unwrap();
    assert!(!shown.to_string().contains("assword"), "{shown}");
    let summary = stdout_of(&run(
        directory,
        &["admin", "user", "show", "ada@example.com"],
    ));
    for word in [
        "ada@example.com\n",
        "role: CUSTOMER",
        "disabled: no",
        "sessions: 2",
        newest,
    ] {
        assert!(summary.contains(word), "{word}: {summary}");
    }
    stdout_of(&run(
        directory,
        &["admin", "user", "disable", "ada@example.com"],
    ));
    let summary = stdout_of(&run(
        directory,
        &["admin", "user", "show", "ada@example.com"],
    ));
    assert!(
        summary.contains("disabled: since 2") && summary.contains("sessions: 0"),
        "{summary}"
    );
    let error = run_failing(directory, &["admin", "user", "show", "nobody@example.com"]);
    assert!(error.contains("nobody@example.com"), "{error}");
    let error = run_refused(directory, &["admin", "user", "show", "nobody"]);
    assert!(error.contains("EMAIL"), "{error}");
}

#[test]
fn invalid_users_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    let wrong = ["admin", "user", "add", "--email", "bad", "--name", " "];
    let error = run_refused(directory, &wrong);
    assert!(
        error.contains("`--email`: ") && error.contains("`--name`: "),
        "{error}"
    );
    stdout_of(&add_user(directory, "ada@example.com", "ADMIN", PASSWORD));
    for email in ["ada@example.com", "ADA@EXAMPLE.COM"] {
        let error = failure_of(&add_user(directory, email, "CUSTOMER", PASSWORD));
        assert!(error.contains("exists"), "{email}: {error}");
    }
    for (email, password, word) in [
        ("no address", PASSWORD, "--email"),
        ("bob@example.com", "short", "8 to 128"),
        ("bob@example.com", "", "8 to 128"),
        ("bob@example.com", "bob-is-my-password", "mail address"),
    ] {
        let error = usage_failure_of(&add_user(directory, email, "CUSTOMER", password));
        assert!(error.contains(word), "{email} {password}: {error}");
    }
    let error = run_failing(
        directory,
        &["admin", "user", "role", "nobody@example.com", "ADMIN"],
    );
    assert!(error.contains("nobody@example.com"), "{error}");
    let error = run_failing(
        directory,
        &["admin", "user", "role", "ada@example.com", "CUSTOMER"],
    );
    assert!(error.contains("last admin"), "{error}");
    let listed = json_of(directory, &["admin", "user", "list"]);
    assert_eq!(strings(&listed, "email"), ["ada@example.com"]);
}
