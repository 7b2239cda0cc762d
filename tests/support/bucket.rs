//! A stand-in for an S3-compatible bucket, which can lose the ends of objects.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, StatusCode, Uri, header};
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Bucket(Arc<Inner>);

struct Inner {
    url: String,
    /// The objects by name.
    objects: Mutex<BTreeMap<String, Bytes>>,
    loses_ends: AtomicBool,
}

impl Bucket {
    /// Starts the server on a free port; it runs until the test ends.
    pub(crate) async fn start() -> Bucket {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = Bucket(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            objects: Mutex::default(),
            loses_ends: AtomicBool::new(false),
        }));
        let router = Router::new()
            .fallback(respond)
            .layer(DefaultBodyLimit::disable())
            .with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        bucket
    }

    /// Returns the environment variables for a client.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.0.url),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    /// Sets whether only the first half of a new object is stored.
    pub(crate) fn lose_ends(&self, lose: bool) {
        self.0.loses_ends.store(lose, Ordering::SeqCst);
    }

    pub(crate) fn objects(&self) -> Vec<Bytes> {
        self.0.objects.lock().unwrap().values().cloned().collect()
    }

    fn put(&self, name: &str, object: &Bytes) -> Response {
        let size = if self.0.loses_ends.load(Ordering::SeqCst) {
            object.len() / 2
        } else {
            object.len()
        };
        let mut objects = self.0.objects.lock().unwrap();
        objects.insert(name.to_owned(), object.slice(..size));
        [(header::ETAG, "\"object\"")].into_response()
    }

    fn get(&self, name: &str) -> Response {
        match self.0.objects.lock().unwrap().get(name) {
            Some(object) => ([(header::ETAG, "\"object\"")], object.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// Lists the objects whose names begin with the prefix in `query`.
    fn list(&self, query: &str) -> Response {
        let prefix = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "prefix");
        let prefix = prefix.map(|(_, prefix)| prefix).unwrap_or_default();
        let objects = self.0.objects.lock().unwrap();
        let listed = objects
            .iter()
            .filter(|(name, _)| name.starts_with(&*prefix));
        let listed: Vec<String> = listed
            .map(|(name, object)| {
                let size = object.len();
                format!(
                    "<Contents><Key>{name}</Key><Size>{size}</Size>\
                     <LastModified>2026-01-31T12:00:00.000Z</LastModified></Contents>"
                )
            })
            .collect();
        let listed = listed.concat();
        format!("<ListBucketResult>{listed}</ListBucketResult>").into_response()
    }

    /// Deletes the objects that a request names.
    fn delete(&self, request: &str) -> Response {
        let names = request.split("<Key>").skip(1);
        let names = names.map(|rest| rest.split('<').next().unwrap());
        let mut objects = self.0.objects.lock().unwrap();
        let deleted: Vec<String> = names
            .map(|name| {
                objects.remove(name);
                format!("<Deleted><Key>{name}</Key></Deleted>")
            })
            .collect();
        let deleted = deleted.concat();
        format!("<DeleteResult>{deleted}</DeleteResult>").into_response()
    }
}

async fn respond(State(bucket): State<Bucket>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().trim_start_matches('/');
    let (_bucket, name) = path.split_once('/').unwrap_or((path, ""));
    match (method, name) {
        (Method::PUT, name) => bucket.put(name, &body),
        (Method::GET, "") => bucket.list(uri.query().unwrap_or_default()),
        (Method::GET, name) => bucket.get(name),
        (Method::POST, "") => bucket.delete(&String::from_utf8_lossy(&body)),
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}
