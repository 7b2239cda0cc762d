//! Warnings of a starting server about dangerous settings.

use super::{
    configuration::{log_of, shop},
    *,
};

#[test]
fn a_public_address_without_rate_limits_is_warned_about() {
    let log_of = |more: &[&str], limits: &str| {
        let here = tempfile::tempdir().unwrap();
        let mut command = shop(here.path(), &["serve"]);
        command.args(more);
        command
            .env("SHOP_RATE_LIMIT", limits)
            .env("SHOP_LOG", "warn");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        log_of(Process::listening(command))
    };
    let (public, private) = (["--listen", "0.0.0.0:0"], ["--listen", "127.0.0.1:0"]);
    assert!(log_of(&public, "off").contains("WARNING: rate limits are off"));
    assert!(!log_of(&public, "on").contains("WARNING"));
    assert!(!log_of(&private, "off").contains("WARNING"));
    let demo = ["--demo", "--yes-public"];
    assert!(log_of(&[&public[..], &demo].concat(), "on").contains("WARNING: a demo"));
}

#[test]
fn unreachable_links_are_warned_about() {
    let log_of = |listen: &str, variables: &[(&str, &str)]| {
        let here = tempfile::tempdir().unwrap();
        let mut command = shop(here.path(), &["serve", "--listen", listen]);
        command
            .env("SHOP_LOG", "warn")
            .envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        log_of(Process::listening(command))
    };
    let mail = [
        ("SHOP_SMTP_URL", "smtp://mail.example"),
        ("SHOP_MAIL_FROM", "Shop <shop@shop.example>"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&mail[..], more].concat();
    let unreachable = "other machines cannot open";
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let log = log_of(listen, &mail);
        for word in ["WARN", "links in emails", unreachable, "SHOP_PUBLIC_URL"] {
            assert!(log.contains(word), "{listen}: {word}: {log}");
        }
        assert!(
            log_of(listen, &[]).contains(unreachable),
            "image URLs are links, too"
        );
        let set = with(&[("SHOP_PUBLIC_URL", "https://shop.example")]);
        assert!(!log_of(listen, &set).contains("WARN"));
    }
    let named = with(&[("SHOP_PUBLIC_URL", "http://0.0.0.0:8080")]);
    assert!(log_of("127.0.0.1:0", &named).contains(unreachable));
    assert!(
        !log_of("127.0.0.1:0", &mail).contains("WARN"),
        "local use is fine"
    );
    // Behind a proxy on the same machine.
    let public = ("SHOP_PUBLIC_URL", "https://shop.example");
    let log = log_of("127.0.0.1:0", &[public]);
    assert!(log.contains("SHOP_TRUSTED_PROXIES=127.0.0.1"), "{log}");
    let trusted = [public, ("SHOP_TRUSTED_PROXIES", "127.0.0.1")];
    assert!(!log_of("127.0.0.1:0", &trusted).contains("WARN"));
    let local = [("SHOP_PUBLIC_URL", "http://localhost:8080")];
    assert!(!log_of("127.0.0.1:0", &local).contains("WARN"));
}
