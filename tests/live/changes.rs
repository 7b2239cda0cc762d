//! Live inventory in pages.

use serde_json::{Value, json};

use super::change_stock;
use crate::support::{TestShop, live::ReceivedUpdates, live::Served, storage_test};

async fn changes(shop: &TestShop, query: &str) -> Value {
    let page = shop
        .anonymous()
        .get(&format!("/inventory/changes{query}"))
        .await;
    assert_eq!(page.status, 200, "{page:?}");
    page.json()
}

storage_test! {
    async fn pages_have_the_messages_of_a_socket(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        assert_eq!(changes(&shop, "").await, json!({ "data": [], "nextAfter": 1 }), "from now on");
        for _ in 0..6 {
            ada.place_order(&kettle, 1).await;
        }
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("?since=1").await;
        let sent = listener.receive_up_to(7).await;

        assert_eq!(changes(&shop, "?after=1").await, json!({ "data": sent, "nextAfter": 7 }));
        let first = changes(&shop, "?after=1&limit=4").await;
        assert_eq!(first, json!({ "data": sent[..4], "nextAfter": 5 }));
        let second = changes(&shop, "?after=5&limit=4").await;
        assert_eq!(second, json!({ "data": sent[4..], "nextAfter": 7 }));
        assert_eq!(changes(&shop, "?after=7").await, json!({ "data": [], "nextAfter": 7 }));
        served.stopped().await;
    }

    async fn a_page_includes_every_acknowledged_change(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let admin = shop.admin().await;
        let mut received = ReceivedUpdates::since(1);
        for stock in (80..100).rev() {
            change_stock(&admin, &kettle, -1).await;
            let page = changes(&shop, &format!("?after={}", received.seq)).await;
            for update in page["data"].as_array().unwrap() {
                received.record(update.clone());
            }
            assert_eq!(page["nextAfter"], received.seq);
            assert_eq!(received.stock[&kettle], stock);
        }
    }

    async fn a_page_requires_a_resync_if_changes_are_missing(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let admin = shop.admin().await;
        change_stock(&admin, &kettle, -1).await;
        change_stock(&admin, &kettle, -1).await;
        let resync = json!({ "data": [{ "type": "RESYNC", "seq": 3 }], "nextAfter": 3 });
        for nowhere in [4, i64::MAX, -1, i64::MIN] {
            assert_eq!(changes(&shop, &format!("?after={nowhere}")).await, resync, "{nowhere}");
        }
        shop.app.db.flush_events().await.unwrap();
        shop.raw_db().run("DELETE FROM events WHERE seq = 1");
        assert_eq!(changes(&shop, "?after=0").await, resync, "deleted");
        assert_eq!(changes(&shop, "?after=1").await["nextAfter"], 3);
        for nonsense in ["?after=new", "?since=1", "?limit=0", "?limit=101"] {
            let refused = shop.anonymous().get(&format!("/inventory/changes{nonsense}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }
}
