//! What a client knows about the shops: everything comes from their responses.

use std::{collections::BTreeMap, fmt};

use http::Method;
use serde_json::Value;

use crate::{
    conformance::rng::{TestRng, percent_encode},
    support::TestResponse,
};

/// A request to both shops.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Whether to add the payment provider's signature of the body.
    pub(super) is_signed: bool,
}

impl Request {
    /// A request below `/api/v1`.
    pub(super) fn new(method: Method, path: &str) -> Request {
        Request {
            method,
            path: format!("/api/v1{path}"),
            headers: Vec::new(),
            body: Vec::new(),
            is_signed: false,
        }
    }

    /// A GET request outside `/api/v1`.
    pub(super) fn at_root(path: &str) -> Request {
        Request {
            path: path.to_owned(),
            ..Request::new(Method::GET, "")
        }
    }

    pub(super) fn get(path: &str) -> Request {
        Request::new(Method::GET, path)
    }

    pub(super) fn bearer(self, token: &str) -> Request {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn json(self, body: impl Into<Vec<u8>>) -> Request {
        self.header("content-type", "application/json").body(body)
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

/// A user with an account.
pub(super) struct User {
    pub(super) id: String,
    pub(super) token: String,
    /// The last known cart: the ids of its products and its total.
    pub(super) cart: (Vec<String>, i64),
}

pub(super) struct Category {
    pub(super) id: String,
    pub(super) slug: String,
}

pub(super) struct Product {
    pub(super) id: String,
    /// All known `ETag`s; the newest is last.
    pub(super) etags: Vec<String>,
    /// The ids of its variants.
    pub(super) variants: Vec<String>,
    /// The id and URL of each image.
    pub(super) images: Vec<(String, String)>,
}

pub(super) struct State {
    pub(super) rng: TestRng,
    /// The first two are admins.
    pub(super) users: Vec<User>,
    pub(super) categories: Vec<Category>,
    pub(super) collections: Vec<Category>,
    pub(super) products: Vec<Product>,
    /// All known `ETag`s of variants by id; the newest is last.
    pub(super) variant_etags: BTreeMap<String, Vec<String>>,
    /// The responses to successful checkouts.
    pub(super) orders: Vec<Value>,
    /// The ids of the last response with a list of payments.
    pub(super) payments: Vec<String>,
    /// The ids of the last response with a list of emails.
    pub(super) emails: Vec<String>,
    pub(super) refresh_tokens: Vec<String>,
    /// Old access tokens; most of them have expired.
    pub(super) access_tokens: Vec<String>,
    /// The tokens of emailed links that verify an email address.
    pub(super) verification_tokens: Vec<String>,
    /// The tokens of emailed links that reset a password.
    pub(super) reset_tokens: Vec<String>,
    /// The codes sent to phones.
    pub(super) phone_codes: Vec<String>,
    pub(super) cart_tokens: Vec<String>,
    pub(super) sent_requests: Vec<Request>,
    pub(super) product_names: Vec<String>,
    /// Lists with a next page: the path with its query, and the cursor.
    pub(super) cursors: Vec<(String, String)>,
}

/// The number of admins.
const ADMINS: usize = 2;

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            rng: TestRng::new(seed),
            users: Vec::new(),
            categories: Vec::new(),
            collections: Vec::new(),
            products: Vec::new(),
            variant_etags: BTreeMap::new(),
            orders: Vec::new(),
            payments: Vec::new(),
            emails: Vec::new(),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
            verification_tokens: Vec::new(),
            reset_tokens: Vec::new(),
            phone_codes: Vec::new(),
            cart_tokens: Vec::new(),
            sent_requests: Vec::new(),
            product_names: Vec::new(),
            cursors: Vec::new(),
        }
    }

    pub(super) fn is_admin(user: usize) -> bool {
        user < ADMINS
    }

    /// Returns the access token of an admin; sometimes that of any user.
    pub(super) fn admin(&mut self) -> String {
        let count = if self.rng.one_in(25) {
            self.users.len()
        } else {
            ADMINS
        };
        self.users[self.rng.below(count)].token.clone()
    }

    /// Returns the index of a user with a cart. There are few, so that their carts fill.
    pub(super) fn customer(&mut self) -> usize {
        self.rng.below(self.users.len().min(ADMINS + 3))
    }

    /// Updates the state from a response.
    pub(super) fn learn(&mut self, request: &Request, answer: &TestResponse) {
        if !(200..300).contains(&answer.status) {
            return;
        }
        let json = answer.json();
        let path = request.path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        if let Some(cursor) = text("nextCursor") {
            self.cursors.push((request.path.clone(), cursor));
        }
        match (request.method.as_str(), path, answer.status) {
            ("POST", "/categories", 201) => self.categories.push(Category {
                id: answer.text("/id"),
                slug: answer.text("/slug"),
            }),
            ("POST", "/collections", 201) => self.collections.push(Category {
                id: answer.text("/id"),
                slug: answer.text("/slug"),
            }),
            // Remember some deleted ids, to request them again.
            ("DELETE", _, 204) if !self.rng.one_in(6) => {
                self.products.retain(|known| !path.ends_with(&known.id));
                self.categories.retain(|known| !path.ends_with(&known.id));
                self.collections.retain(|known| !path.ends_with(&known.id));
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
            ("GET", "/admin/payments", 200) => self.payments = listed_ids(&json),
            ("GET", "/admin/mail", 200) => self.emails = listed_ids(&json),
            ("POST", "/auth/login" | "/auth/refresh", 200) => {
                self.refresh_tokens.extend(text("refreshToken"));
                self.access_tokens.extend(text("accessToken"));
            }
            _ if json["totalAmount"].is_i64() && json["itemCount"].is_i64() => {
                let is_sender = |user: &&mut User| {
                    let own = format!("Bearer {}", user.token);
                    request.headers.contains(&("authorization", own.into()))
                };
                if let Some(user) = self.users.iter_mut().find(is_sender) {
                    let items = json["items"].as_array().into_iter().flatten();
                    let ids = items.filter_map(|item| item["product"]["id"].as_str());
                    let ids = ids.map(str::to_owned).collect();
                    user.cart = (ids, json["totalAmount"].as_i64().unwrap_or_default());
                }
            }
            ("POST", "/carts", 201) => {
                let token = json["cartToken"].as_str().map(str::to_owned);
                self.cart_tokens.extend(token);
            }
            _ if json["variants"].is_array() => self.learn_product(&json, answer),
            _ if json["requiresShipping"].is_boolean() => self.learn_variant(&json, answer),
            _ => {}
        }
    }

    fn learn_product(&mut self, json: &Value, answer: &TestResponse) {
        let id = json["id"].as_str().unwrap_or_default();
        let known = self.products.iter().position(|product| product.id == id);
        // The newest product is the last.
        let mut product = match known {
            Some(index) => self.products.remove(index),
            None if answer.status == 201 => Product {
                id: id.to_owned(),
                etags: Vec::new(),
                variants: Vec::new(),
                images: Vec::new(),
            },
            None => return,
        };
        self.product_names
            .extend(json["name"].as_str().map(str::to_owned));
        product
            .etags
            .extend(answer.header("etag").map(str::to_owned));
        let variants = json["variants"].as_array().into_iter().flatten();
        let ids = variants.filter_map(|variant| variant["id"].as_str());
        product.variants = ids.map(str::to_owned).collect();
        let images = json["images"].as_array().cloned().unwrap_or_default();
        product.images = images
            .iter()
            .map(|image| (image["id"].clone(), image["url"].clone()))
            .filter_map(|(id, url)| Some((id.as_str()?.to_owned(), url.as_str()?.to_owned())))
            .collect();
        self.products.push(product);
    }

    fn learn_variant(&mut self, json: &Value, answer: &TestResponse) {
        let id = json["id"].as_str().unwrap_or_default();
        let tag = answer.header("etag").map(str::to_owned);
        let etags = self.variant_etags.entry(id.to_owned()).or_default();
        etags.extend(tag);
        let mut products = self.products.iter_mut();
        if let Some(product) = products.find(|product| json["productId"] == product.id)
            && !product.variants.iter().any(|known| known == id)
        {
            product.variants.push(id.to_owned());
        }
    }

    /// Requests the next page of a list, possibly as another user.
    pub(super) fn next_page(&mut self) -> Option<Request> {
        let (path, cursor) = self.rng.choose(&self.cursors)?;
        let prefix = path
            .split_once("cursor=")
            .map_or(path.as_str(), |(prefix, _)| prefix);
        let request = Request::at_root(&format!("{prefix}cursor={cursor}"));
        let user = self.customer();
        let token = if path.contains("/admin/") {
            self.admin()
        } else {
            self.users[user].token.clone()
        };
        Some(request.bearer(&token))
    }

    /// Returns a word of a product's name, a prefix of one, or one with a typo.
    pub(super) fn search_word(&mut self) -> String {
        let name = self.rng.choose(&self.product_names).unwrap_or_default();
        let words: Vec<_> = name.split_whitespace().map(str::to_owned).collect();
        let word = self.rng.choose(&words).unwrap_or_default();
        let mut letters: Vec<char> = word.chars().collect();
        let count = letters.len();
        match self.rng.below(5) {
            0 if count > 2 => letters.truncate(1 + self.rng.below(count - 1)),
            1 if count > 3 => letters.swap(1, 2),
            2 => return word.to_uppercase(),
            _ => {}
        }
        letters.into_iter().collect()
    }

    /// Returns the id of a product, usually a known one and often the newest.
    pub(super) fn product_id(&mut self) -> String {
        let count = self.products.len();
        match self.rng.below(30) {
            0 => self.unusual_id(),
            1..=10 if count > 0 => self.products[count - 1].id.clone(),
            _ if count > 0 => self.products[self.rng.below(count)].id.clone(),
            _ => self.unusual_id(),
        }
    }

    /// Returns the id of a variant, usually a known one.
    pub(super) fn variant_id(&mut self) -> String {
        let product = self.product_id();
        let known = self.products.iter().find(|it| it.id == product);
        let variants = known.map_or_else(Vec::new, |known| known.variants.clone());
        self.rng.choose(&variants).unwrap_or(product)
    }

    /// Returns the id of a category, usually a known one.
    pub(super) fn category_id(&mut self) -> String {
        let count = self.categories.len();
        if count == 0 || self.rng.one_in(25) {
            return self.unusual_id();
        }
        self.categories[self.rng.below(count)].id.clone()
    }

    /// Returns the id of a collection, usually a known one.
    pub(super) fn collection_id(&mut self) -> String {
        let count = self.collections.len();
        if count == 0 || self.rng.one_in(25) {
            return self.unusual_id();
        }
        self.collections[self.rng.below(count)].id.clone()
    }

    /// Returns an id for a path that is invalid, unknown or in an unusual notation.
    pub(super) fn unusual_id(&mut self) -> String {
        let known = self.products.last().map(|product| product.id.clone());
        let known = known.unwrap_or_else(|| "01900000-0000-7000-8000-000000000000".to_owned());
        match self.rng.below(12) {
            0 => known.to_uppercase(),
            1 => known.replace('-', ""),
            2 => format!("%7b{known}%7d"),
            3 => format!("urn:uuid:{known}"),
            4 => known[..35].to_owned(),
            5 => "00000000-0000-0000-0000-000000000000".to_owned(),
            6 => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
            7 => percent_encode(&self.rng.text()),
            8 => "%ff%fe".to_owned(),
            9 => "%00".to_owned(),
            10 => known.replacen('-', "%2D", 1),
            _ => "01900000-0000-7000-8000-00000000000f".to_owned(),
        }
    }
}

fn listed_ids(json: &Value) -> Vec<String> {
    let listed = json["data"].as_array().into_iter().flatten();
    let ids = listed.filter_map(|item| item["id"].as_str());
    ids.map(str::to_owned).collect()
}
