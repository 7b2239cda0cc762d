//! Live inventory across instances: every listener receives the same events in the same order.

use std::sync::atomic::{AtomicI64, Ordering};

use shop::core::rng::Rng;

use crate::support::{
    Client, TestShop,
    live::{ReceivedUpdates, Served},
    postgres_test,
};

/// Adds two instances.
async fn three(shop: TestShop) -> [TestShop; 3] {
    let (second, third) = (shop.another_instance().await, shop.another_instance().await);
    [shop, second, third]
}

async fn serve(shops: &[TestShop]) -> Vec<Served> {
    let mut served = Vec::new();
    for shop in shops {
        served.push(Served::start(shop).await);
    }
    served
}

async fn stop(served: Vec<Served>) {
    for one in served {
        one.stopped().await;
    }
}

/// Returns `count` customers with one item in the cart, spread over the instances.
async fn customers<'a>(shops: &'a [TestShop], product: &str, count: usize) -> Vec<Client<'a>> {
    let mut customers = Vec::new();
    for number in 0..count {
        let shop = &shops[number % shops.len()];
        let customer = shop.customer(&format!("customer{number}")).await;
        customer.add_to_cart(product, 1).await;
        customers.push(customer);
    }
    customers
}

async fn all_check_out(customers: &[Client<'_>]) {
    let placed = futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
    for answer in placed {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

postgres_test! {
    async fn an_order_on_one_instance_is_published_on_all(shop: TestShop) {
        let shops = three(shop).await;
        let kettle = shops[0].product("Kettle", 129_900, 100).await;
        let ada = shops[0].customer("ada").await;
        let served = serve(&shops).await;
        let mut listeners = Vec::new();
        for one in &served {
            let (listener, greeting) = one.listen("").await;
            assert_eq!(greeting["seq"], 1);
            listeners.push((listener, ReceivedUpdates::since(1)));
        }
        for number in 1..=6 {
            let ada = ada.on(&shops[number % 3]);
            ada.place_order(&kettle, 2).await;
            let number = i64::try_from(number).unwrap();
            for (listener, received) in &mut listeners {
                listener.follow(received, 1 + number).await;
                assert_eq!(received.stock[&kettle], 100 - 2 * number);
            }
        }
        stop(served).await;
    }

    async fn orders_on_all_instances_are_published_in_one_order(shop: TestShop) {
        let shops = three(shop).await;
        let kettle = shops[0].product("Kettle", 129_900, 100).await;
        let customers = customers(&shops, &kettle, 30).await;
        let served = serve(&shops).await;
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push(one.listen("").await.0);
        }
        all_check_out(&customers).await;
        let mut all_received = Vec::new();
        for listener in &mut listeners {
            let mut received = ReceivedUpdates::since(1);
            listener.follow(&mut received, 31).await;
            assert_eq!(received.updates.len(), 30, "one update per order");
            all_received.push(received);
        }
        assert_eq!((&all_received[1], &all_received[2]), (&all_received[0], &all_received[0]));
        let left = all_received[0].updates.iter().map(|update| &update["products"][0]["stockQuantity"]);
        let left: Vec<_> = left.map(|left| left.as_i64().unwrap()).collect();
        assert_eq!(left, (70..100).rev().collect::<Vec<_>>(), "the stock after each order");
        stop(served).await;
    }

    async fn a_listener_resumes_on_another_instance(shop: TestShop) {
        let shops = three(shop).await;
        let kettle = shops[0].product("Kettle", 129_900, 1000).await;
        let customers = customers(&shops, &kettle, 12).await;
        let served = serve(&shops).await;
        let rng = Rng::seeded(11);
        let mut received = ReceivedUpdates::since(1);
        let ordering = async {
            for _ in 0..10 {
                all_check_out(&customers).await;
                let next = customers.iter().map(|customer| customer.add_to_cart(&kettle, 1));
                futures_util::future::join_all(next).await;
            }
        };
        let listening = async {
            for turn in 1.. {
                let mut listener = served[turn % 3].resume(&received).await;
                let until = received.seq + i64::try_from(1 + rng.below(9)).unwrap();
                while received.seq < until.min(121) {
                    received.record(listener.receive().await);
                }
                listener.leave().await;
                if received.seq == 121 {
                    break;
                }
            }
        };
        tokio::join!(ordering, listening);
        assert_eq!(received.stock[&kettle], 880);

        // Replay from the beginning on each instance.
        for one in &served {
            let mut again = ReceivedUpdates::default();
            one.resume(&again).await.follow(&mut again, 121).await;
            assert_eq!(again.stock, received.stock);
        }
        stop(served).await;
    }

    async fn a_greeting_covers_orders_acknowledged_by_any_instance(shop: TestShop) {
        let shops = three(shop).await;
        let kettle = shops[0].product("Kettle", 129_900, 1000).await;
        let ada = shops[0].customer("ada").await;
        let served = serve(&shops).await;
        for acknowledged in 2..20_usize {
            ada.on(&shops[acknowledged % 3]).place_order(&kettle, 1).await;
            let (listener, greeting) = served[(acknowledged + 1) % 3].listen("").await;
            assert_eq!(greeting["type"], "HELLO");
            assert_eq!(greeting["seq"], acknowledged);
            listener.leave().await;
        }

        // The same under concurrent orders.
        let acknowledged = AtomicI64::new(19);
        let customers = customers(&shops, &kettle, 9).await;
        let shopping = customers.iter().enumerate().map(|(number, customer)| {
            let (shops, served, acknowledged, kettle) = (&shops, &served, &acknowledged, &kettle);
            async move {
                for turn in 0..6 {
                    let at = number + turn;
                    let answer = customer.on(&shops[at % 3]).checkout().await;
                    assert_eq!(answer.status, 201, "{answer:?}");
                    let min = acknowledged.fetch_add(1, Ordering::SeqCst) + 1;
                    let (listener, greeting) = served[(at + 1 + turn % 2) % 3].listen("").await;
                    let position = greeting["seq"].as_i64().unwrap();
                    assert!(position >= min, "{position}, but {min} were acknowledged");
                    listener.leave().await;
                    customer.add_to_cart(kettle, 1).await;
                }
            }
        });
        futures_util::future::join_all(shopping).await;
        stop(served).await;
    }

    async fn a_new_instance_replays_earlier_events(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        for _ in 0..5 {
            ada.place_order(&kettle, 1).await;
        }
        let late = shop.another_instance().await;
        let served = Served::start(&late).await;
        let mut received = ReceivedUpdates::since(2);
        let mut listener = served.resume(&received).await;
        listener.follow(&mut received, 6).await;
        assert_eq!(received.updates.len(), 4);
        // The first instance stops; no event is lost.
        let last = ada.place_order(&kettle, 1).await;
        shop.app.stopping.cancel();
        shop.app.db.close().await;
        listener.follow(&mut received, 7).await;
        assert_eq!(received.updates[4]["at"], last["createdAt"]);
        ada.on(&late).place_order(&kettle, 1).await;
        listener.follow(&mut received, 8).await;
        assert_eq!(received.stock[&kettle], 93);
        served.stopped().await;
    }
}
