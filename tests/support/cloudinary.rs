//! A fake Cloudinary. It verifies signatures by the vendor's published algorithm, and can be created to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, Path, State},
    routing::post,
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use shop::core::clock::Clock;
use tokio::{net::TcpListener, sync::Notify};

const SECRET: &str = "s3cr3t-of-the-fake";
const KEY: &str = "874837483274837";

/// How the fake responds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloudinaryBehavior {
    Normal,
    /// Responds after this time.
    Delay(Duration),
    /// Rejects every request with this status.
    Reject(u16),
    /// Never responds.
    Hang,
    /// Closes the connection during the request.
    Disconnect,
    /// Responds with another image's data.
    WrongResponse,
}

#[derive(Clone)]
pub(crate) struct Cloudinary(Arc<Inner>);

struct Inner {
    url: String,
    behavior: Mutex<CloudinaryBehavior>,
    requested: Notify,
    /// The stored files by public id.
    stored: Mutex<BTreeMap<String, Bytes>>,
    rejections: Mutex<Vec<String>>,
}

impl Cloudinary {
    /// Starts the fake on a free port; it runs until the test ends.
    pub(crate) async fn start() -> Cloudinary {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Cloudinary(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            behavior: Mutex::new(CloudinaryBehavior::Normal),
            requested: Notify::new(),
            stored: Mutex::default(),
            rejections: Mutex::default(),
        }));
        let router = Router::new()
            .route("/v1_1/{cloud}/image/{action}", post(call))
            .layer(DefaultBodyLimit::disable())
            .with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// Returns the value for `CLOUDINARY_URL`.
    pub(crate) fn settings(&self) -> String {
        self.settings_with(SECRET)
    }

    /// Like [`Cloudinary::settings`], with another secret.
    pub(crate) fn settings_with(&self, secret: &str) -> String {
        format!(
            "cloudinary://{KEY}:{secret}@demo?upload_prefix={}",
            self.0.url
        )
    }

    pub(crate) fn set_behavior(&self, behavior: CloudinaryBehavior) {
        *self.0.behavior.lock().unwrap() = behavior;
    }

    /// Waits for the next request since the last call.
    pub(crate) async fn requested(&self) {
        self.0.requested.notified().await;
    }

    /// Returns the stored files by public id.
    pub(crate) fn stored(&self) -> BTreeMap<String, Bytes> {
        self.0.stored.lock().unwrap().clone()
    }

    /// Returns the messages of all rejected requests.
    pub(crate) fn rejections(&self) -> Vec<String> {
        self.0.rejections.lock().unwrap().clone()
    }
}

type Response = (StatusCode, Json<Value>);

async fn call(
    State(host): State<Cloudinary>,
    Path((cloud, action)): Path<(String, String)>,
    mut form: Multipart,
) -> Response {
    host.0.requested.notify_one();
    let behavior = *host.0.behavior.lock().unwrap();
    match behavior {
        CloudinaryBehavior::Normal => {}
        CloudinaryBehavior::Delay(pause) => tokio::time::sleep(pause).await,
        CloudinaryBehavior::Reject(status) => return reject(&host, status, "Rate Limit Exceeded"),
        CloudinaryBehavior::Hang => std::future::pending().await,
        // The server closes the connection when its handler panics.
        CloudinaryBehavior::Disconnect => std::panic::resume_unwind(Box::new("dropped")),
        CloudinaryBehavior::WrongResponse => {
            return (StatusCode::OK, Json(json!({ "public_id": "other" })));
        }
    }
    let (mut fields, mut file) = (BTreeMap::new(), None);
    while let Some(part) = form.next_field().await.unwrap() {
        let name = part.name().unwrap().to_owned();
        if name == "file" {
            file = Some(part.bytes().await.unwrap());
        } else {
            fields.insert(name, part.text().await.unwrap());
        }
    }
    let signature = fields.remove("signature").unwrap_or_default();
    let key = fields.remove("api_key").unwrap_or_default();
    if cloud != "demo" || key != KEY {
        return reject(&host, 401, "Invalid cloud_name or api_key");
    }
    if signature != sign(&fields, SECRET) {
        let message = format!(
            "Invalid Signature {signature}. String to sign - '{}'.",
            string_to_sign(&fields)
        );
        return reject(&host, 401, &message);
    }
    let timestamp = fields.get("timestamp");
    let Some(timestamp) = timestamp.and_then(|timestamp| timestamp.parse::<i64>().ok()) else {
        return reject(&host, 400, "Missing required parameter - timestamp");
    };
    if (Clock::system().now().0 / 1000 - timestamp).abs() > 3600 {
        return reject(
            &host,
            400,
            "Stale request - reported time is more than 1 hour ago",
        );
    }
    let id = fields["public_id"].clone();
    let mut stored = host.0.stored.lock().unwrap();
    match (action.as_str(), file) {
        ("upload", Some(file)) => {
            let format = image::guess_format(&file).unwrap().extensions_str()[0];
            let size = image::load_from_memory(&file).unwrap();
            let url =
                format!("https://res.cloudinary.com/demo/image/upload/v1315060510/{id}.{format}");
            let answer = json!({
                "public_id": id, "version": 1_315_060_510, "format": format, "secure_url": url,
                "width": size.width(), "height": size.height(), "bytes": file.len(),
            });
            stored.insert(id, file);
            (StatusCode::OK, Json(answer))
        }
        ("destroy", None) => {
            let result = stored.remove(&id).map_or("not found", |_| "ok");
            (StatusCode::OK, Json(json!({ "result": result })))
        }
        _ => reject(&host, 400, "Missing required parameter - file"),
    }
}

fn reject(host: &Cloudinary, status: u16, message: &str) -> Response {
    host.0.rejections.lock().unwrap().push(message.to_owned());
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(json!({ "error": { "message": message } })))
}

/// Signs a request like `api_sign_request` of the vendor's libraries: SHA-1 of the sorted non-empty fields,
/// followed by the secret.
pub(crate) fn sign(fields: &BTreeMap<String, String>, secret: &str) -> String {
    hex::encode(Sha1::digest(string_to_sign(fields) + secret))
}

fn string_to_sign(fields: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text += &format!("{name}={value}").replace('&', "%26");
    }
    text
}
