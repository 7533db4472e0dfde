//! A host as submitted by a form or as JSON, and its validation.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::draft::{self, Faults, Field};
use crate::app::{App, Error, Result};
use crate::docker::{Address, Endpoint, TlsSource};
use crate::domain::host::{self, HostRecord, HostSpec, HostTls, MAX_ID, MAX_NAME, MAX_NOTE};
use crate::domain::ids::HostId;

/// The text that stands for a stored private key, which is never sent.
const SET: &str = "set";

/// A host as submitted by a form or as JSON, not validated. `None` and an empty text are equivalent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = HostBody, description = "A Docker Engine to look after, as sent.")]
pub struct HostDraft {
    /// Lower-case letters, digits and hyphens; it never changes. Default: made from the name.
    #[schema(max_length = 32, example = "nas")]
    pub id: Option<String>,
    #[schema(value_type = String, required = true, max_length = 60, example = "NAS in the cellar")]
    pub name: Option<String>,
    /// `unix:///path/to/docker.sock` or `tcp://name:port`.
    #[schema(value_type = String, required = true, example = "tcp://nas.example.org:2376")]
    pub endpoint: Option<String>,
    /// Allows TCP without TLS: whoever reaches the port is root on that machine.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub insecure: bool,
    /// The certificate of the authority that signed the Engine's certificate, as PEM. TLS is used where it is given.
    pub ca: Option<String>,
    /// The client certificate, as PEM.
    pub cert: Option<String>,
    /// The private key of the client certificate, as PEM; write-only. Where it is missing or `set`, the stored key
    /// stays.
    #[schema(value_type = Option<String>)]
    pub key: Option<SecretString>,
    /// Container operations at the same time. Default: the setting `DOCKNAP_PARALLELISM`.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 256)]
    pub parallelism: Option<String>,
    #[schema(max_length = 500)]
    pub note: Option<String>,
    /// Default: true.
    pub enabled: Option<bool>,
}

/// What becomes of the schedules of a deleted host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchedulesOfHost {
    Delete,
    /// They act on the stacks and containers of the same names on another host.
    MoveTo(HostId),
}

/// A draft without errors.
pub(super) struct Checked {
    pub id: HostId,
    pub spec: HostSpec,
    pub enabled: bool,
}

/// Validates a draft; `old` is the host that it replaces, `known` are all hosts.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong.
pub(super) fn check(
    app: &App,
    draft: &HostDraft,
    old: Option<&HostRecord>,
    known: &[HostRecord],
) -> Result<Checked> {
    let mut faults = Faults::default();
    let name = faults.line("name", &draft.name, MAX_NAME);
    if name.is_empty() {
        faults.add("name", "give the host a name");
    } else if known
        .iter()
        .any(|one| old.is_none_or(|old| old.id != one.id) && one.spec.name.eq_ignore_ascii_case(&name))
    {
        faults.add("name", "another host has this name; choose another one");
    }
    let id = match old {
        Some(old) => old.id.clone(),
        None => new_id(&mut faults, draft, &name, known),
    };
    let parallelism = faults.number("parallelism", &draft.parallelism, 1..=256);
    let note = note(&mut faults, draft.note.text());
    let stored = old.and_then(|old| old.spec.tls.as_ref());
    let (tls, key) = tls(app, &mut faults, draft, stored);
    let endpoint = draft.endpoint.text().unwrap_or_default().to_owned();
    let address = Address {
        endpoint: endpoint.clone(),
        tls: tls
            .as_ref()
            .map(|(ca, cert)| TlsSource::Texts { ca: ca.clone(), identity: cert.clone().zip(key.clone()) }),
        // A certificate without its authority is reported as that, not as missing TLS.
        insecure: draft.insecure || (tls.is_none() && draft.cert.text().is_some()),
    };
    // Without a private key the pair is already reported.
    if endpoint.is_empty() {
        faults.add("endpoint", "enter the address, such as tcp://nas.example.org:2376");
    } else if let Err(wrong) = Endpoint::open(&address, app.clock.now()) {
        for fault in wrong {
            faults.add(fault.field, fault.message);
        }
    }
    let sealed_key =
        key.map(|key| app.auth.seal(key.expose_secret())).transpose().map_err(Error::internal)?;
    if !faults.0.is_empty() {
        return Err(Error::Invalid(faults.0));
    }
    let spec = HostSpec {
        name,
        endpoint,
        insecure: draft.insecure,
        tls: tls.map(|(ca, cert)| HostTls::Texts { ca, cert, sealed_key }),
        parallelism: parallelism.and_then(|number| u32::try_from(number).ok()),
        note,
    };
    Ok(Checked { id, spec, enabled: draft.enabled.unwrap_or(true) })
}

fn new_id(faults: &mut Faults, draft: &HostDraft, name: &str, known: &[HostRecord]) -> HostId {
    let typed = draft.id.text();
    let id = typed.map_or_else(|| host::id_from(name), str::to_owned);
    if typed.is_some() && !host::is_id(&id) {
        faults.add(
            "id",
            format!("use 1 to {MAX_ID} lower-case letters, digits and hyphens, and not only `new`"),
        );
    } else if !name.is_empty() && !host::is_id(&id) {
        faults.add("id", "no id can be made from this name; enter an id such as nas");
    } else if known.iter().any(|one| one.id.as_str() == id) {
        faults.add("id", format!("another host has the id {id}; enter another one"));
    }
    HostId(id)
}

fn note(faults: &mut Faults, typed: Option<&str>) -> String {
    let text = typed.unwrap_or_default();
    if text.chars().count() > MAX_NOTE {
        faults.add("note", format!("use {MAX_NOTE} characters at most"));
    }
    text.to_owned()
}

/// Authority and client certificate as PEM texts.
type Certificates = (String, Option<String>);

/// The certificates of a draft and the private key: the new one, or the stored one while a certificate is given.
fn tls(
    app: &App,
    faults: &mut Faults,
    draft: &HostDraft,
    stored: Option<&HostTls>,
) -> (Option<Certificates>, Option<SecretString>) {
    let ca = draft.ca.text().map(str::to_owned);
    let cert = draft.cert.text().map(str::to_owned);
    let typed = draft.key.as_ref().filter(|key| !matches!(key.expose_secret().trim(), "" | SET)).cloned();
    let sealed = match stored {
        Some(HostTls::Texts { sealed_key, .. }) => sealed_key.as_deref(),
        Some(HostTls::Files { .. }) | None => None,
    };
    let key = match (typed, &cert, sealed) {
        (Some(typed), ..) => Some(typed),
        (None, Some(_), Some(sealed)) => match app.auth.unseal(sealed) {
            Ok(key) => Some(key),
            Err(error) => {
                faults.add("key", error.to_string());
                None
            }
        },
        (None, Some(_), None) => {
            faults.add("key", "the client certificate needs its private key");
            None
        }
        (None, None, _) => None,
    };
    if key.is_some() && cert.is_none() {
        faults.add("cert", "the private key needs its certificate");
    }
    if ca.is_none() && cert.is_some() {
        faults.add("ca", "enter the certificate of the authority too");
    }
    (ca.map(|ca| (ca, cert)), key)
}
