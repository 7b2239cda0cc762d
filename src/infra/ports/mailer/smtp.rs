//! A mail server, by SMTP (RFC 5321): with STARTTLS or TLS from the first byte, signed in where the URL
//! has a name and a password.

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
use url::Url;

use super::{MailMessage, Mailer, message};
use crate::{
    core::error::{Error, Result},
    infra::{config::Secret, ports::Refusal},
};

/// How long the server may take for one answer, and for a whole letter.
const ANSWER: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(45);

/// What to say of a URL that is wrong. It may hold a password, so it is not shown.
const FORM: &str = "`smtp_url` must look like `smtp://name:password@host:587?tls=required` or \
                    `smtps://name:password@host`, with special characters percent-encoded";

/// How many connections are kept.
const MOST_CONNECTIONS: u32 = 4;

pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// From `smtp://name:password@host:port?tls=opportunistic` (STARTTLS if the server offers it),
    /// `?tls=required`, or `smtps://…`. Without `tls`, it is required for a URL with credentials unless
    /// the host is this machine: whoever controls the network could hide the offer and read the password.
    /// Certificates are checked against the system's roots.
    pub fn open(url: &Secret, from: Mailbox) -> Result<Smtp> {
        let transport = builder(&url.0)?
            .timeout(Some(ANSWER))
            .pool_config(PoolConfig::new().max_size(MOST_CONNECTIONS))
            .build();
        Ok(Smtp { transport, from })
    }
}

/// The transport of a URL. lettre would connect to the host as URLs write it, which is no address where it
/// is one of IPv6, in brackets.
fn builder(url: &str) -> Result<AsyncSmtpTransportBuilder> {
    let wrong = || Error::config(FORM);
    let url = Url::parse(url).map_err(|error| wrong().caused_by(error))?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mode = url
        .query_pairs()
        .find(|(name, _)| name == "tls")
        .map(|(_, mode)| mode);
    let tls = TlsParameters::new(host.to_owned()).map_err(|error| wrong().caused_by(error))?;
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
        _ => return Err(wrong()),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
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
                .map_err(|error| wrong().caused_by(error))
        };
        builder = builder.credentials(Credentials::new(decode(url.username())?, decode(password)?));
    }
    Ok(builder)
}

/// Whether a host, without brackets, is this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

impl Mailer for Smtp {
    fn send<'a>(&'a self, letter: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let message = message(letter, &self.from)?;
            match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(refusal(&error)),
                Err(_) => Err(Refusal::passing("the mail server takes too long")),
            }
        })
    }

    fn domain(&self) -> String {
        self.from.email.domain().to_owned()
    }
}

/// What a server says of a recipient that there is not, or is no more (RFC 3463, section 3.2 and 3.3).
/// Everything else may be mended: a wrong password, a sender that is not allowed, a list that the shop is
/// on by mistake, Mailtrap's `550 5.7.0 … too many emails per second`.
const ABOUT_THE_RECIPIENT: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

fn refusal(error: &SmtpError) -> Refusal {
    let why = error.to_string();
    let mut words = why.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    if error.is_permanent() && words.any(|word| ABOUT_THE_RECIPIENT.contains(&word)) {
        Refusal::lasting(why)
    } else {
        Refusal::passing(why)
    }
}
