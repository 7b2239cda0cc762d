//! Sends emails by SMTP (RFC 5321), with STARTTLS or implicit TLS, and with authentication if the URL has
//! credentials.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use futures_util::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        AsyncSmtpTransportBuilder, Error as SmtpError, PoolConfig, SUBMISSION_PORT,
        SUBMISSIONS_PORT,
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use url::Url;

use super::{MailMessage, Mailer, message};
use crate::{
    core::error::{Error, Result},
    infra::{config::Secret, ports::Refusal},
};

/// The timeout for one response of the server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// The timeout for sending one email.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);

/// The error for an invalid URL. It does not show the URL, which may contain a password.
const INVALID_URL: &str = "`smtp_url` must look like `smtp://name:password@host:587?tls=required` or \
                    `smtps://name:password@host`, with special characters percent-encoded";

/// The maximum number of pooled connections.
const MAX_CONNECTIONS: u32 = 4;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub struct SmtpMailer {
    transport: Transport,
    from: Mailbox,
}

impl SmtpMailer {
    pub fn new(transport: Transport, from: Mailbox) -> SmtpMailer {
        SmtpMailer { transport, from }
    }
}

/// `url` is `smtp://name:password@host:port?tls=required`, `?tls=opportunistic` (STARTTLS if the server offers it), or
/// `smtps://…`. By default, TLS is required for a URL with credentials unless the host is this machine: an attacker in
/// the network could suppress STARTTLS and read the password. Certificates are verified with the system's root
/// certificates.
///
/// Errors: `Config` if the URL is invalid.
pub fn smtp_transport(url: &Secret) -> Result<Transport> {
    let builder = builder(url.expose_secret())?
        .timeout(Some(RESPONSE_TIMEOUT))
        .pool_config(PoolConfig::new().max_size(MAX_CONNECTIONS));
    Ok(builder.build())
}

/// Configures the transport from a URL. Unlike lettre's own parser, it accepts IPv6 addresses in brackets.
fn builder(url: &str) -> Result<AsyncSmtpTransportBuilder> {
    let invalid = || Error::config(INVALID_URL);
    let url = Url::parse(url).map_err(|error| invalid().caused_by(error))?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(invalid)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mode = url
        .query_pairs()
        .find(|(name, _)| name == "tls")
        .map(|(_, mode)| mode);
    let tls = TlsParameters::new(host.to_owned()).map_err(|error| invalid().caused_by(error))?;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_exposed = has_credentials && !is_loopback(host);
    let (port, tls) = match (url.scheme(), mode.as_deref(), is_exposed) {
        ("smtp", Some("required"), _) | ("smtp", None, true) => {
            (SUBMISSION_PORT, Tls::Required(tls))
        }
        ("smtp", Some("opportunistic"), _) | ("smtp", None, false) => {
            (SUBMISSION_PORT, Tls::Opportunistic(tls))
        }
        ("smtps", ..) => (SUBMISSIONS_PORT, Tls::Wrapper(tls)),
        _ => return Err(invalid()),
    };
    let mut builder = Transport::builder_dangerous(host)
        .port(url.port().unwrap_or(port))
        .tls(tls);
    let hello = url.path().trim_matches('/');
    if !hello.is_empty() {
        builder = builder.hello_name(ClientId::Domain(hello.to_owned()));
    }
    if let Some(password) = url.password() {
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(Cow::into_owned)
                .map_err(|error| invalid().caused_by(error))
        };
        builder = builder.credentials(Credentials::new(decode(url.username())?, decode(password)?));
    }
    Ok(builder)
}

/// Returns whether a host, without brackets, is this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

impl Mailer for SmtpMailer {
    fn send<'a>(&'a self, mail: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let message = message(mail, &self.from)?;
            match tokio::time::timeout(SEND_TIMEOUT, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(refusal(&error)),
                Err(_) => Err(Refusal::transient(
                    "the mail server did not respond in time",
                )),
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            match tokio::time::timeout(SEND_TIMEOUT, self.transport.test_connection()).await {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err(Refusal::transient("the mail server rejected `NOOP`")),
                Ok(Err(error)) => Err(refusal(&error)),
                Err(_) => Err(Refusal::transient(
                    "the mail server did not respond in time",
                )),
            }
        })
    }

    fn domain(&self) -> String {
        self.from.email.domain().to_owned()
    }
}

/// The status codes for recipients that do not exist, or no longer (RFC 3463, sections 3.2 and 3.3). Only these are
/// permanent. The operator can fix the others, e.g. a wrong password, a sender that is not allowed, or a wrong
/// blocklist entry; some are rate limits, e.g. Mailtrap's `550 5.7.0 … too many emails per second`.
const INVALID_RECIPIENT: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

fn refusal(error: &SmtpError) -> Refusal {
    let reason = error.to_string();
    let mut words = reason.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    if error.is_permanent() && words.any(|word| INVALID_RECIPIENT.contains(&word)) {
        Refusal::permanent(reason)
    } else {
        Refusal::transient(reason)
    }
}
