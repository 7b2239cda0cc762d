//! What somebody who speaks to a shop knows of it: from its answers alone.

use std::fmt;

use http::Method;
use serde_json::Value;

use crate::{
    conformance::rng::{Dice, percent},
    support::Answer,
};

/// A request as it goes to both shops.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Whether the provider's signature of the body is to be among the headers.
    pub(super) signed: bool,
}

impl Request {
    /// Under `/api/v1`.
    pub(super) fn new(method: Method, path: &str) -> Request {
        Request {
            method,
            path: format!("/api/v1{path}"),
            headers: Vec::new(),
            body: Vec::new(),
            signed: false,
        }
    }

    /// At the root, beside the API.
    pub(super) fn outside(path: &str) -> Request {
        Request {
            path: path.to_owned(),
            ..Request::new(Method::GET, "")
        }
    }

    pub(super) fn get(path: &str) -> Request {
        Request::new(Method::GET, path)
    }

    pub(super) fn by(self, token: &str) -> Request {
        self.with("authorization", format!("Bearer {token}"))
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn json(self, body: impl Into<Vec<u8>>) -> Request {
        self.with("content-type", "application/json").body(body)
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
        }
        write!(f, "\n{}", self.body.escape_ascii())
    }
}

/// Somebody with an account.
pub(super) struct User {
    pub(super) id: String,
    pub(super) token: String,
    /// The cart, as it was shown last: its products and what they come to.
    pub(super) cart: (Vec<String>, i64),
}

pub(super) struct Category {
    pub(super) id: String,
    pub(super) slug: String,
}

pub(super) struct Product {
    pub(super) id: String,
    /// Every `ETag` that was seen, the last one last.
    pub(super) tags: Vec<String>,
    /// Its pictures: id and URL.
    pub(super) images: Vec<(String, String)>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    /// The first two are admins.
    pub(super) users: Vec<User>,
    pub(super) categories: Vec<Category>,
    pub(super) products: Vec<Product>,
    /// As they were placed.
    pub(super) orders: Vec<Value>,
    /// The ids that the last list of payments showed.
    pub(super) payments: Vec<String>,
    pub(super) refresh_tokens: Vec<String>,
    /// Access tokens that came by login and refresh; most of them have ended.
    pub(super) loose_tokens: Vec<String>,
    /// What links in mails carried, to prove an address and to set a password.
    pub(super) proofs: Vec<String>,
    pub(super) resets: Vec<String>,
    /// What was sent to phones.
    pub(super) codes: Vec<String>,
    pub(super) sent: Vec<Request>,
    /// Names of products, as they were given.
    pub(super) names: Vec<String>,
    /// Lists whose walk goes on: the path with its query, and the cursor.
    pub(super) walks: Vec<(String, String)>,
}

/// How many users are admins.
const ADMINS: usize = 2;

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            dice: Dice::new(seed),
            users: Vec::new(),
            categories: Vec::new(),
            products: Vec::new(),
            orders: Vec::new(),
            payments: Vec::new(),
            refresh_tokens: Vec::new(),
            loose_tokens: Vec::new(),
            proofs: Vec::new(),
            resets: Vec::new(),
            codes: Vec::new(),
            sent: Vec::new(),
            names: Vec::new(),
            walks: Vec::new(),
        }
    }

    pub(super) fn is_admin(user: usize) -> bool {
        user < ADMINS
    }

    /// The token of an admin; of somebody else once in a while.
    pub(super) fn admin(&mut self) -> String {
        let among = if self.dice.once_in(25) {
            self.users.len()
        } else {
            ADMINS
        };
        self.users[self.dice.below(among)].token.clone()
    }

    /// Somebody who shops: few, so that carts fill.
    pub(super) fn customer(&mut self) -> usize {
        self.dice.below(self.users.len().min(ADMINS + 3))
    }

    /// Learns from an answer.
    pub(super) fn hear(&mut self, request: &Request, answer: &Answer) {
        if !(200..300).contains(&answer.status) {
            return;
        }
        let json = answer.json();
        let path = request.path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        if let Some(cursor) = text("nextCursor") {
            self.walks.push((request.path.clone(), cursor));
        }
        match (request.method.as_str(), path, answer.status) {
            ("POST", "/categories", 201) => self.categories.push(Category {
                id: answer.text("/id"),
                slug: answer.text("/slug"),
            }),
            // Some stay known: what is gone is asked for too.
            ("DELETE", _, 204) if !self.dice.once_in(6) => {
                self.products.retain(|it| !path.ends_with(&it.id));
                self.categories.retain(|it| !path.ends_with(&it.id));
            }
            ("POST", "/orders", 201) => {
                for user in &mut self.users {
                    if json["userId"] == user.id.as_str() {
                        user.cart = (Vec::new(), 0);
                    }
                }
                if self.orders.iter().all(|known| known["id"] != json["id"]) {
                    self.orders.push(json);
                }
            }
            ("GET", "/admin/payments", 200) => {
                let shown = json["data"].as_array().into_iter().flatten();
                let ids = shown.filter_map(|payment| payment["id"].as_str());
                self.payments = ids.map(str::to_owned).collect();
            }
            ("POST", "/auth/login" | "/auth/refresh", 200) => {
                self.refresh_tokens.extend(text("refreshToken"));
                self.loose_tokens.extend(text("accessToken"));
            }
            _ if json["totalAmount"].is_i64() && json["itemCount"].is_i64() => {
                let teller = |user: &&mut User| {
                    let own = format!("Bearer {}", user.token);
                    request.headers.contains(&("authorization", own.into()))
                };
                if let Some(user) = self.users.iter_mut().find(teller) {
                    let items = json["items"].as_array().into_iter().flatten();
                    let ids = items.filter_map(|item| item["product"]["id"].as_str());
                    let ids = ids.map(str::to_owned).collect();
                    user.cart = (ids, json["totalAmount"].as_i64().unwrap_or_default());
                }
            }
            _ if json["stockQuantity"].is_i64() => self.hear_of_product(&json, answer),
            _ => {}
        }
    }

    fn hear_of_product(&mut self, json: &Value, answer: &Answer) {
        let id = json["id"].as_str().unwrap_or_default();
        let known = self.products.iter().position(|product| product.id == id);
        // The one that was seen last is the last.
        let mut product = match known {
            Some(index) => self.products.remove(index),
            None if answer.status == 201 => Product {
                id: id.to_owned(),
                tags: Vec::new(),
                images: Vec::new(),
            },
            None => return,
        };
        self.names.extend(json["name"].as_str().map(str::to_owned));
        product
            .tags
            .extend(answer.header("etag").map(str::to_owned));
        let images = json["images"].as_array().cloned().unwrap_or_default();
        product.images = images
            .iter()
            .map(|image| (image["id"].clone(), image["url"].clone()))
            .filter_map(|(id, url)| Some((id.as_str()?.to_owned(), url.as_str()?.to_owned())))
            .collect();
        self.products.push(product);
    }

    /// A walk that goes on, by whoever began it.
    pub(super) fn walk_on(&mut self) -> Option<Request> {
        let (path, cursor) = self.dice.any(&self.walks)?;
        let begun = path
            .split_once("cursor=")
            .map_or(path.as_str(), |(begun, _)| begun);
        let request = Request::outside(&format!("{begun}cursor={cursor}"));
        let user = self.customer();
        let token = if path.contains("/admin/") {
            self.admin()
        } else {
            self.users[user].token.clone()
        };
        Some(request.by(&token))
    }

    /// A word of a name, or its beginning, or nearly.
    pub(super) fn word(&mut self) -> String {
        let name = self.dice.any(&self.names).unwrap_or_default();
        let words: Vec<_> = name.split_whitespace().map(str::to_owned).collect();
        let word = self.dice.any(&words).unwrap_or_default();
        let mut letters: Vec<char> = word.chars().collect();
        let count = letters.len();
        match self.dice.below(5) {
            0 if count > 2 => letters.truncate(1 + self.dice.below(count - 1)),
            1 if count > 3 => letters.swap(1, 2),
            2 => return word.to_uppercase(),
            _ => {}
        }
        letters.into_iter().collect()
    }

    /// The id of a product, mostly one that is there, and often the one that was seen last.
    pub(super) fn product_id(&mut self) -> String {
        let count = self.products.len();
        match self.dice.below(30) {
            0 => self.strange_id(),
            1..=10 if count > 0 => self.products[count - 1].id.clone(),
            _ if count > 0 => self.products[self.dice.below(count)].id.clone(),
            _ => self.strange_id(),
        }
    }

    /// The id of a category, mostly one that is there.
    pub(super) fn category_id(&mut self) -> String {
        let count = self.categories.len();
        if count == 0 || self.dice.once_in(25) {
            return self.strange_id();
        }
        self.categories[self.dice.below(count)].id.clone()
    }

    /// An id that is none, is nobody's, or is written otherwise; fit for a path.
    pub(super) fn strange_id(&mut self) -> String {
        let known = self.products.last().map(|product| product.id.clone());
        let known = known.unwrap_or_else(|| "01900000-0000-7000-8000-000000000000".to_owned());
        match self.dice.below(12) {
            0 => known.to_uppercase(),
            1 => known.replace('-', ""),
            2 => format!("%7b{known}%7d"),
            3 => format!("urn:uuid:{known}"),
            4 => known[..35].to_owned(),
            5 => "00000000-0000-0000-0000-000000000000".to_owned(),
            6 => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
            7 => percent(&self.dice.text()),
            8 => "%ff%fe".to_owned(),
            9 => "%00".to_owned(),
            10 => known.replacen('-', "%2D", 1),
            _ => "01900000-0000-7000-8000-00000000000f".to_owned(),
        }
    }
}
