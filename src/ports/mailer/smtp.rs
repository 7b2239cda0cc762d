//! A mail server, by SMTP (RFC 5321): with STARTTLS or TLS from the first byte, signed in where the URL
//! has a name and a password.

use std::{net::IpAddr, time::Duration};

use futures_util::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{Error as SmtpError, PoolConfig},
};
use url::Url;

use super::{Letter, Mailer, message};
use crate::{
    config::Secret,
    error::{Error, Result},
    ports::Refusal,
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
        let with_tls = with_tls(&url.0).ok_or_else(|| Error::config(FORM))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&with_tls)
            .map_err(|error| Error::config(FORM).caused_by(error))?
            .timeout(Some(ANSWER))
            .pool_config(PoolConfig::new().max_size(MOST_CONNECTIONS))
            .build();
        Ok(Smtp { transport, from })
    }
}

/// The URL with its `tls`, explicit. None: it is not a URL.
fn with_tls(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    if url.scheme() == "smtp" && url.query_pairs().all(|(name, _)| name != "tls") {
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let tls = if has_credentials && !is_loopback(&url) {
            "required"
        } else {
            "opportunistic"
        };
        url.query_pairs_mut().append_pair("tls", tls);
    }
    Some(url.into())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

impl Mailer for Smtp {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Refusal>> {
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
