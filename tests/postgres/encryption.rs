//! TLS on the way to the server, and whom it is believed.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

/// Certificates made for this run by the `openssl` program: an authority, what it has signed for
/// `localhost`, and an authority that has signed nothing.
pub(super) fn papers() -> tempfile::TempDir {
    let papers = tempfile::tempdir().unwrap();
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
            .current_dir(papers.path())
            .output()
            .expect("the program `openssl` must be there");
        assert!(made.status.success(), "{}", texts(&made.stderr));
    };
    make("ca", &[]);
    make("stranger", &[]);
    let signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext"];
    let of_a_server = ["basicConstraints=critical,CA:FALSE", "-addext"];
    let name = ["subjectAltName=DNS:localhost"];
    make("localhost", &[&signed[..], &of_a_server, &name].concat());
    papers
}

/// A command that believes what `authority` has signed.
fn believing(here: &Path, authority: &Path, url: &str) -> Command {
    let mut command = shop(here);
    command
        .env("SHOP_DATABASE_URL", url)
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR");
    command
}

#[test]
fn a_server_without_tls_is_refused_where_it_is_required() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // what a server says that was built or set up without it
            let (mut stream, mut asked) = (stream.unwrap(), [0; 8]);
            if stream.read_exact(&mut asked).is_ok() {
                drop(stream.write_all(b"N"));
            }
        }
    });
    for mode in ["require", "verify-full"] {
        let why = refuses(&format!(
            "postgres://ada:{SECRET}@{address}/shop?sslmode={mode}"
        ));
        names(&why, &["TLS", "`sslmode`", "`disable`"]);
    }
    // Its `?` does not make a password of what it says of TLS.
    let why = refuses(&format!(
        "postgres://ada:{SECRET}?@{address}/shop?sslmode=require"
    ));
    names(&why, &["`sslmode`"]);
}

#[test]
fn a_server_that_wants_tls_is_told_from_one_that_is_down() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let why = refuses(&server.url("tess", &format!("{database}?sslmode=disable")));
    names(&why, &["`tess`", "`sslmode`", &database]);
    assert_eq!(server.tables(&database), [""; 0]);
    opens(&server.url("tess", &database));
}

#[test]
fn require_encrypts_whoever_has_signed() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (here, database) = (tempfile::tempdir().unwrap(), server.database());
    let url = server.url("tess", &format!("{database}?sslmode=require"));
    opened(&mut believing(
        here.path(),
        &server.papers.path().join("stranger.crt"),
        &url,
    ));
}

#[test]
fn verify_full_believes_the_systems_roots_only() {
    let Some(server) = Server::shared() else {
        return;
    };
    let (here, database) = (tempfile::tempdir().unwrap(), server.database());
    let url = server.url("tess", &format!("{database}?sslmode=verify-full"));
    let localhost = url.replace("127.0.0.1", "localhost");
    let papers = server.papers.path();

    let stranger = &mut believing(here.path(), &papers.join("stranger.crt"), &localhost);
    names(
        &refused(stranger),
        &["certificate", "UnknownIssuer", "`require`"],
    );
    let other_name = &mut believing(here.path(), &papers.join("ca.crt"), &url);
    names(
        &refused(other_name),
        &["certificate", "127.0.0.1", "localhost"],
    );
    let nobody = &mut believing(here.path(), &papers.join("none.crt"), &localhost);
    names(&refused(nobody), &["`ca-certificates`", "`SSL_CERT_FILE`"]);
    assert_eq!(server.tables(&database), [""; 0]);

    opened(&mut believing(
        here.path(),
        &papers.join("ca.crt"),
        &localhost,
    ));
    assert!(server.tables(&database).contains(&"orders".to_owned()));
}
