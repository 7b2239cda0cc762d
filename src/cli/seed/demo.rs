//! The sample data of `shop serve --demo`.

use std::sync::Arc;

use super::{
    products::create_products,
    users::{create_user, generate_password},
};
use crate::{
    app::App,
    core::{
        audit::{Action, Actor, Changes},
        error::{Error, Kind, Result},
    },
    domain::{
        accounts::{self, Email, Role},
        catalog,
    },
};

const PRODUCTS: u64 = 60;

const USERS: [(&str, &str, Role); 2] = [
    ("admin@example.com", "Asha Admin", Role::Admin),
    ("customer@example.com", "Chetan Customer", Role::Customer),
];

/// Fills a demo shop if it is empty, and gives its users new passwords. Returns each email address with its
/// password.
pub(in crate::cli) async fn fill_demo(app: &Arc<App>) -> Result<Vec<(String, String)>> {
    let is_empty = app
        .db
        .read("catalog.categories", catalog::categories)
        .await?
        .is_empty();
    if is_empty {
        app.db
            .write("demo.audit", |tx| {
                tx.set_actor(Arc::new(Actor::system()));
                let changes = || Changes::none().with("products", PRODUCTS);
                tx.audit(Action::ShopSeed, None, changes)
            })
            .await?;
        create_products(app, PRODUCTS).await?;
    }
    let mut credentials = Vec::new();
    for (email, name, role) in USERS {
        let (password, hash) = generate_password(app).await?;
        let address = Email::parse(email).map_err(Error::internal)?;
        let new_hash = hash.clone();
        let exists = app
            .db
            .write("demo.password", move |tx| {
                tx.set_actor(Arc::new(Actor::system()));
                match accounts::user_by_email(tx, &address) {
                    Ok(user) => accounts::set_password(tx, user.id, &new_hash).map(|()| true),
                    Err(error) if error.kind() == Kind::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await?;
        if !exists {
            create_user(app, email, name, role, hash).await?;
        }
        credentials.push((email.to_owned(), password));
    }
    Ok(credentials)
}
