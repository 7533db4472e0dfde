//! Where an Engine is and how to reach it, read from the settings the docker CLI also reads.

/// Where an Engine is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    text: String,
}

impl Endpoint {
    /// Reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as the docker CLI does.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn from_values(
        docker_host: Option<&str>,
        _tls_verify: Option<&str>,
        _cert_path: Option<&str>,
    ) -> Result<Self, String> {
        Ok(Self { text: docker_host.unwrap_or_default().to_owned() })
    }
}
