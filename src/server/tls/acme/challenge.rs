//! The answer to a TLS-ALPN-01 challenge (RFC 8737): a self-signed certificate with a digest, for a handshake that
//! offers only the protocol `acme-tls/1`.

use std::{collections::BTreeMap, sync::Arc};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::ClientHello,
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Acme, store::CHALLENGES};
use crate::core::error::{Error, Result};

const PROTOCOL: &[u8] = b"acme-tls/1";

/// Returns whether this handshake tries a challenge.
pub(in crate::server::tls) fn is_challenge(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| {
        protocols.next() == Some(PROTOCOL) && protocols.next().is_none()
    })
}

impl Acme {
    /// Returns the configuration for the handshake that tries the challenge of a domain, or `None` if there is none.
    pub(in crate::server::tls) async fn answer(
        &self,
        domain: &str,
    ) -> Result<Option<Arc<ServerConfig>>> {
        if !self.domains.iter().any(|own| own == domain) {
            return Ok(None);
        }
        let answers: Option<BTreeMap<String, String>> = self.store.get(CHALLENGES).await?;
        let Some(digest) = answers.unwrap_or_default().remove(domain) else {
            return Ok(None);
        };
        let digest = <[u8; 32]>::try_from(hex::decode(digest).map_err(Error::internal)?)
            .map_err(|_| Error::internal("a challenge has no SHA-256 digest"))?;
        config(domain, &digest).map(Some)
    }
}

fn config(domain: &str, digest: &[u8; 32]) -> Result<Arc<ServerConfig>> {
    let key = KeyPair::generate().map_err(Error::internal)?;
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(Error::internal)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(Error::internal)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::sign::any_ecdsa_type(&key).map_err(Error::internal)?;
    // `with_single_cert` rejects the critical extension, which it does not know.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}
