//! Checkout in a shop with many orders, as a ratio to a shop with few.

use std::path::Path;

use crate::support::{
    Measurement, Server,
    checkout::{Customers, fill_stock, seed},
    copied_orders::copy_orders,
    median,
    results::Row,
};

const CUSTOMERS: usize = 64;
const ORDERS: usize = 1000;
const COPIES: i64 = 999;

pub(crate) async fn compare(directory: &Path) {
    let mut shops = [
        Shop::start(&directory.join("few-orders"), 0).await,
        Shop::start(&directory.join("many-orders"), COPIES).await,
    ];
    let (mut ratios, mut few, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=super::ROUNDS {
        let mut measured = Vec::new();
        for shop in &mut shops {
            let pause = tokio::time::sleep(super::SHOP_DURATION);
            let ((), measurement) = shop.customers.check_out_during(pause).await;
            measured.push(measurement);
        }
        let rates = [measured[0].per_second, measured[1].per_second];
        println!("round {round}: {:.0} and {:.0} units/s", rates[0], rates[1]);
        ratios.push(rates[1] / rates[0]);
        many.extend(measured.pop());
        few.push(rates[0]);
    }
    let (ratio, rate) = (median(ratios), median(few));
    println!("checkout with a million orders: {ratio:.2} × the rate with {ORDERS}");
    Row::ratio(
        format!("checkout with a million orders × {ORDERS} orders"),
        ratio,
        format!("{rate:.0}/s"),
    )
    .with(&Measurement::median(&many))
    .at_least(0.8)
    .record();
}

struct Shop {
    customers: Customers,
    _server: Server,
}

impl Shop {
    async fn start(home: &Path, copies: i64) -> Shop {
        let password = seed(home, 10_000, CUSTOMERS, ORDERS, &[]);
        if copies > 0 {
            copy_orders(&home.join("shop.db"), copies);
        }
        fill_stock(&home.join("shop.db"));
        let server = Server::shop(home);
        Shop {
            customers: Customers::sign_in(&server.address, CUSTOMERS, &password).await,
            _server: server,
        }
    }
}
