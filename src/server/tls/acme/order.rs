//! One order of a certificate (RFC 8555), proved by TLS-ALPN-01 (RFC 8737).

use std::collections::BTreeMap;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};

use super::{
    Acme,
    store::{ACCOUNT, CERTIFICATE, CHALLENGES},
};
use crate::{
    core::error::{Error, Result},
    infra::ports::AcmeTransport,
    server::tls::certificate::{Certificate, Invalid},
};

/// How the state of an order is polled.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(std::time::Duration::from_millis(500))
    .timeout(std::time::Duration::from_mins(1));

/// The account at one certificate authority.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    directory: String,
    credentials: AccountCredentials,
}

/// An issued certificate and what it was ordered for.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredCertificate {
    pub(super) directory: String,
    pub(super) domains: Vec<String>,
    pub(super) chain: String,
    pub(super) key: String,
}

impl StoredCertificate {
    /// Errors: `Unavailable` if it is not a certificate with its key.
    pub(super) fn parse(&self) -> Result<Certificate> {
        let parsed = Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes());
        parsed.map_err(|error| {
            Error::unavailable(match error {
                Invalid::Chain(why) => format!("the certificate is invalid: {why}"),
                Invalid::Key(why) => format!("the certificate's key is invalid: {why}"),
                Invalid::Mismatch => "the certificate was issued for another key".to_owned(),
            })
        })
    }
}

impl Acme {
    /// Orders a certificate, checks it and stores it.
    ///
    /// Errors: `Unavailable` with what the certificate authority or the check says.
    pub(super) async fn order(&self) -> Result<()> {
        let account = self.account().await?;
        let identifiers: Vec<_> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let ordered = account.new_order(&NewOrder::new(&identifiers)).await;
        let mut order = match ordered {
            Ok(order) => order,
            Err(error) => {
                self.forget_unknown_account(&error).await?;
                return Err(failed(error));
            }
        };
        self.answer_challenges(&mut order).await?;
        if order.poll_ready(&POLLING).await.map_err(failed)? != OrderStatus::Ready {
            return Err(refused(&mut order).await);
        }
        let key = KeyPair::generate().map_err(Error::internal)?;
        let mut params = CertificateParams::new(self.domains.clone()).map_err(Error::internal)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(Error::internal)?;
        order.finalize_csr(request.der()).await.map_err(failed)?;
        let stored = StoredCertificate {
            directory: self.directory.clone(),
            domains: self.domains.clone(),
            chain: order.poll_certificate(&POLLING).await.map_err(failed)?,
            key: key.serialize_pem(),
        };
        self.check(&stored.parse()?)?;
        self.store.put(CERTIFICATE, &stored).await
    }

    /// Errors: `Unavailable` if a new certificate would not replace the old one with success.
    fn check(&self, certificate: &Certificate) -> Result<()> {
        if let Some(domain) = certificate.first_missing(&self.domains) {
            let detail = format!("the issued certificate is not valid for `{domain}`");
            return Err(Error::unavailable(detail));
        }
        let now = self.clock.now();
        if now >= certificate.renew_at() || now < certificate.not_before {
            let (from, until) = (certificate.not_before, certificate.not_after);
            return Err(Error::unavailable(format!(
                "the issued certificate is valid from {from} until {until}, and it is {now} now; is the clock \
                 right?"
            )));
        }
        Ok(())
    }

    /// Returns the account, and creates it at the first order.
    async fn account(&self) -> Result<Account> {
        let builder = Account::builder_with_http(Box::new(AcmeTransport::new()?));
        let stored: Option<Option<StoredAccount>> = self.store.get(ACCOUNT).await?;
        if let Some(stored) = stored.flatten().filter(|it| it.directory == self.directory) {
            let account = builder.from_credentials(stored.credentials).await;
            return account.map_err(failed);
        }
        let contact = self.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let account = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let created = builder.create(&account, self.directory.clone(), None).await;
        let (account, credentials) = created.map_err(failed)?;
        let stored = StoredAccount {
            directory: self.directory.clone(),
            credentials,
        };
        self.store.put(ACCOUNT, &Some(stored)).await?;
        Ok(account)
    }

    /// Forgets an account that the certificate authority does not have any more, so that the next order creates
    /// another.
    async fn forget_unknown_account(&self, error: &instant_acme::Error) -> Result<()> {
        let instant_acme::Error::Api(problem) = error else {
            return Ok(());
        };
        match problem.r#type.as_deref() {
            Some("urn:ietf:params:acme:error:accountDoesNotExist") => {
                self.store.put(ACCOUNT, &None::<StoredAccount>).await
            }
            _ => Ok(()),
        }
    }

    /// Publishes the answers to the challenges of an order, then lets the certificate authority try them.
    async fn answer_challenges(&self, order: &mut Order) -> Result<()> {
        let mut answers = BTreeMap::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(failed)?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                status => {
                    let detail = format!("the authorization of a domain is {status:?}");
                    return Err(Error::unavailable(detail));
                }
            }
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let mut challenge = challenge.ok_or_else(|| {
                Error::unavailable("the certificate authority does not offer TLS-ALPN-01")
            })?;
            let digest = hex::encode(challenge.key_authorization().digest());
            answers.insert(challenge.identifier().to_string(), digest);
            self.store.put(CHALLENGES, &answers).await?;
            challenge.set_ready().await.map_err(failed)?;
        }
        Ok(())
    }
}

/// Returns why an order is not ready: the error of its first failed challenge.
async fn refused(order: &mut Order) -> Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let domain = state.identifier().to_string();
        let mut challenges = state.challenges.iter();
        if let Some(problem) = challenges.find_map(|challenge| challenge.error.as_ref()) {
            return Error::unavailable(format!(
                "the certificate authority could not verify `{domain}`: {problem}"
            ));
        }
    }
    Error::unavailable("the certificate authority refused the order")
}

fn failed(error: instant_acme::Error) -> Error {
    Error::unavailable(error.to_string()).caused_by(error)
}
