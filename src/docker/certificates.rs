//! Certificates and keys as PEM text: whose they are and until when, and in words what is wrong with a text.

use std::fmt::Display;
use std::net::IpAddr;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::one_line::one_line;

/// Longest PEM text that is read, in bytes: a certificate takes 1 to 4 KiB, a bundle of authorities more.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// The purposes of a certificate that let it prove a client (RFC 5280 4.2.1.12): `clientAuth` and any.
const CLIENT_PURPOSES: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"), ObjectIdentifier::new_unwrap("2.5.29.37.0")];

/// A fault of one field of a host's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFault {
    /// `endpoint`, `ca`, `cert`, `key` or `insecure`.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl AddressFault {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CertificateRole {
    /// The authority that vouches for the Engine.
    Ca,
    /// DockNap's own.
    Client,
    /// The Engine's, as it was shown at the last handshake.
    Server,
}

impl CertificateRole {
    /// Whose it is, as the beginning of a sentence.
    pub fn whose(self) -> &'static str {
        match self {
            Self::Ca => "The authority’s",
            Self::Client => "DockNap’s",
            Self::Server => "The Engine’s",
        }
    }
}

/// A certificate in use for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub role: CertificateRole,
    /// The common name, or else the whole name.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What is read from a certificate.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub subject: String,
    pub issuer: String,
    /// The names in binary form, which are compared.
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    public_key: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Names and addresses of the machine, from `subjectAltName`.
    pub hosts: Vec<String>,
    pub is_authority: bool,
    /// Whether `extendedKeyUsage` excludes clients.
    servers_only: bool,
}

impl Facts {
    /// Reads a certificate in binary form; `None` if it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let inner = certificate.tbs_certificate();
        let authority = inner.get_extension::<BasicConstraints>().ok().flatten();
        let purposes = inner.get_extension::<ExtendedKeyUsage>().ok().flatten();
        let names = inner.get_extension::<SubjectAltName>().ok().flatten();
        Some(Self {
            subject: readable(inner.subject()),
            issuer: readable(inner.issuer()),
            subject_der: inner.subject().to_der().ok()?,
            issuer_der: inner.issuer().to_der().ok()?,
            public_key: inner.subject_public_key_info().to_der().ok()?,
            not_before: instant(inner.validity().not_before),
            not_after: instant(inner.validity().not_after),
            hosts: names.map_or_else(Vec::new, |(_, names)| names.0.iter().filter_map(host).collect()),
            is_authority: authority.is_some_and(|(_, constraints)| constraints.ca),
            servers_only: purposes
                .is_some_and(|(_, purposes)| !purposes.0.iter().any(|one| CLIENT_PURPOSES.contains(one))),
        })
    }

    /// Whether the issuer's name is the subject's own.
    fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer_der == other.subject_der
    }

    pub(super) fn shown_as(&self, role: CertificateRole) -> Certificate {
        let Self { subject, not_before, not_after, .. } = self;
        Certificate { role, subject: subject.clone(), not_before: *not_before, not_after: *not_after }
    }

    /// Why it is not valid at `now`; `None` if it is.
    pub(super) fn out_of_date(&self, now: Timestamp) -> Option<String> {
        if now > self.not_after {
            Some(format!("expired on {}: renew it", day(self.not_after)))
        } else if now < self.not_before {
            let (from, now) = (day(self.not_before), day(now));
            Some(format!(
                "is not valid before {from}, and the clock here shows {now}: set the clock, or renew it"
            ))
        } else {
            None
        }
    }
}

/// An instant in a message.
pub(super) fn day(at: Timestamp) -> impl Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}

fn instant(time: Time) -> Timestamp {
    // "Never" is written as the last second of the year 9999, two days past the last instant of jiff.
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn readable(name: &Name) -> String {
    let common = name.common_name().ok().flatten().map(|name| name.value().into_owned());
    one_line(&common.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| name.to_string()))
}

fn host(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(one_line(name.as_str())),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// A PEM text with the field it belongs to and what messages call it: a file, or such as "the certificate of the authority".
pub(super) struct PemText {
    pub field: &'static str,
    pub label: String,
    pub bytes: Vec<u8>,
    /// Whether the text is stored and shown as it is, so that it must hold no key.
    pub public: bool,
}

/// The sections of a PEM text.
struct Sections {
    /// The words after BEGIN of all sections.
    kinds: Vec<String>,
    /// The sections of a known kind, decoded.
    decoded: Vec<(SectionKind, Vec<u8>)>,
}

impl Sections {
    fn has(&self, word: &str) -> bool {
        self.kinds.iter().any(|kind| kind.contains(word))
    }
}

impl PemText {
    pub(super) fn fault(&self, what: impl Display) -> AddressFault {
        AddressFault { field: self.field, message: format!("{} {what}", self.label) }
    }

    fn sections(&self) -> Result<Sections, AddressFault> {
        if self.bytes.len() > MAX_TEXT {
            return Err(self.fault(format_args!(
                "is longer than {} KiB, and a certificate or key takes 1 to 4 KiB: is it the right one?",
                MAX_TEXT / 1024
            )));
        }
        let text = match std::str::from_utf8(&self.bytes) {
            // What a Windows editor puts before a text.
            Ok(text) => text.trim_start_matches('\u{feff}'),
            Err(_) if self.bytes.starts_with(b"\x30") => {
                return Err(self.fault(
                    "is in binary form (DER or PKCS #12), and PEM text is needed: convert it with `openssl x509 \
                     -inform der -in FILE`, or `openssl pkcs12 -in FILE -nodes`",
                ));
            }
            Err(_) => return Err(self.fault("is not a text; PEM text is needed")),
        };
        // Spaces around a line come from pasting; PEM gives them no meaning.
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return Err(self.fault("is empty"));
        }
        let mut kinds = Vec::new();
        for begin in lines.iter().filter_map(|line| line.strip_prefix("-----BEGIN ")) {
            let kind = begin.strip_suffix("-----").filter(|kind| !kind.contains("--"));
            kinds.push(kind.map(one_line).ok_or_else(|| {
                self.fault(
                    "has lost its line breaks: a line such as -----BEGIN CERTIFICATE----- stands alone",
                )
            })?);
        }
        if kinds.iter().any(|kind| kind == "ENCRYPTED PRIVATE KEY")
            || lines.iter().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
        {
            return Err(self.fault(
                "is encrypted, and DockNap cannot ask for its passphrase: store it plain, as `openssl pkey -in FILE` \
                 writes it",
            ));
        }
        let decoded = <(SectionKind, Vec<u8>)>::pem_slice_iter(lines.join("\n").as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| match error {
                pem::Error::MissingSectionEnd { end_marker } => self.fault(format_args!(
                    "is cut off: its line -----END {}----- is missing",
                    one_line(&String::from_utf8_lossy(&end_marker))
                )),
                pem::Error::Base64Decode(_) => {
                    self.fault("is damaged between its lines BEGIN and END: copy it anew, whole")
                }
                error => self.fault(format_args!("is not PEM text ({})", one_line(&error.to_string()))),
            })?;
        Ok(Sections { kinds, decoded })
    }

    /// The certificates of the text, in its order, at least one.
    fn certificates(&self) -> Result<Vec<(CertificateDer<'static>, Facts)>, AddressFault> {
        let sections = self.sections()?;
        let has_key = sections.has("PRIVATE KEY");
        let mut found = Vec::new();
        for (kind, der) in &sections.decoded {
            if *kind == SectionKind::Certificate {
                let facts = Facts::read(der).ok_or_else(|| {
                    self.fault("is damaged: what stands between BEGIN and END is not a certificate")
                })?;
                found.push((CertificateDer::from(der.clone()), facts));
            }
        }
        if !found.is_empty() {
            return if has_key && self.public {
                Err(self.fault(
                    "holds a private key too, and is stored and shown as it is: leave the key out, it has a place \
                     of its own",
                ))
            } else {
                Ok(found)
            };
        }
        Err(self.fault(if has_key {
            "holds a private key where a certificate belongs: were the two exchanged?".to_owned()
        } else if sections.has("CERTIFICATE REQUEST") {
            "holds a request for a certificate: let the authority sign it, and use what that gives".to_owned()
        } else {
            match sections.kinds.first() {
                None => "holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
                Some(kind) => {
                    format!("holds a section {kind}, and no certificate (-----BEGIN CERTIFICATE-----)")
                }
            }
        }))
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, AddressFault> {
        let sections = self.sections()?;
        let keys =
            || sections.decoded.iter().filter_map(|(kind, der)| PrivateKeyDer::from_pem(*kind, der.clone()));
        let first = keys().next().ok_or_else(|| {
            self.fault(if sections.has("CERTIFICATE") {
                "holds a certificate where its private key belongs: were the two exchanged?".to_owned()
            } else if sections.has("OPENSSH") {
                "is a key for SSH; the private key of the client certificate is needed".to_owned()
            } else {
                match sections.kinds.first() {
                    None => "holds no private key (-----BEGIN PRIVATE KEY-----)".to_owned(),
                    Some(kind) => {
                        format!("holds a section {kind}, and no private key (-----BEGIN PRIVATE KEY-----)")
                    }
                }
            })
        })?;
        if keys().count() > 1 {
            return Err(self.fault("holds several private keys: leave only the one of the certificate"));
        }
        Ok(first)
    }
}

/// Reads the authorities that vouch for the Engine.
pub(super) fn authorities(ca: &PemText) -> Result<(RootCertStore, Vec<Facts>), AddressFault> {
    let (mut roots, mut facts) = (RootCertStore::empty(), Vec::new());
    for (certificate, one) in ca.certificates()? {
        roots.add(certificate).map_err(|error| {
            ca.fault(format_args!("is not a certificate that can vouch for others ({error})"))
        })?;
        facts.push(one);
    }
    // A certificate that signed itself vouches for itself, as some make it for their one Engine.
    if let Some(first) = facts.first()
        && !facts.iter().any(|one| one.is_authority || one.is_self_issued())
    {
        return Err(ca.fault(format_args!(
            "is the certificate of `{}`, not the one of the authority that signed it (`{}`), which belongs here",
            first.subject, first.issuer
        )));
    }
    Ok((roots, facts))
}

/// Reads the certificate and the key that DockNap shows, and checks that they belong together.
pub(super) fn identity(
    cert: Result<PemText, AddressFault>,
    key: Result<PemText, AddressFault>,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Vec<Facts>), Vec<AddressFault>> {
    let cert = cert.and_then(|text| Ok((text.certificates()?, text)));
    let key = key.and_then(|text| Ok((text.private_key()?, text)));
    let ((chain, cert), (key_der, key)) = match (cert, key) {
        (Ok(cert), Ok(key)) => (cert, key),
        (cert, key) => return Err(cert.err().into_iter().chain(key.err()).collect()),
    };
    let (chain, facts): (Vec<_>, Vec<_>) = chain.into_iter().unzip();
    let signer = provider.key_provider.load_private_key(key_der).map_err(|_| {
        vec![key.fault(
            "is of a kind that is not offered: use RSA (2048 to 8192 bits), ECDSA (P-256 or P-384) or Ed25519",
        )]
    })?;
    let public_key = signer.public_key().map(|public_key| public_key.to_vec());
    if let Some(public_key) = public_key
        && facts[0].public_key != public_key
    {
        return Err(vec![if facts.iter().any(|one| one.public_key == public_key) {
            cert.fault("holds several certificates, and the one of the key has to be the first")
        } else {
            key.fault(format_args!(
                "and {} do not belong together: the key is the one of another certificate",
                cert.label
            ))
        }]);
    }
    if facts[0].servers_only {
        return Err(vec![cert.fault(
            "is for servers only (extendedKeyUsage), so that the Engine will refuse it: let the authority sign one \
             with extendedKeyUsage=clientAuth",
        )]);
    }
    Ok((CertifiedKey::new(chain, signer), facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_never_ends_lasts_as_long_as_any_instant() {
        assert_eq!(instant(Time::INFINITY), Timestamp::MAX);
    }
}
