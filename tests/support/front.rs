//! With `SHOP_TEST_PROXY=nginx` or `caddy`, the requests of a [`super::TestShop`] go through that proxy and a
//! socket instead of directly to the router.

use std::{env, sync::Arc};

use axum::{body::Body, response::Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use shop::{app::App, server};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::proxy::{Kind, Proxy, free_address};

/// A shop in this process behind a proxy.
pub(crate) struct Front {
    kind: Kind,
    proxy: Proxy,
    server: JoinHandle<()>,
}

/// Returns the proxy for all tests, usually `None`.
pub(super) fn kind() -> Option<Kind> {
    match &*env::var("SHOP_TEST_PROXY").ok()? {
        "nginx" => Some(Kind::Nginx),
        // Without health checks, which would generate ids between a test's own requests.
        "caddy" => Some(Kind::CaddyPath),
        other => panic!("SHOP_TEST_PROXY is `nginx` or `caddy`, not `{other}`"),
    }
}

impl Front {
    /// Starts a proxy in front of a shop that trusts it. Returns `None` if it is not installed.
    pub(super) async fn of(kind: Kind, app: &Arc<App>) -> Option<Front> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = listener.local_addr().unwrap();
        let serving = server::serve(listener, Arc::clone(app), CancellationToken::new());
        let server = tokio::spawn(serving);
        let started = tokio::task::spawn_blocking(move || kind.start(free_address(), shop));
        let proxy = started.await.unwrap()?;
        Some(Front {
            kind,
            proxy,
            server,
        })
    }

    pub(super) async fn send(&self, mut request: http::Request<Body>) -> Response {
        let uri = format!("{}{}", self.kind.path(), request.uri());
        *request.uri_mut() = uri.parse().unwrap();
        let stream = TcpStream::connect(self.proxy.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        // It ends with the response body, since the sender is dropped.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        response.map(Body::new)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}
