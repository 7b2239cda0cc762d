//! Checkouts while the WAL is archived.

use std::{path::Path, time::Duration};

use crate::{
    comparison::{Goals, compare},
    files::{files_in, total_size},
    server,
    support::{
        Server,
        checkout::{Customers, fill_stock, seed},
    },
};

const ROUNDS: usize = 5;
const DURATION: Duration = Duration::from_secs(10);

/// The numbers of customers, falling.
const CUSTOMERS: [usize; 2] = [64, 16];

pub(crate) async fn measure(root: &Path) {
    std::fs::create_dir_all(root).expect("a directory");
    let mut with = Shop::start(root, "with", "on").await;
    let mut without = Shop::start(root, "without", "off").await;
    let goals = Goals {
        rate: Some(0.95),
        ..Goals::default()
    };
    for count in CUSTOMERS {
        with.customers.keep(count);
        without.customers.keep(count);
        let name = format!("archive: {count} customers check out");
        compare(&name, &goals, ROUNDS, async |is_on| {
            let shop = if is_on { &mut with } else { &mut without };
            let pause = tokio::time::sleep(DURATION);
            shop.customers.check_out_during(pause).await.1
        })
        .await;
    }
    let archived = |name: &str| total_size(&files_in(&root.join(name).join("place")));
    let (with_wal, without_wal) = (archived("with"), archived("without"));
    println!("archive: the backup place has {with_wal} bytes, without the WAL {without_wal}");
    assert!(with_wal > without_wal, "nothing was archived");
}

struct Shop {
    customers: Customers,
    /// Runs until the value is dropped.
    _server: Server,
}

impl Shop {
    /// Starts a shop with a backup place on the same disk.
    async fn start(root: &Path, name: &str, archiving: &str) -> Shop {
        let home = root.join(name).join("shop");
        let place = root.join(name).join("place");
        std::fs::create_dir_all(&place).expect("a directory");
        let password = seed(&home, 10_000, CUSTOMERS[0], 0, &[]);
        fill_stock(&home.join("shop.db"));
        let environment = [
            ("SHOP_BACKUP_URL", place.display().to_string()),
            ("SHOP_BACKUP_WAL", archiving.to_owned()),
        ];
        let server = server::start(&home, &environment);
        let customers = Customers::sign_in(&server.address, CUSTOMERS[0], &password).await;
        Shop {
            customers,
            _server: server,
        }
    }
}
