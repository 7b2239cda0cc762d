//! Product images: colours, orientation, thumbnails, deletion, the image stores, and hostile uploads.

mod cloudinary;
mod colors;
mod crafted;
mod deletions;
mod hostile;
mod incomplete;
mod memory;
mod orientation;
mod s3;
mod thumbnails;

use std::collections::BTreeSet;

use http::Method;

use crate::support::{Client, Form, Process, Remote, TestResponse, TestShop};

/// Creates a product with these images.
async fn product(admin: &Client<'_>, files: &[&[u8]]) -> TestResponse {
    let form = Form::default().text("name", "Kettle").text("price", "500");
    let form = files.iter().fold(form, |form, file| form.image(file));
    admin.upload(Method::POST, "/products", &[], form).await
}

/// Returns an admin's access token for a server process, which uses the system clock.
async fn admin_of(shop: &TestShop, process: &Process) -> String {
    shop.admin().await;
    let admin = Remote::new(process).signed_in("admin").await;
    admin.token.unwrap()
}

/// Returns the path of a product's image that the shop serves.
fn path(product: &TestResponse, index: usize) -> String {
    let url = product.text(&format!("/images/{index}/url"));
    url.strip_prefix("http://shop.test").unwrap().to_owned()
}

/// Returns the file names in the local image store.
fn files(shop: &TestShop) -> BTreeSet<String> {
    let directory = shop.directory.path().join("images");
    let names = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}
