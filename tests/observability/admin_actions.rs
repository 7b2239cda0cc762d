//! The lines for what admins change.

use serde_json::json;

use super::{Logged, events};
use crate::support::{Remote, storage_test};

storage_test! {
    async fn each_change_by_an_admin_is_logged(site: Site) {
        let server = Logged::start(&site, &[("SHOP_LOG", "info"), ("SHOP_LOG_FORMAT", "json")]);
        let customer = Remote::new(&server.process).registered("ada").await;
        assert_eq!(customer.post("/categories", &json!({ "name": "Books" })).await.status, 403);
        let promoted = site.run(&["admin", "user", "role", "ada@example.com", "ADMIN"]);
        assert!(promoted.status.success(), "{promoted:?}");
        let admin = Remote::new(&server.process).signed_in("ada").await;
        let created = admin.post("/categories", &json!({ "name": "Books" })).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(admin.post("/categories", &json!({ "name": "Books" })).await.status, 409);
        let me = admin.get("/me").await.text("/id");

        let actions = events(&server.stop(), "shop::admin");
        let [action] = &actions[..] else { panic!("{actions:?}") };
        let fields = &action["fields"];
        assert_eq!((&action["level"], &fields["user"]), (&json!("INFO"), &json!(me)));
        assert_eq!(fields["request_id"], created.header("x-request-id").unwrap());
        assert!(fields["operation"].as_str().unwrap().starts_with("catalog."), "{fields}");
    }
}
