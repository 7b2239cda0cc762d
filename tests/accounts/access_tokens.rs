//! Forged, expired and misplaced access tokens.

use std::time::Duration;

use serde_json::{Value, json};

use super::PASSWORD;
use crate::support::{TestShop, claims_of, forge, storage_test};

const KEY: &str = "a key that only this shop and its tests know";

/// Returns a shop with a known key, the claims of a valid token, and a valid header.
async fn shop_with_known_key(shop: &TestShop) -> (TestShop, Value, Value) {
    let shop = shop
        .with_settings(&[("jwt_secret", KEY), ("rate_limit", "off")])
        .await;
    let token = shop.customer("ada").await.token.unwrap();
    (
        shop,
        claims_of(&token),
        json!({ "alg": "HS256", "typ": "JWT" }),
    )
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

storage_test! {
    async fn forged_tokens_are_rejected(shop: TestShop) {
        let (shop, claims, header) = shop_with_known_key(&shop).await;
        let valid = forge(&header, &claims, KEY.as_bytes());
        assert_eq!(shop.bearer(&valid).get("/me").await.status, 200);

        let (signed, signature) = valid.rsplit_once('.').unwrap();
        let (_, payload) = signed.split_once('.').unwrap();
        let mut forged = vec![
            String::new(),
            "null".to_owned(),
            signed.to_owned(),
            format!("{signed}."),
            format!("{valid}.{signature}"),
            format!(".{payload}.{signature}"),
            format!("{signed}.{}", signature.chars().rev().collect::<String>()),
            forge(&header, &claims, b"another key, which is long enough too"),
            forge(&header, &claims, b""),
            forge(&json!({ "typ": "JWT" }), &claims, KEY.as_bytes()),
        ];
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            let token = forge(&json!({ "alg": alg, "typ": "JWT" }), &claims, KEY.as_bytes());
            let (unsigned, _) = token.rsplit_once('.').unwrap();
            forged.extend([format!("{unsigned}."), unsigned.to_owned(), token]);
        }
        for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", "A128KW"] {
            forged.push(forge(&json!({ "alg": alg, "typ": "JWT" }), &claims, KEY.as_bytes()));
        }
        let own_key = "a key that the forger brings along with it";
        let brought = json!({ "kty": "oct", "alg": "HS256", "kid": "mine",
            "k": "YSBrZXkgdGhhdCB0aGUgZm9yZ2VyIGJyaW5ncyBhbG9uZyB3aXRoIGl0" });
        for trick in [
            json!({ "kid": "../../../dev/null" }),
            json!({ "kid": "' UNION SELECT 'a key that the forger brings along with it' --" }),
            json!({ "kid": "mine", "jwk": brought }),
            json!({ "kid": "mine", "jku": "https://evil.example/keys.json" }),
            json!({ "x5u": "https://evil.example/chain.pem" }),
            json!({ "zip": "DEF" }),
        ] {
            let mut header = header.clone();
            header.as_object_mut().unwrap().extend(trick.as_object().unwrap().clone());
            forged.extend([own_key, ""].map(|key| forge(&header, &claims, key.as_bytes())));
        }
        // Correctly signed, but with critical extensions that are not supported.
        for critical in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!(["exp", 1])] {
            let mut header = header.clone();
            header["crit"] = critical;
            header["b64"] = json!(false);
            forged.push(forge(&header, &claims, KEY.as_bytes()));
        }
        for token in forged {
            let answer = shop.bearer(&token).get("/me").await;
            assert_eq!(answer.status, 401, "{token}");
            answer.assert_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }

    async fn a_token_is_accepted_in_the_authorization_header_only(shop: TestShop) {
        let token = shop.customer("ada").await.token.unwrap();
        let anonymous = shop.anonymous();
        let me = async |headers: &[(&str, &str)]| {
            anonymous.raw(http::Method::GET, "/me", headers, "").await.status
        };
        let (bearer, small) = (format!("Bearer {token}"), format!("bearer {token}"));
        assert_eq!(me(&[("authorization", &bearer)]).await, 200);
        assert_eq!(me(&[("authorization", &small)]).await, 200);

        assert_eq!(me(&[("authorization", &bearer), ("authorization", &bearer)]).await, 401);
        assert_eq!(me(&[("authorization", &token)]).await, 401);
        assert_eq!(me(&[("authorization", &format!("Basic {token}"))]).await, 401);
        assert_eq!(me(&[("cookie", &format!("accessToken={token}"))]).await, 401);
        assert_eq!(me(&[("x-access-token", &token)]).await, 401);
        assert_eq!(anonymous.get(&format!("/me?access_token={token}")).await.status, 401);
    }

    async fn tokens_with_wrong_claims_are_rejected(shop: TestShop) {
        let (shop, claims, header) = shop_with_known_key(&shop).await;
        let now = shop.app.clock.now().seconds();
        let other = claims_of(&shop.customer("bob").await.token.unwrap());
        let unknown = "01900000-0000-7000-8000-000000000000";
        let me = async |claims: Value| {
            let token = forge(&header, &claims, KEY.as_bytes());
            shop.bearer(&token).get("/me").await.status
        };
        for valid in [
            claims.clone(),
            with(&claims, "exp", json!(now + 1)),
            with(&claims, "nbf", json!(now)),
        ] {
            assert_eq!(me(valid.clone()).await, 200, "{valid}");
        }
        for wrong in [
            with(&claims, "exp", json!(now - 6)),
            with(&claims, "exp", json!(0)),
            with(&claims, "exp", json!((now + 60).to_string())),
            without(&claims, "exp"),
            with(&claims, "nbf", json!(now + 6)),
            with(&claims, "iss", json!("another-shop")),
            without(&claims, "iss"),
            with(&claims, "aud", json!("another-shop")),
            with(&claims, "aud", json!(["another-shop"])),
            without(&claims, "aud"),
            with(&claims, "sub", other["sub"].clone()),
            with(&claims, "sub", json!("ada")),
            without(&claims, "sub"),
            with(&claims, "sid", other["sid"].clone()),
            with(&claims, "sid", json!(unknown)),
            without(&claims, "sid"),
            json!({}),
        ] {
            assert_eq!(me(wrong.clone()).await, 401, "{wrong}");
        }
    }

    async fn a_token_expires(shop: TestShop) {
        let ada = shop.customer("ada").await;
        shop.advance_clock(Duration::from_secs(15 * 60 - 1));
        assert_eq!(ada.get("/me").await.status, 200);
        shop.advance_clock(Duration::from_secs(1 + 6));
        ada.get("/me").await.assert_problem(401, "unauthorized");
    }

    async fn access_and_refresh_tokens_are_not_interchangeable(shop: TestShop) {
        shop.customer("ada").await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let signed_in = shop.anonymous().post("/auth/login", body).await;
        let (access, refresh) = (signed_in.text("/accessToken"), signed_in.text("/refreshToken"));
        shop.bearer(&refresh).get("/me").await.assert_problem(401, "unauthorized");
        let body = json!({ "refreshToken": access });
        shop.anonymous().post("/auth/refresh", body).await.assert_problem(401, "invalid-token");
        assert_eq!(shop.bearer(&access).get("/me").await.status, 200);
    }

    async fn sessions_survive_a_key_rotation(shop: TestShop) {
        let (old, new) = ("the old key of a shop: long enough", "the new key of a shop: long enough");
        let both = format!("{new},{old}");
        let shop = shop.with_settings(&[("jwt_secret", &both), ("rate_limit", "off")]).await;
        let claims = claims_of(&shop.customer("ada").await.token.unwrap());
        let token = forge(&json!({ "alg": "HS256", "typ": "JWT" }), &claims, old.as_bytes());
        assert_eq!(shop.bearer(&token).get("/me").await.status, 200);
    }
}
