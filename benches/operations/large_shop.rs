//! A shop whose database and images have a given size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    files::{files_in, total_size},
    support::{
        Rng,
        checkout::{fill_stock, seed},
        copied_orders::copy_orders,
    },
};

pub(crate) const CUSTOMERS: usize = 64;

/// Orders that the program itself creates. The others are copies.
const ORDERS: usize = 1000;

/// About how many bytes a copy of all of them takes in the database.
const BYTES_PER_COPY: i64 = 1_350_000;

/// The size of an image in bytes: about that of a photo of 1600 pixels.
const IMAGE_SIZE: usize = 200_000;

pub(crate) struct LargeShop {
    pub(crate) home: PathBuf,
    pub(crate) password: String,
}

impl LargeShop {
    /// Creates a shop. Half of its size is the database, and half are images.
    pub(crate) fn create(home: &Path, megabytes: i64) -> LargeShop {
        let half = megabytes * 1_000_000 / 2;
        let password = seed(home, 10_000, CUSTOMERS, ORDERS, &[]);
        let shop = LargeShop {
            home: home.to_owned(),
            password,
        };
        copy_orders(&shop.database(), half / BYTES_PER_COPY);
        fill_stock(&shop.database());
        add_images(&shop, half);
        let files = shop.files();
        println!(
            "a shop of {} MB: the database has {} MB, and {} images the rest",
            total_size(&files) / 1_000_000,
            total_size(&[shop.database()]) / 1_000_000,
            files.len() - 1,
        );
        shop
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.join("shop.db")
    }

    /// Returns the database and the images.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.database()];
        files.extend(files_in(&self.home.join("images")));
        files
    }
}

/// Adds files of random bytes, which shrink as little as a photo, as images of one product.
fn add_images(shop: &LargeShop, size: i64) {
    let connection = rusqlite::Connection::open(shop.database()).expect("the file opens");
    let mut rng = Rng(7);
    let mut left = size;
    connection.execute("BEGIN", []).expect("a transaction");
    while left > 0 {
        let id = rng.hex_key();
        let name = format!("{id}.jpg");
        connection
            .prepare_cached(
                "INSERT INTO product_images (id, product_id, position, image_key, content_type, width, height)
                 SELECT unhex(?1), min(id), ?2, ?3, 'image/jpeg', 1600, 1200 FROM products",
            )
            .and_then(|mut insert| insert.execute((&id, left, &name)))
            .expect("an image");
        let image = rng.bytes(IMAGE_SIZE);
        fs::write(shop.home.join("images").join(name), &image).expect("a file");
        left -= i64::try_from(image.len()).expect("a size");
    }
    connection.execute("COMMIT", []).expect("a commit");
}
