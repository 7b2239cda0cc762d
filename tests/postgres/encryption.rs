//! TLS connections, and certificate verification.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

/// Creates certificates with the `openssl` program: an authority, a certificate for `localhost` signed by it,
/// and an unrelated authority.
pub(super) fn certificates() -> tempfile::TempDir {
    let certificates = tempfile::tempdir().unwrap();
    let make = |name: &str, options: &[&str]| {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-days", "3650"])
            .args([
                "-keyout",
                &format!("{name}.key"),
                "-out",
                &format!("{name}.crt"),
            ])
            .args(["-subj", &format!("/CN={name}")])
            .args(options)
            .current_dir(certificates.path())
            .output()
            .expect("the program `openssl` is installed");
        assert!(made.status.success(), "{}", texts(&made.stderr));
    };
    make("ca", &[]);
    make("stranger", &[]);
    let signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext"];
    let server = ["basicConstraints=critical,CA:FALSE", "-addext"];
    let name = ["subjectAltName=DNS:localhost"];
    make("localhost", &[&signed[..], &server, &name].concat());
    certificates
}

/// Returns a command that trusts the certificates signed by `authority`.
fn trusting(here: &Path, authority: &Path, url: &str) -> Command {
    let mut command = shop(here);
    command
        .env("SHOP_DATABASE_URL", url)
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR");
    command
}

#[test]
fn a_server_without_tls_is_rejected_if_tls_is_required() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The response of a server without TLS to an SSLRequest.
            let (mut stream, mut request) = (stream.unwrap(), [0; 8]);
            if stream.read_exact(&mut request).is_ok() {
                drop(stream.write_all(b"N"));
            }
        }
    });
    for mode in ["require", "verify-full"] {
        let why = refuses(&format!(
            "postgres://ada:{SECRET}@{address}/shop?sslmode={mode}"
        ));
        assert_contains(&why, &["TLS", "`sslmode`", "`disable`"]);
    }
    // A `?` in the password does not hide `sslmode`.
    let why = refuses(&format!(
        "postgres://ada:{SECRET}?@{address}/shop?sslmode=require"
    ));
    assert_contains(&why, &["`sslmode`"]);
}

#[test]
fn a_server_that_requires_tls_is_reported_as_such() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let why = refuses(&server.url("tess", &format!("{database}?sslmode=disable")));
    assert_contains(&why, &["`tess`", "`sslmode`", &database]);
    assert_eq!(server.tables(&database), [""; 0]);
    opens(&server.url("tess", &database));
}

#[test]
fn require_accepts_any_certificate() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (here, database) = (tempfile::tempdir().unwrap(), server.database());
    let url = server.url("tess", &format!("{database}?sslmode=require"));
    opened(&mut trusting(
        here.path(),
        &server.certificates.path().join("stranger.crt"),
        &url,
    ));
}

#[test]
fn verify_full_trusts_the_system_roots_only() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (here, database) = (tempfile::tempdir().unwrap(), server.database());
    let url = server.url("tess", &format!("{database}?sslmode=verify-full"));
    let localhost = url.replace("127.0.0.1", "localhost");
    let certificates = server.certificates.path();

    let stranger = &mut trusting(here.path(), &certificates.join("stranger.crt"), &localhost);
    assert_contains(
        &refused(stranger),
        &["certificate", "UnknownIssuer", "`require`"],
    );
    let other_name = &mut trusting(here.path(), &certificates.join("ca.crt"), &url);
    assert_contains(
        &refused(other_name),
        &["certificate", "127.0.0.1", "localhost"],
    );
    let no_roots = &mut trusting(here.path(), &certificates.join("none.crt"), &localhost);
    assert_contains(
        &refused(no_roots),
        &["`ca-certificates`", "`SSL_CERT_FILE`"],
    );
    assert_eq!(server.tables(&database), [""; 0]);

    opened(&mut trusting(
        here.path(),
        &certificates.join("ca.crt"),
        &localhost,
    ));
    assert!(server.tables(&database).contains(&"orders".to_owned()));
}
