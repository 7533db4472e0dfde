//! An Engine behind TCP with TLS, where both sides show a certificate.
