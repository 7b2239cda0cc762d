//! Cloudinary (<https://cloudinary.com/documentation/image_upload_api_reference>): signed uploads and deletions.
//! Cloudinary serves the images and their thumbnails.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use reqwest::{
    Client, RequestBuilder,
    multipart::{Form, Part},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use sha1::{Digest, Sha1};

use super::{Found, ImageStore, StoreLocation};
use crate::{
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::{
        config::Secret,
        ports::http_client::{self, Timeouts},
    },
};

/// The maximum size of a response, in bytes.
const MAX_RESPONSE_LEN: usize = 256 * 1024;

pub struct Cloudinary {
    cloud: String,
    key: String,
    secret: Secret,
    /// The base URL of the API, without a slash at the end.
    api: String,
    client: Client,
    clock: Clock,
}

/// The response to an upload.
#[derive(Deserialize)]
struct Uploaded {
    public_id: String,
    secure_url: String,
}

/// The response to a deletion.
#[derive(Deserialize)]
struct Destroyed {
    result: String,
}

/// The response to a failed request.
#[derive(Deserialize)]
struct ErrorResponse {
    error: ErrorMessage,
}

/// The response of `ping`, of which only the format matters.
#[derive(Deserialize)]
struct Ping {
    #[expect(dead_code, reason = "a proxy's response lacks it")]
    status: String,
}

#[derive(Deserialize)]
struct ErrorMessage {
    message: String,
}

impl Cloudinary {
    /// `url` is `cloudinary://key:secret@cloud`, with `?upload_prefix=http://…` for another API host.
    ///
    /// Errors: `Config` if the URL is invalid.
    pub fn open(url: &Secret, clock: Clock, timeouts: Timeouts) -> Result<Cloudinary> {
        let invalid =
            || Error::config("`CLOUDINARY_URL` must look like `cloudinary://key:secret@cloud`");
        let rest = url
            .expose_secret()
            .strip_prefix("cloudinary://")
            .ok_or_else(invalid)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (credentials, cloud) = rest.rsplit_once('@').ok_or_else(invalid)?;
        let (key, secret) = credentials.split_once(':').ok_or_else(invalid)?;
        let cloud = cloud.trim_end_matches('/');
        let is_name = |text: &str| {
            let mut chars = text.chars();
            chars.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if [key, secret, cloud].contains(&"") || !is_name(cloud) {
            return Err(invalid());
        }
        let mut api = "https://api.cloudinary.com".to_owned();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == "upload_prefix" && value.starts_with("http") {
                value.trim_end_matches('/').clone_into(&mut api);
            } else {
                return Err(invalid());
            }
        }
        let client = http_client::client(timeouts).map_err(|error| invalid().caused_by(error))?;
        Ok(Cloudinary {
            cloud: cloud.to_owned(),
            key: key.to_owned(),
            secret: Secret::from(secret),
            api,
            client,
            clock,
        })
    }

    /// Returns the signed parameters of a request.
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
        let signature = signature(&fields, self.secret.expose_secret());
        fields.insert("signature".to_owned(), signature);
        fields.insert("api_key".to_owned(), self.key.clone());
        fields
    }

    async fn call<T: DeserializeOwned>(&self, action: &str, form: Form) -> Result<T> {
        let url = format!("{}/v1_1/{}/image/{action}", self.api, self.cloud);
        self.send(self.client.post(url).multipart(form)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = request.send().await;
        let response = response.map_err(|error| unavailable(http_client::why(error)))?;
        let status = response.status();
        let body = http_client::read_all(response, MAX_RESPONSE_LEN)
            .await
            .map_err(unavailable)?;
        if !status.is_success() {
            let why = serde_json::from_slice::<ErrorResponse>(&body)
                .map_or_else(|_| "no error message".to_owned(), |it| it.error.message);
            return Err(unavailable(format!("{status}: {why}")));
        }
        serde_json::from_slice(&body).map_err(|error| unavailable(error.to_string()))
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
                return Err(unavailable("the response has another public_id"));
            }
            let is_url =
                uploaded.secure_url.starts_with("http") && uploaded.secure_url.len() < 2000;
            if !is_url {
                return Err(unavailable("the response has no valid secure_url"));
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
                other => Err(unavailable(format!("unexpected result `{other}`"))),
            }
        }
        .boxed()
    }

    /// Always empty: listing needs another API with strict rate limits. Every upload is recorded in the database
    /// before it is sent, so no image is orphaned.
    fn stems(&self) -> BoxStream<'_, Result<String>> {
        futures_util::stream::empty().boxed()
    }

    /// Calls `ping` of the Admin API
    /// (<https://cloudinary.com/documentation/admin_api#ping_cloudinary_servers>).
    fn check(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let url = format!("{}/v1_1/{}/ping", self.api, self.cloud);
            let secret = self.secret.expose_secret();
            let request = self.client.get(url).basic_auth(&self.key, Some(secret));
            let _: Ping = self.send(request).await?;
            Ok(())
        }
        .boxed()
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::Remote(format!("cloudinary://{}", self.cloud))
    }
}

/// Returns the signature: the SHA-1 of the non-empty fields sorted by name (`a=1&b=2`, with `&` in a value as
/// `%26`), followed by the secret.
pub fn signature(fields: &BTreeMap<String, String>, secret: &str) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value}").replace('&', "%26"))
        .collect();
    hex::encode(Sha1::digest(format!("{}{secret}", pairs.join("&"))))
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the image host failed; retry later").caused_by(cause)
}
