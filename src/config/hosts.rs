//! The `[[host]]` tables of the settings file: Engines beside that of `DOCKER_HOST`.

use std::path::PathBuf;

use serde::Deserialize;

use super::Fault;
use crate::domain::group;
use crate::domain::host::{MAX_ID, MAX_NAME, is_id};
use crate::domain::ids::HostId;
use crate::domain::text::excerpt;

/// A host of the settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSetting {
    pub id: String,
    pub name: String,
    /// `unix:///path` or `tcp://name:port`.
    pub endpoint: String,
    /// Allows TCP without TLS.
    pub insecure: bool,
    /// The file of the authority, and those of client certificate and private key.
    pub tls: Option<(PathBuf, Option<(PathBuf, PathBuf)>)>,
    /// Ids of the groups that the host is in.
    pub groups: Vec<String>,
}

/// A table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: String,
    name: Option<String>,
    endpoint: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    groups: Vec<String>,
    tls_ca_file: Option<PathBuf>,
    tls_cert_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
}

/// Reads the value of `host` in the settings file `shown`.
pub(super) fn read(value: toml::Value, shown: &str, faults: &mut Vec<Fault>) -> Vec<HostSetting> {
    let toml::Value::Array(tables) = value else {
        faults.push(Fault {
            setting: format!("`host` in {shown}"),
            message: "write each host as a table that begins with [[host]]".to_owned(),
        });
        return Vec::new();
    };
    let mut hosts: Vec<HostSetting> = Vec::new();
    for (number, table) in tables.into_iter().enumerate() {
        match table.try_into::<Table>().map_err(|error| error.message().to_owned()).and_then(checked) {
            Ok(host)
                if hosts.iter().any(|other| other.id == host.id) || host.id == HostId::local().as_str() =>
            {
                faults.push(fault(number, shown, format!("another host has the id `{}`", host.id)));
            }
            Ok(host) => hosts.push(host),
            Err(message) => faults.push(fault(number, shown, message)),
        }
    }
    hosts
}

fn fault(number: usize, shown: &str, message: String) -> Fault {
    Fault { setting: format!("[[host]] number {} in {shown}", number + 1), message }
}

fn checked(table: Table) -> Result<HostSetting, String> {
    let Table { id, name, endpoint, insecure, groups, tls_ca_file, tls_cert_file, tls_key_file } = table;
    if !is_id(&id) {
        return Err(format!(
            "`id` is 1 to {MAX_ID} lower-case letters, digits and hyphens, and not only `new`"
        ));
    }
    let name =
        name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!("`name` is one line of at most {MAX_NAME} characters"));
    }
    if endpoint.trim().is_empty() {
        return Err("`endpoint` is missing, such as \"tcp://nas.example.org:2376\"".to_owned());
    }
    let tls = match (tls_ca_file, tls_cert_file, tls_key_file) {
        (None, None, None) => None,
        (Some(ca), None, None) => Some((ca, None)),
        (Some(ca), Some(cert), Some(key)) => Some((ca, Some((cert, key)))),
        (None, ..) => return Err("`tls_ca_file` is missing beside the other files".to_owned()),
        _ => return Err("`tls_cert_file` and `tls_key_file` are set together or not at all".to_owned()),
    };
    // `new` is the address of the form.
    if let Some(wrong) = groups.iter().find(|id| *id == "new" || group::parse_id(id).is_none()) {
        return Err(format!(
            "`groups`: `{}` is no id of a group; use 1 to {} lower-case letters, digits and hyphens, not only `new`",
            excerpt(wrong),
            group::MAX_ID
        ));
    }
    Ok(HostSetting { id, name, endpoint: endpoint.trim().to_owned(), insecure, tls, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> (Vec<HostSetting>, Vec<String>) {
        let table: toml::Table = text.parse().expect("TOML");
        let mut faults = Vec::new();
        let hosts = read(table["host"].clone(), "docknap.toml", &mut faults);
        (hosts, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hosts_are_read_with_their_files() {
        let (hosts, faults) = load(
            "[[host]]\nid = 'nas'\nendpoint = 'tcp://nas:2376'\ntls_ca_file = '/c/ca.pem'\n\
             tls_cert_file = '/c/cert.pem'\ntls_key_file = '/c/key.pem'\n\
             [[host]]\nid = 'vps'\nname = 'The VPS'\nendpoint = 'unix:///run/vps.sock'\n\
             groups = ['evening', 'lab-2']\n",
        );
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!((&*hosts[0].name, &*hosts[1].name), ("nas", "The VPS"));
        assert_eq!((hosts[0].groups.len(), hosts[1].groups.join(" ")), (0, "evening lab-2".to_owned()));
        let files = ("/c/ca.pem".into(), Some(("/c/cert.pem".into(), "/c/key.pem".into())));
        assert_eq!((hosts[0].tls.clone(), hosts[1].tls.clone()), (Some(files), None));
    }

    #[test]
    fn every_fault_names_its_table() {
        for (text, word) in [
            ("host = 3", "[[host]]"),
            ("[[host]]\nendpoint = 'tcp://a:1'", "`id`"),
            ("[[host]]\nid = 'NAS'\nendpoint = 'tcp://a:1'", "lower-case"),
            ("[[host]]\nid = 'local'\nendpoint = 'tcp://a:1'", "another host has the id"),
            ("[[host]]\nid = 'a'", "`endpoint`"),
            ("[[host]]\nid = 'a'\nendpoint = ' '", "`endpoint`"),
            ("[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\nport = 3", "`port`"),
            (
                "[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\ngroups = ['Evening']",
                "`Evening` is no id of a group",
            ),
            ("[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\ngroups = ['new']", "`new` is no id of a group"),
            ("[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\ngroups = 'evening'", "sequence"),
            ("[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\ntls_cert_file = 'x'", "tls_ca_file"),
            ("[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\ntls_ca_file = 'x'\ntls_key_file = 'y'", "together"),
            (
                "[[host]]\nid = 'a'\nendpoint = 'tcp://a:1'\n[[host]]\nid = 'a'\nendpoint = 'tcp://b:1'",
                "number 2 in docknap.toml: another host",
            ),
        ] {
            let (_, faults) = load(text);
            assert!(faults.len() == 1 && faults[0].contains(word), "{text}: {faults:?}");
        }
    }
}
