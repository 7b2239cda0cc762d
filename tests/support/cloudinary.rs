//! Cloudinary's stand-in: it takes what is rightly signed, by the vendor's published algorithm, and can
//! be made to misbehave.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
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
use tokio::{net::TcpListener, sync::Notify};

const SECRET: &str = "s3cr3t-of-the-stand-in";
const KEY: &str = "874837483274837";

/// How it behaves from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// It takes nothing, whoever asks.
    Refusing(u16),
    /// It never answers.
    Silent,
    /// It ends the connection in the middle of a request.
    Dropping,
    /// It answers what makes no sense.
    Confused,
}

#[derive(Clone)]
pub(crate) struct Cloudinary(Arc<Inner>);

struct Inner {
    url: String,
    manner: Mutex<Manner>,
    met: Notify,
    kept: Mutex<BTreeMap<String, Bytes>>,
    refused: Mutex<Vec<String>>,
}

impl Cloudinary {
    /// On a free port of this machine, until the test ends.
    pub(crate) async fn start() -> Cloudinary {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Cloudinary(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            manner: Mutex::new(Manner::Honest),
            met: Notify::new(),
            kept: Mutex::default(),
            refused: Mutex::default(),
        }));
        let router = Router::new()
            .route("/v1_1/{cloud}/image/{action}", post(call))
            .layer(DefaultBodyLimit::disable())
            .with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// What `CLOUDINARY_URL` is to be.
    pub(crate) fn settings(&self) -> String {
        self.settings_with(SECRET)
    }

    /// As [`Cloudinary::settings`], with a secret that may be wrong.
    pub(crate) fn settings_with(&self, secret: &str) -> String {
        format!(
            "cloudinary://{KEY}:{secret}@demo?upload_prefix={}",
            self.0.url
        )
    }

    pub(crate) fn be(&self, manner: Manner) {
        *self.0.manner.lock().unwrap() = manner;
    }

    /// Waits for a request that has begun since the last time.
    pub(crate) async fn met(&self) {
        self.0.met.notified().await;
    }

    /// What it keeps, by public id.
    pub(crate) fn kept(&self) -> BTreeMap<String, Bytes> {
        self.0.kept.lock().unwrap().clone()
    }

    /// Why it has refused requests.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.0.refused.lock().unwrap().clone()
    }
}

type Reply = (StatusCode, Json<Value>);

async fn call(
    State(host): State<Cloudinary>,
    Path((cloud, action)): Path<(String, String)>,
    mut form: Multipart,
) -> Reply {
    host.0.met.notify_one();
    let manner = *host.0.manner.lock().unwrap();
    match manner {
        Manner::Honest => {}
        Manner::Refusing(status) => return refuse(&host, status, "Rate Limit Exceeded"),
        Manner::Silent => std::future::pending().await,
        // The server ends a connection whose handler is gone.
        Manner::Dropping => std::panic::resume_unwind(Box::new("dropped")),
        Manner::Confused => return (StatusCode::OK, Json(json!({ "public_id": "other" }))),
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
    let given = fields.remove("signature").unwrap_or_default();
    let key = fields.remove("api_key").unwrap_or_default();
    if cloud != "demo" || key != KEY {
        return refuse(&host, 401, "Invalid cloud_name or api_key");
    }
    if given != sign(&fields, SECRET) {
        let why = format!(
            "Invalid Signature {given}. String to sign - '{}'.",
            to_sign(&fields)
        );
        return refuse(&host, 401, &why);
    }
    if fields
        .get("timestamp")
        .and_then(|it| it.parse::<i64>().ok())
        .is_none()
    {
        return refuse(&host, 400, "Missing required parameter - timestamp");
    }
    let id = fields["public_id"].clone();
    let mut kept = host.0.kept.lock().unwrap();
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
            kept.insert(id, file);
            (StatusCode::OK, Json(answer))
        }
        ("destroy", None) => {
            let result = kept.remove(&id).map_or("not found", |_| "ok");
            (StatusCode::OK, Json(json!({ "result": result })))
        }
        _ => refuse(&host, 400, "Missing required parameter - file"),
    }
}

fn refuse(host: &Cloudinary, status: u16, why: &str) -> Reply {
    host.0.refused.lock().unwrap().push(why.to_owned());
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(json!({ "error": { "message": why } })))
}

/// `api_sign_request` of the vendor's own libraries: what is empty is left out, the rest is sorted and
/// joined, the secret stands behind it.
pub(crate) fn sign(fields: &BTreeMap<String, String>, secret: &str) -> String {
    hex::encode(Sha1::digest(to_sign(fields) + secret))
}

fn to_sign(fields: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text += &format!("{name}={value}").replace('&', "%26");
    }
    text
}
