//! A certificate chain and its private key.

use std::sync::Arc;

use rustls::{
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_cert::{Certificate as X509, der::Decode};

use crate::core::clock::Timestamp;

/// A certificate chain whose private key fits.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub(super) enum Invalid {
    /// What is wrong with the chain.
    Chain(String),
    /// What is wrong with the private key.
    Key(String),
    /// The key belongs to another certificate.
    Mismatch,
}

impl Certificate {
    /// Parses a chain, the server's certificate first, and its key: PKCS#8, PKCS#1 or SEC1, unencrypted.
    pub(super) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, Invalid> {
        let broken = |error: &dyn std::fmt::Display| Invalid::Chain(error.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| broken(&error))?;
        let first = chain
            .first()
            .ok_or_else(|| broken(&"it contains no certificate in PEM"))?;
        let parsed = X509::from_der(first).map_err(|error| broken(&error))?;
        let validity = parsed.tbs_certificate.validity;
        let at = |time: x509_cert::time::Time| {
            let millis = time.to_unix_duration().as_millis();
            Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => Invalid::Key(
                "it contains no private key in PEM; an encrypted key must be decrypted first"
                    .to_owned(),
            ),
            error => Invalid::Key(error.to_string()),
        })?;
        let key = CertifiedKey::from_der(chain.clone(), key, &aws_lc_rs::default_provider())
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Invalid::Mismatch,
                rustls::Error::InvalidCertificate(error) => broken(&error),
                error => Invalid::Key(error.to_string()),
            })?;
        Ok(Certificate {
            key: Arc::new(key),
            not_before: at(validity.not_before),
            not_after: at(validity.not_after),
        })
    }

    /// Returns the first of these names that the certificate is not valid for.
    pub(super) fn first_missing<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        let is_valid_for = |name: &str| {
            let leaf = self.key.end_entity_cert().ok()?;
            let leaf = ParsedCertificate::try_from(leaf).ok()?;
            verify_server_name(&leaf, &ServerName::try_from(name).ok()?).ok()
        };
        let mut names = names.iter().map(String::as_str);
        names.find(|name| is_valid_for(name).is_none())
    }

    /// Returns when a new certificate should be ordered: after two thirds of the validity, as Let's Encrypt
    /// recommends.
    pub(super) fn renew_at(&self) -> Timestamp {
        let validity = self.not_after.0.saturating_sub(self.not_before.0);
        Timestamp(self.not_after.0.saturating_sub(validity / 3))
    }
}
