//! Whom to trust, and the handshake.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Certificates of authorities, as PEM.
pub struct Trust {
    pem: Vec<u8>,
    /// Read when the first server wants TLS: it takes a while.
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    pub fn new(pem: Vec<u8>) -> Trust {
        Trust {
            pem,
            config: OnceLock::new(),
        }
    }

    /// A connection that has yet to shake hands, which its first use does.
    pub(super) fn connection(&self, host: &str) -> Result<ClientConnection, String> {
        let config = self.config.get_or_init(|| config(&self.pem)).clone()?;
        let name = ServerName::try_from(host.to_string()).map_err(|e| e.to_string())?;
        ClientConnection::new(config, name).map_err(|e| e.to_string())
    }
}

fn config(pem: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    // What can't be an authority here is none: a server that needs it is asked in another way.
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err("there is no authority to trust".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
