//! A mail server, by SMTP (RFC 5321): with STARTTLS or TLS from the first byte, signed in where the URL
//! has a name and a password.

use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{Error as SmtpError, PoolConfig},
};

use super::{Letter, Mailer, message};
use crate::{
    config::Secret,
    error::{Error, Result},
    ports::Refusal,
};

/// How long the server may take for one answer, and for a whole letter.
const ANSWER: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(45);

/// How many connections are kept.
const MOST_CONNECTIONS: u32 = 4;

pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// From `smtp://name:password@host:port?tls=opportunistic`, `?tls=required`, or `smtps://…`; without
    /// `tls`, STARTTLS where it is offered. Certificates are checked against the system's roots.
    pub fn open(url: &Secret, from: Mailbox) -> Result<Smtp> {
        let wrong = |error: SmtpError| {
            let detail = "`smtp_url` must be as `smtp://name:password@host:587?tls=required` or \
                          `smtps://name:password@host`, special letters in percent form";
            Error::config(detail).caused_by(error)
        };
        let is_plain = url.0.starts_with("smtp://") && !url.0.contains('?');
        let whole = if is_plain {
            format!("{}?tls=opportunistic", url.0)
        } else {
            url.0.clone()
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&whole)
            .map_err(wrong)?
            .timeout(Some(ANSWER))
            .pool_config(PoolConfig::new().max_size(MOST_CONNECTIONS))
            .build();
        Ok(Smtp { transport, from })
    }
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
