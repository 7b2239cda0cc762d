//! A stand-in for an ACME certificate authority (RFC 8555), without TLS and without checks of signatures. It does try
//! the TLS-ALPN-01 challenge (RFC 8737).

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, head, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use x509_cert::{der::Decode, request::CertReq};

use super::TIMEOUT;

const TOKEN: &str = "token-of-the-challenge";

/// What the authority does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    Honest,
    /// Says that the challenge failed.
    Refuses,
    /// Issues a certificate for another domain.
    OtherDomain,
    /// Issues a certificate for another key.
    OtherKey,
    /// Sends a directory of a megabyte.
    Huge,
}

pub(super) struct Authority {
    /// The URL of the directory.
    pub(super) directory: String,
    /// The root certificate in PEM.
    root: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    base: String,
    behavior: Behavior,
    issuer: Issuer<'static, KeyPair>,
    state: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    shop: Option<SocketAddr>,
    contacts: Vec<String>,
    /// The RFC 7638 thumbprint of the account's key.
    thumbprint: String,
    orders: usize,
    status: &'static str,
    chain: String,
}

impl Authority {
    pub(super) async fn start(behavior: Behavior) -> Authority {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().pem();
        let shared = Arc::new(Shared {
            base: base.clone(),
            behavior,
            issuer: Issuer::new(params, key),
            state: Mutex::default(),
        });
        let router = Router::new()
            .route("/directory", get(directory))
            .route(
                "/nonce",
                head(|| async { with_nonce(StatusCode::OK, &json!(null)) }),
            )
            .route("/account", post(account))
            .route("/orders", post(new_order))
            .route("/order", post(order))
            .route("/authorization", post(authorization))
            .route("/challenge", post(challenge))
            .route("/finalize", post(finalize))
            .route("/certificate", post(certificate))
            .with_state(Arc::clone(&shared));
        Authority {
            directory: format!("{base}/directory"),
            root,
            shared,
            task: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
        }
    }

    /// Returns the root certificate.
    pub(super) fn certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.root.as_bytes()).unwrap()
    }

    /// Stops listening.
    pub(super) fn stopped(self) -> Authority {
        self.task.abort();
        self
    }

    /// Sets where challenges are tried.
    pub(super) fn validate_at(&self, shop: SocketAddr) {
        self.shared.lock().shop = Some(shop);
    }

    pub(super) fn contacts(&self) -> Vec<String> {
        self.shared.lock().contacts.clone()
    }

    pub(super) fn orders(&self) -> usize {
        self.shared.lock().orders
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> Value {
        let base = &self.base;
        json!({
            "status": self.lock().status,
            "identifiers": [{ "type": "dns", "value": "localhost" }],
            "authorizations": [format!("{base}/authorization")],
            "finalize": format!("{base}/finalize"),
            "certificate": format!("{base}/certificate"),
        })
    }

    fn challenge(&self) -> Value {
        let status = self.lock().status;
        let mut challenge = json!({
            "type": "tls-alpn-01", "token": TOKEN, "status": "pending",
            "url": format!("{}/challenge", self.base),
        });
        if status == "invalid" {
            challenge["status"] = json!("invalid");
            challenge["error"] =
                json!({ "type": "urn:ietf:params:acme:error:connection", "detail": "no" });
        }
        challenge
    }

    /// Tries the challenge at the shop, like a certificate authority.
    async fn validate(&self) {
        let shop = loop {
            let shop = self.lock().shop;
            match shop {
                Some(shop) => break shop,
                None => tokio::time::sleep(TIMEOUT / 200).await,
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let stream = TcpStream::connect(shop).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let connecting = connector.connect(ServerName::try_from("localhost").unwrap(), stream);
        let stream = timeout(TIMEOUT, connecting).await.unwrap().unwrap();
        let (_, connection) = stream.get_ref();
        assert_eq!(connection.alpn_protocol(), Some(&b"acme-tls/1"[..]));
        let presented = connection.peer_certificates().unwrap()[0].to_vec();
        let digest = Sha256::digest(format!("{TOKEN}.{}", self.lock().thumbprint));
        let expected = CustomExtension::new_acme_identifier(&digest);
        let found = presented.windows(expected.content().len());
        assert_eq!(
            found.filter(|bytes| *bytes == expected.content()).count(),
            1
        );
        let refuses = self.behavior == Behavior::Refuses;
        self.lock().status = if refuses { "invalid" } else { "ready" };
    }

    fn issue(&self, request: &[u8]) -> String {
        let request = CertReq::from_der(request).unwrap();
        let public_key = request.info.public_key.subject_public_key;
        let domain = match self.behavior {
            Behavior::OtherDomain => "evil.example",
            _ => "localhost",
        };
        let params = CertificateParams::new([domain.to_owned()]).unwrap();
        let issued = match self.behavior {
            Behavior::OtherKey => params.signed_by(&KeyPair::generate().unwrap(), &self.issuer),
            _ => params.signed_by(&PublicKey(public_key.raw_bytes().to_vec()), &self.issuer),
        };
        issued.unwrap().pem()
    }
}

/// The key of a certificate request.
struct PublicKey(Vec<u8>);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

type Shop = State<Arc<Shared>>;

/// Returns a part of a signed request.
fn part(request: &Value, name: &str) -> Value {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(request[name].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn with_nonce(status: StatusCode, body: &Value) -> Response {
    (status, [("replay-nonce", "nonce")], Json(body)).into_response()
}

fn located(location: &str, body: &Value) -> Response {
    let mut response = with_nonce(StatusCode::CREATED, body);
    response
        .headers_mut()
        .insert("location", location.parse().unwrap());
    response
}

async fn directory(State(shared): Shop) -> Response {
    let base = &shared.base;
    let mut directory = json!({
        "newNonce": format!("{base}/nonce"),
        "newAccount": format!("{base}/account"),
        "newOrder": format!("{base}/orders"),
    });
    if shared.behavior == Behavior::Huge {
        directory["filler"] = json!("x".repeat(1_000_000));
    }
    Json(directory).into_response()
}

async fn account(State(shared): Shop, Json(request): Json<Value>) -> Response {
    let jwk = &part(&request, "protected")["jwk"];
    let payload = part(&request, "payload");
    assert_eq!(payload["termsOfServiceAgreed"], true);
    // RFC 7638: the required members in lexicographic order.
    let canonical = format!(
        r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
        jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
    );
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical));
    let mut state = shared.lock();
    state.thumbprint = thumbprint;
    state.contacts = serde_json::from_value(payload["contact"].clone()).unwrap();
    located(
        &format!("{}/account/1", shared.base),
        &json!({ "status": "valid" }),
    )
}

async fn new_order(State(shared): Shop, Json(request): Json<Value>) -> Response {
    let wanted = json!([{ "type": "dns", "value": "localhost" }]);
    assert_eq!(part(&request, "payload")["identifiers"], wanted);
    {
        let mut state = shared.lock();
        state.orders += 1;
        state.status = "pending";
    }
    located(&format!("{}/order", shared.base), &shared.order())
}

async fn order(State(shared): Shop) -> Response {
    with_nonce(StatusCode::OK, &shared.order())
}

async fn authorization(State(shared): Shop) -> Response {
    let status = match shared.lock().status {
        "pending" => "pending",
        "invalid" => "invalid",
        _ => "valid",
    };
    let authorization = json!({
        "identifier": { "type": "dns", "value": "localhost" },
        "status": status,
        "challenges": [shared.challenge()],
    });
    with_nonce(StatusCode::OK, &authorization)
}

async fn challenge(State(shared): Shop) -> Response {
    let accepted = shared.challenge();
    tokio::spawn(async move { shared.validate().await });
    with_nonce(StatusCode::OK, &accepted)
}

async fn finalize(State(shared): Shop, Json(request): Json<Value>) -> Response {
    let csr = part(&request, "payload")["csr"]
        .as_str()
        .unwrap()
        .to_owned();
    let chain = shared.issue(&BASE64_URL_SAFE_NO_PAD.decode(csr).unwrap());
    {
        let mut state = shared.lock();
        (state.status, state.chain) = ("valid", chain);
    }
    with_nonce(StatusCode::OK, &shared.order())
}

async fn certificate(State(shared): Shop) -> Response {
    let chain = shared.lock().chain.clone();
    ([("replay-nonce", "nonce")], chain).into_response()
}

/// Accepts the certificate of a challenge, which nobody has signed and whose extension is unknown to rustls.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = aws_lc_rs::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
