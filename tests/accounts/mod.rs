//! Accounts: registration, login and passwords.

mod access_tokens;
mod attempt_limits;
mod authorization;
mod clock;
mod email_links;
pub(crate) mod first_admin;
mod memory;
mod phones;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use shop::domain::accounts::{self, Email, NewUser, PasswordHash, PersonName, Role};

use crate::support::{Client, TestShop, snapshot, storage_test};

const PASSWORD: &str = "correct horse battery";

/// Hashes of [`PASSWORD`] with outdated parameters: argon2id with 8 KiB and one pass, and argon2i.
const WEAK_HASHES: [&str; 2] = [
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$uxWTSOnvlCJwDdrvGjf7x3xvw771mTCJHUN5gdfCrTw",
    "$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$MOXLadFA6PbXFESaTk+9KJGrrGk/EaX30YYkSh1mOmE",
];

fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" })
}

/// Returns the stored password hash of an account.
async fn stored_hash(shop: &TestShop, email: &str) -> String {
    let email = Email::parse(email).unwrap();
    let found = shop
        .app
        .db
        .read("test.credentials", move |tx| {
            accounts::credentials(tx, &email)
        })
        .await
        .unwrap();
    found.unwrap().1.as_str().to_owned()
}

/// Creates an account with this password hash.
async fn register_with_hash(shop: &TestShop, email: &str, hash: &str) {
    let new = NewUser {
        email: Email::parse(email).unwrap(),
        name: PersonName::try_from("Old".to_owned()).unwrap(),
        password: PasswordHash::stored(hash.to_owned()),
        role: Role::Customer,
        verified: true,
    };
    let created = shop
        .app
        .db
        .write("test.register", move |tx| accounts::register(tx, &new))
        .await;
    created.unwrap();
}

async fn set_role(
    shop: &TestShop,
    email: &str,
    role: Role,
) -> shop::core::error::Result<accounts::User> {
    let email = Email::parse(email).unwrap();
    shop.app
        .db
        .write("test.set_role", move |tx| {
            let user = accounts::user_by_email(tx, &email)?;
            accounts::set_role(tx, user.id, role)
        })
        .await
}

async fn log_in(client: &Client<'_>, email: &str, password: &str) -> crate::support::TestResponse {
    let body = json!({ "email": email, "password": password });
    client.post("/auth/login", body).await
}

/// Returns the memory in KiB and the number of passes of an argon2id hash.
fn parameters(hash: &str) -> (u32, u32) {
    let text = hash.strip_prefix("$argon2id$v=19$").unwrap();
    let text = text.split('$').next().unwrap();
    let number = |name: &str| {
        let found = text.split(',').find_map(|part| part.strip_prefix(name));
        found.unwrap().parse().unwrap()
    };
    (number("m="), number("t="))
}

storage_test! {
    async fn a_user_registers_logs_in_and_logs_out(shop: TestShop) {
        let anonymous = shop.anonymous();
        let registered = anonymous.post("/auth/register", ada()).await;
        assert_eq!(registered.status, 201);
        snapshot!(registered.json(), { ".user.id" => "[id]" }, @r#"
        {
          "merged": null,
          "user": {
            "createdAt": "2026-01-31T12:00:00.000Z",
            "email": "ada@example.com",
            "id": "[id]",
            "isEmailVerified": false,
            "isPhoneVerified": false,
            "name": "Ada",
            "phone": null,
            "role": "CUSTOMER"
          }
        }
        "#);

        let signed_in = log_in(&anonymous, "ada@example.com", PASSWORD).await;
        assert_eq!(signed_in.status, 200);
        snapshot!(
            signed_in.json(),
            { ".accessToken" => "[token]", ".refreshToken" => "[token]", ".user.id" => "[id]" },
            @r#"
        {
          "accessToken": "[token]",
          "expiresIn": 900,
          "merged": null,
          "refreshToken": "[token]",
          "tokenType": "Bearer",
          "user": {
            "createdAt": "2026-01-31T12:00:00.000Z",
            "email": "ada@example.com",
            "id": "[id]",
            "isEmailVerified": false,
            "isPhoneVerified": false,
            "name": "Ada",
            "phone": null,
            "role": "CUSTOMER"
          }
        }
        "#);
        assert_eq!(signed_in.json()["user"], registered.json()["user"]);

        let ada = shop.bearer(&signed_in.text("/accessToken"));
        assert_eq!(ada.get("/me").await.json(), registered.json()["user"]);

        let first = json!({ "refreshToken": signed_in.text("/refreshToken") });
        let refreshed = anonymous.post("/auth/refresh", first.clone()).await;
        assert_eq!(refreshed.status, 200);
        assert_ne!(refreshed.text("/refreshToken"), signed_in.text("/refreshToken"));
        anonymous.post("/auth/refresh", first).await.assert_problem(401, "invalid-token");

        let second = json!({ "refreshToken": refreshed.text("/refreshToken") });
        let again = shop.bearer(&refreshed.text("/accessToken"));
        assert_eq!(again.get("/me").await.status, 200);
        for _ in 0..2 {
            assert_eq!(anonymous.post("/auth/logout", second.clone()).await.status, 204);
        }
        for out in [&ada, &again] {
            out.get("/me").await.assert_problem(401, "unauthorized");
        }
        anonymous.post("/auth/refresh", second).await.assert_problem(401, "invalid-token");
    }

    async fn a_session_survives_a_restart_and_expires(shop: TestShop) {
        shop.customer("ada").await;
        let signed_in = log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await;
        let shop = shop.restarted().await;
        let ada = shop.bearer(&signed_in.text("/accessToken"));
        assert_eq!(ada.get("/me").await.status, 200);

        shop.advance_clock(Duration::from_hours(30 * 24));
        let token = json!({ "refreshToken": signed_in.text("/refreshToken") });
        shop.anonymous().post("/auth/refresh", token).await.assert_problem(401, "invalid-token");
    }

    async fn spellings_of_an_address_belong_to_one_account(shop: TestShop) {
        let anonymous = shop.anonymous();
        let first = json!({
            "email": "Ren\u{e9}@B\u{fc}cher.example", "password": PASSWORD, "name": "René"
        });
        let registered = anonymous.post("/auth/register", first).await;
        assert_eq!(registered.status, 201);
        assert_eq!(registered.text("/user/email"), "Ren\u{e9}@B\u{fc}cher.example");

        let spellings = [
            "ren\u{e9}@b\u{fc}cher.example",
            "REN\u{c9}@B\u{dc}CHER.EXAMPLE",
            "rene\u{301}@bu\u{308}cher.example",
            "ren\u{e9}@xn--bcher-kva.example",
            "Ren\u{e9}@XN--BCHER-KVA.Example",
            "\u{ff32}\u{ff25}\u{ff2e}\u{c9}\u{ff20}\u{ff42}\u{fc}\u{ff43}\u{ff48}\u{ff45}\u{ff52}.example",
            "ren\u{e9}@b\u{fc}cher\u{3002}example",
            "  ren\u{e9}@b\u{fc}cher.example ",
        ];
        for spelling in spellings {
            let body = json!({ "email": spelling, "password": PASSWORD, "name": "Mallory" });
            anonymous.post("/auth/register", body).await.assert_problem(409, "email-taken");

            let signed_in = log_in(&anonymous, spelling, PASSWORD).await;
            assert_eq!(signed_in.status, 200, "{spelling}: {signed_in:?}");
            assert_eq!(signed_in.json()["user"], registered.json()["user"]);
        }

        let sigma = json!({ "email": "\u{3bf}\u{3b4}\u{3bf}\u{3c3}@x.example", "password": PASSWORD, "name": "O" });
        assert_eq!(anonymous.post("/auth/register", sigma.clone()).await.status, 201);
        for spelling in ["\u{39f}\u{394}\u{39f}\u{3a3}@x.example", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}@X.example"] {
            let mut body = sigma.clone();
            body["email"] = json!(spelling);
            anonymous.post("/auth/register", body).await.assert_problem(409, "email-taken");
        }

        let another = json!({
            "email": "rene@b\u{fc}cher.example", "password": PASSWORD, "name": "Rene"
        });
        assert_eq!(anonymous.post("/auth/register", another).await.status, 201);
    }

    async fn a_wrong_password_and_an_unknown_address_get_the_same_response(shop: TestShop) {
        shop.customer("ada").await;
        let anonymous = shop.anonymous();
        let mut answers = Vec::new();
        for (email, password) in [
            ("ada@example.com", "wrong horse battery"),
            ("nobody@example.com", "wrong horse battery"),
            ("nobody@example.com", PASSWORD),
            ("ada@example.com", ""),
        ] {
            let body = json!({ "email": email, "password": password });
            let id = [("x-request-id", "the-same")];
            let answer = anonymous.call(http::Method::POST, "/auth/login", &id, body).await;
            answer.assert_problem(401, "invalid-credentials");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            answers.push((answer.headers.clone(), answer.body.clone()));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    }

    async fn passwords_are_stored_as_argon2id_hashes(shop: TestShop) {
        shop.anonymous().post("/auth/register", ada()).await;
        let hash = stored_hash(&shop, "ada@example.com").await;
        let (memory, passes) = parameters(&hash);
        assert!(memory >= 19_456 && passes >= 2 && hash.contains(",p=1$"), "{hash}");
        assert!(!hash.contains(PASSWORD));

        let twin = json!({ "email": "twin@example.com", "password": PASSWORD, "name": "Twin" });
        shop.anonymous().post("/auth/register", twin).await;
        assert_ne!(stored_hash(&shop, "twin@example.com").await, hash, "salted");
    }

    async fn a_weak_hash_is_replaced_at_login(shop: TestShop) {
        for (index, weak) in WEAK_HASHES.into_iter().enumerate() {
            let email = format!("old{index}@example.com");
            register_with_hash(&shop, &email, weak).await;

            let wrong = log_in(&shop.anonymous(), &email, "wrong horse battery").await;
            wrong.assert_problem(401, "invalid-credentials");
            assert_eq!(stored_hash(&shop, &email).await, weak);

            for _ in 0..2 {
                assert_eq!(log_in(&shop.anonymous(), &email, PASSWORD).await.status, 200);
            }
            let (memory, passes) = parameters(&stored_hash(&shop, &email).await);
            assert!(memory >= 19_456 && passes >= 2);
        }
    }

    async fn a_login_with_an_unknown_address_hashes_the_password_as_well(shop: TestShop) {
        shop.customer("ada").await;
        let held = shop.block_hash_pool().await;
        let busy = shop.app.hash_pool.busy();
        let shop = Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for email in ["ada@example.com", "nobody@example.com"] {
            let shop = Arc::clone(&shop);
            all.spawn(async move { log_in(&shop.anonymous(), email, "wrong horse battery").await });
        }
        // Both wait for a hashing thread.
        while shop.app.hash_pool.busy() < busy + 2 {
            assert!(all.try_join_next().is_none(), "a response without a hash");
            tokio::task::yield_now().await;
        }
        drop(held);
        for answer in all.join_all().await {
            answer.assert_problem(401, "invalid-credentials");
        }
    }

    async fn logins_fail_while_the_hash_queue_is_full(shop: TestShop) {
        shop.customer("ada").await;
        let held = shop.block_hash_pool().await;
        let shop = Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..400 {
            let shop = Arc::clone(&shop);
            all.spawn(async move { log_in(&shop.anonymous(), "nobody@example.com", PASSWORD).await });
        }
        let rejected = all.join_next().await.unwrap().unwrap();
        rejected.assert_problem(503, "unavailable");
        assert!(rejected.header("retry-after").is_some());
        assert_eq!(shop.anonymous().get("/products").await.status, 200);
        all.abort_all();
        drop(held);
    }

    async fn a_huge_password_is_rejected_before_hashing(shop: TestShop) {
        shop.customer("ada").await;
        let huge = "x".repeat(200_000);
        // While all hashing threads are blocked, only requests without a hash get a response.
        let _held = shop.block_hash_pool().await;
        let body = json!({ "email": "eve@example.com", "password": huge, "name": "Eve" });
        shop.anonymous().post("/auth/register", body).await.assert_invalid_field("password");
        log_in(&shop.anonymous(), "ada@example.com", &huge).await.assert_invalid_field("password");
    }

    async fn new_passwords_must_meet_the_rules(shop: TestShop) {
        let anonymous = shop.anonymous();
        let register = async |email: &str, password: Value| {
            let body = json!({ "email": email, "password": password, "name": "Ada" });
            anonymous.post("/auth/register", body).await
        };
        for wrong in [
            json!(""), json!("1234567"), json!("x".repeat(129)), json!(12_345_678), json!(null),
            json!(["correct horse"]), json!("my lovelace!"), json!("LOVELACE 1815"),
            json!("\u{ff2c}ovelace 1815"),
            // Common passwords, in any case and from any input method.
            json!("password"), json!("Password1"), json!("QWERTYUIOP"),
            json!("\u{ff50}\u{ff41}\u{ff53}\u{ff53}\u{ff57}\u{ff4f}\u{ff52}\u{ff44}"),
        ] {
            register("Lovelace@example.com", wrong).await.assert_invalid_field("password");
        }
        // Passwords and addresses are compared case-insensitively in the same way.
        register("Καφές@example.com", json!("ο ΚΑΦΈΣ μου")).await.assert_invalid_field("password");
        // Lengths are counted in characters. A local part of two letters is too short for the check.
        assert_eq!(register("a1@example.com", json!("ééééüüü\u{1f511}")).await.status, 201);
        assert_eq!(register("a2@example.com", json!("y".repeat(128))).await.status, 201);
        assert_eq!(register("ad@example.com", json!("a sad badger")).await.status, 201);

        // All input methods produce the same password.
        assert_eq!(register("a3@example.com", json!("ｆｕｌｌ ｗｉｄｔｈ cafe\u{301}")).await.status, 201);
        let typed = log_in(&anonymous, "a3@example.com", "full width caf\u{e9}").await;
        assert_eq!(typed.status, 200);
    }

    async fn a_rejected_registration_names_the_invalid_field(shop: TestShop) {
        let wrong = [
            ("name", json!("")), ("name", json!("   ")), ("name", json!("n".repeat(201))),
            ("name", json!("Ada\r\nBcc: all@example.com")), ("name", json!("A\u{0}da")),
            ("name", json!(7)),
            ("email", json!("")), ("email", json!("ada")), ("email", json!("ada@localhost")),
            ("email", json!("ada@@example.com")), ("email", json!("a da@example.com")),
            ("email", json!("ada@exa mple.com")), ("email", json!("ada@example.com\r\nBcc: x@y.com")),
            ("email", json!("a,b@example.com")), ("email", json!("<ada@example.com>")),
            ("email", json!(".ada@example.com")), ("email", json!("a..b@example.com")),
            ("email", json!("ada@-example.com")), ("email", json!("ada@example..com")),
            ("email", json!("a\u{200b}da@example.com")), ("email", json!("a\u{ad}da@example.com")),
            ("email", json!("\u{202e}ada@example.com")),
            ("email", json!(format!("{}@example.com", "a".repeat(65)))), ("email", json!(null)),
        ];
        for (field, value) in wrong {
            let mut body = ada();
            body[field] = value.clone();
            let answer = shop.anonymous().post("/auth/register", body).await;
            assert_eq!(answer.status, 422, "{value}: {answer:?}");
            answer.assert_invalid_field(field);
        }
        for field in ["name", "email", "password"] {
            let mut body = ada();
            body.as_object_mut().unwrap().remove(field);
            let answer = shop.anonymous().post("/auth/register", body).await;
            answer.assert_invalid_field(field);
            assert_eq!(answer.text("/errors/0/code"), "required");
        }

        let named = json!({ "email": "n@example.com", "password": PASSWORD, "name": " 花子 O’Neil " });
        let registered = shop.anonymous().post("/auth/register", named).await;
        assert_eq!(registered.text("/user/name"), "花子 O’Neil");
    }

    async fn the_last_admin_cannot_be_demoted(shop: TestShop) {
        let admin = shop.admin().await;
        let refused = set_role(&shop, "admin@example.com", Role::Customer).await.unwrap_err();
        assert_eq!(refused.kind(), shop::core::error::Kind::Conflict("last-admin"));
        assert_eq!(admin.get("/admin/orders").await.status, 200);
    }
}
