//! Hosts as people define them: an id, a name, an address, and how TLS is used.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::HostId;
use super::words::words;

/// Longest id of a host.
pub const MAX_ID: usize = 32;
/// Longest name of a host, in characters.
pub const MAX_NAME: usize = 60;
/// Longest note, in characters.
pub const MAX_NOTE: usize = 500;

words! {
    /// The origin of a host.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum HostSource {
        /// `DOCKER_HOST` and the settings beside it. Such a host is read-only.
        Env,
        /// A `[[host]]` of the settings file. Such a host is read-only.
        File,
        /// A form of the web pages.
        Ui,
        Api,
    }
}

/// A host with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// Chosen once, never changed.
    pub id: HostId,
    pub spec: HostSpec,
    /// A disabled host is never called.
    pub enabled: bool,
    pub source: HostSource,
    pub rev: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl HostRecord {
    /// Whether the pages and the API may change the host.
    pub fn is_editable(&self) -> bool {
        matches!(self.source, HostSource::Ui | HostSource::Api)
    }
}

/// The settings of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSpec {
    pub name: String,
    /// `unix:///path` or `tcp://name:port`.
    pub endpoint: String,
    /// Allows TCP without TLS.
    pub insecure: bool,
    pub tls: Option<HostTls>,
    /// Container operations at the same time; `None` = the setting `DOCKNAP_PARALLELISM`.
    pub parallelism: Option<u32>,
    pub note: String,
}

/// Certificates for TLS. Without a client certificate only the Engine proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostTls {
    /// PEM texts; the private key is sealed.
    Texts { ca: String, cert: Option<String>, sealed_key: Option<String> },
    /// Files, read anew when they change.
    Files { ca: PathBuf, identity: Option<(PathBuf, PathBuf)> },
}

/// A time range in which a host could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    pub host: HostId,
    pub from: Timestamp,
    /// `None` while it goes on.
    pub to: Option<Timestamp>,
    /// Why, as of its beginning.
    pub reason: String,
}

impl Outage {
    /// Whether the outage and a time range have an instant in common.
    pub fn meets(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from < to && self.to.is_none_or(|end| end > from)
    }
}

/// Whether a text can be the id of a host: lower-case letters, digits and hyphens. `new` is the address of the form.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text != "new"
        && text.len() <= MAX_ID
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An id made from a name: `My NAS (2)` becomes `my-nas-2`; empty if the name has no letter or digit of ASCII.
pub fn id_from(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    id.get(..MAX_ID).unwrap_or(&id).trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_from_any_name() {
        for (name, id) in [
            ("NAS", "nas"),
            ("My NAS (2)", "my-nas-2"),
            ("  --  ", ""),
            ("münchen", "m-nchen"),
            ("12345678901234567890123456789012345", "12345678901234567890123456789012"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert_eq!(id_from(name), id, "{name}");
            assert!(id.is_empty() || is_id(id), "{id}");
        }
        for wrong in ["", "new", "NAS", "a b", "a/b", "ä", "123456789012345678901234567890123"] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
