//! The store of pictures: colours, smaller widths, what is removed from it and when, and uploads that mean
//! harm.

mod cloudinary;
mod colors;
mod crafted;
mod hostile;
mod incomplete;
mod memory;
mod orientation;
mod removals;
mod s3;
mod widths;

use std::collections::BTreeSet;

use http::Method;

use crate::support::{Answer, Client, Form, Process, Remote, TestShop};

/// A product with these pictures, made by the admin.
async fn product(admin: &Client<'_>, files: &[&[u8]]) -> Answer {
    let form = Form::default().text("name", "Kettle").text("price", "500");
    let form = files.iter().fold(form, |form, file| form.image(file));
    admin.upload(Method::POST, "/products", &[], form).await
}

/// The token of an admin at a program of its own, which goes by the machine's clock.
async fn admin_of(shop: &TestShop, process: &Process) -> String {
    shop.admin().await;
    let admin = Remote::new(process).signed_in("admin").await;
    admin.token.unwrap()
}

/// The path of a product's picture, where the shop serves it.
fn path(product: &Answer, index: usize) -> String {
    let url = product.text(&format!("/images/{index}/url"));
    url.strip_prefix("http://shop.test").unwrap().to_owned()
}

/// The names of the files that are kept.
fn files(shop: &TestShop) -> BTreeSet<String> {
    let directory = shop.directory.path().join("images");
    let names = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}
