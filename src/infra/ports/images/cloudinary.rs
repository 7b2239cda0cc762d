//! Cloudinary (<https://cloudinary.com/documentation/image_upload_api_reference>): a signed upload, a
//! signed removal, and a URL there, at which it serves the picture in any width by itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use reqwest::{
    Client,
    multipart::{Form, Part},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha1::{Digest, Sha1};

use super::{Found, ImageStore, Place};
use crate::{
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::{
        config::Secret,
        ports::wire::{self, Timeouts},
    },
};

/// The largest answer that is read, in bytes.
const MOST_ANSWER: usize = 256 * 1024;

pub struct Cloudinary {
    cloud: String,
    key: String,
    secret: Secret,
    /// Where its API is, without a slash at the end.
    api: String,
    client: Client,
    clock: Clock,
}

/// What an upload is answered with.
#[derive(Deserialize)]
struct Uploaded {
    public_id: String,
    secure_url: String,
}

/// What a removal is answered with.
#[derive(Deserialize)]
struct Destroyed {
    result: String,
}

/// How it says why not.
#[derive(Deserialize)]
struct Refused {
    error: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Cloudinary {
    /// From `cloudinary://key:secret@cloud`, and `?upload_prefix=http://…` where its API is elsewhere.
    pub fn open(url: &Secret, clock: Clock, patience: Timeouts) -> Result<Cloudinary> {
        let wrong = || Error::config("`CLOUDINARY_URL` must be as `cloudinary://key:secret@cloud`");
        let rest = url.0.strip_prefix("cloudinary://").ok_or_else(wrong)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (sign_in, cloud) = rest.rsplit_once('@').ok_or_else(wrong)?;
        let (key, secret) = sign_in.split_once(':').ok_or_else(wrong)?;
        let cloud = cloud.trim_end_matches('/');
        let is_name = |text: &str| {
            let mut letters = text.chars();
            letters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if [key, secret, cloud].contains(&"") || !is_name(cloud) {
            return Err(wrong());
        }
        let mut api = "https://api.cloudinary.com".to_owned();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == "upload_prefix" && value.starts_with("http") {
                value.trim_end_matches('/').clone_into(&mut api);
            } else {
                return Err(wrong());
            }
        }
        let client = wire::client(patience).map_err(|error| wrong().caused_by(error))?;
        Ok(Cloudinary {
            cloud: cloud.to_owned(),
            key: key.to_owned(),
            secret: Secret(secret.to_owned()),
            api,
            client,
            clock,
        })
    }

    /// What is sent along, signed.
    fn signed(&self, public_id: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::from([
            ("public_id".to_owned(), public_id.to_owned()),
            (
                "timestamp".to_owned(),
                self.clock.now().seconds().to_string(),
            ),
        ]);
        let more = more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        fields.extend(more);
        let signature = signature(&fields, &self.secret.0);
        fields.insert("signature".to_owned(), signature);
        fields.insert("api_key".to_owned(), self.key.clone());
        fields
    }

    async fn call<T: DeserializeOwned>(&self, action: &str, form: Form) -> Result<T> {
        let url = format!("{}/v1_1/{}/image/{action}", self.api, self.cloud);
        let sent = self.client.post(url).multipart(form).send().await;
        let response = sent.map_err(|error| down(wire::why(error)))?;
        let status = response.status();
        let body = wire::whole(response, MOST_ANSWER).await.map_err(down)?;
        if !status.is_success() {
            let why = serde_json::from_slice::<Refused>(&body)
                .map_or_else(|_| "it does not say why".to_owned(), |it| it.error.message);
            return Err(down(format!("{status}: {why}")));
        }
        serde_json::from_slice(&body).map_err(|error| down(error.to_string()))
    }
}

impl ImageStore for Cloudinary {
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let stem = name.split('.').next().unwrap_or_default();
            let mut form = Form::new();
            for (field, value) in self.signed(stem, &[]) {
                form = form.text(field, value);
            }
            let length = file.len() as u64;
            let file = Part::stream_with_length(file, length).file_name(name.to_owned());
            let uploaded: Uploaded = self.call("upload", form.part("file", file)).await?;
            if uploaded.public_id != stem {
                return Err(down("it calls the picture something else"));
            }
            let is_url =
                uploaded.secure_url.starts_with("http") && uploaded.secure_url.len() < 2000;
            if !is_url {
                return Err(down("it does not tell where the picture is"));
            }
            Ok(Some(uploaded.secure_url))
        }
        .boxed()
    }

    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Found>> {
        std::future::ready(Err(Error::not_found("image"))).boxed()
    }

    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>> {
        async move {
            let mut form = Form::new();
            for (field, value) in self.signed(stem, &[("invalidate", "true")]) {
                form = form.text(field, value);
            }
            let destroyed: Destroyed = self.call("destroy", form).await?;
            match destroyed.result.as_str() {
                "ok" | "not found" => Ok(()),
                other => Err(down(format!("it says `{other}`"))),
            }
        }
        .boxed()
    }

    /// Its list is behind another API, which few may ask and seldom; an upload is noted before it
    /// is sent, so nothing is there that no row names.
    fn stems(&self) -> BoxStream<'_, Result<String>> {
        futures_util::stream::empty().boxed()
    }

    fn place(&self) -> Place {
        Place::Everywhere(format!("cloudinary://{}", self.cloud))
    }
}

/// What is signed: the fields in the order of their names, as `a=1&b=2`, an `&` within one as `%26`,
/// and the secret behind them. Fields that hold nothing are left out.
pub fn signature(fields: &BTreeMap<String, String>, secret: &str) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value}").replace('&', "%26"))
        .collect();
    hex::encode(Sha1::digest(format!("{}{secret}", pairs.join("&"))))
}

fn down(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the image host does not take it; try again").caused_by(cause)
}
