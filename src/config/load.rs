//! Loads the settings: finds each setting's text on the command line, in the environment or in the settings file,
//! parses it, and collects all faults.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::hosts::{self, HostSetting};
use super::parse::{self, Parsed};
use super::table::{CONFIG_FILE, Kind, SETTINGS, Setting};
use super::{Config, Fault, FirstAdmin, Hsts, Labels, LogFormat, Metrics, Origin};

/// Paths of the settings file that are tried if none is set.
const CONFIG_PATHS: [&str; 2] = ["/data/docknap.toml", "./docknap.toml"];
/// Minimum length of the secret key in characters; a shorter one could be guessed.
const SECRET_KEY_MIN: usize = 32;
/// Minimum length of the metrics token in characters; a shorter one could be guessed by many requests.
const METRICS_TOKEN_MIN: usize = 16;

/// The input of [`Config::load`], keyed by setting name (`DOCKNAP_LISTEN`; a secret's file as `…_FILE`).
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Values of command line flags.
    pub flags: BTreeMap<String, String>,
    /// All environment variables.
    pub env: BTreeMap<String, String>,
}

/// The result of loading settings without a fault.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// The settings file that was read, if any.
    pub file: Option<PathBuf>,
    /// Warnings to log, one sentence each.
    pub warnings: Vec<String>,
}

/// A setting's text and the name of the place where it was set.
struct Found {
    text: String,
    origin: String,
}

impl Config {
    /// Combines flags, environment, settings file and defaults (in this order of precedence) and validates the
    /// result. `read` returns the text of a file.
    ///
    /// # Errors
    /// All [`Fault`]s, in the order of the table.
    pub fn load(given: &Given, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Loaded, Vec<Fault>> {
        let mut faults = Vec::new();
        let file = settings_file(given, read, &mut faults);
        let mut found = BTreeMap::new();
        for setting in SETTINGS {
            if let Some(text) = find(setting, given, file.as_ref(), read, &mut faults) {
                found.insert(setting.name, text);
            }
        }
        let mut config = build(&found, &mut faults);
        config.hosts = file.as_ref().map(|file| file.hosts.clone()).unwrap_or_default();
        if faults.is_empty() {
            let warnings = unknown_variables(&given.env).into_iter().collect();
            Ok(Loaded { config, file: file.map(|file| file.path), warnings })
        } else {
            Err(faults)
        }
    }
}

pub(super) fn defaults() -> Config {
    let mut faults = Vec::new();
    let config = build(&BTreeMap::new(), &mut faults);
    debug_assert!(faults.is_empty(), "the defaults of the table are valid: {faults:?}");
    config
}

/// The settings file, with each value converted to text.
struct File {
    path: PathBuf,
    values: BTreeMap<String, String>,
    hosts: Vec<HostSetting>,
}

fn settings_file(
    given: &Given,
    read: &dyn Fn(&Path) -> io::Result<String>,
    faults: &mut Vec<Fault>,
) -> Option<File> {
    let named = given
        .flags
        .get(CONFIG_FILE.name)
        .map(|path| ("--config", path))
        .or_else(|| given.env.get(CONFIG_FILE.name).map(|path| (CONFIG_FILE.name, path)))
        .map(|(origin, path)| (origin, path.trim_end()))
        .filter(|(_, path)| !path.is_empty());
    let (path, text) = match named {
        Some((origin, path)) => match read(Path::new(path)) {
            Ok(text) => (PathBuf::from(path), text),
            Err(error) => {
                faults.push(fault(origin, format!("{path} cannot be read: {error}")));
                return None;
            }
        },
        None => CONFIG_PATHS.iter().find_map(|path| match read(Path::new(path)) {
            Ok(text) => Some((PathBuf::from(path), text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                faults.push(fault(*path, format!("cannot be read: {error}")));
                None
            }
        })?,
    };
    let shown = path.display().to_string();
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            let line =
                error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            // Only the message is used: the error's display text quotes the line, which may contain a secret.
            faults.push(fault(format!("{shown} line {line}"), error.message()));
            return None;
        }
    };
    let (mut values, mut hosts) = (BTreeMap::new(), Vec::new());
    for (key, value) in table {
        if key == "host" {
            hosts = hosts::read(value, &shown, faults);
            continue;
        }
        let known = SETTINGS.iter().any(|setting| {
            setting.key() == key || (setting.is_secret() && format!("{}_file", setting.key()) == key)
        });
        if !known {
            faults
                .push(fault(format!("`{key}` in {shown}"), "is not a setting; docs/settings.md lists them"));
            continue;
        }
        match text_of(&value) {
            // Elsewhere any text, even `off`, turns this setting on. Only the file can turn it off.
            Some(text) if key == "docker_tls_verify" && text == "off" => {}
            Some(text) => {
                values.insert(key, text);
            }
            None => {
                faults
                    .push(fault(format!("`{key}` in {shown}"), "must be text, a number or a list of texts"));
            }
        }
    }
    Some(File { path, values, hosts })
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(true) => Some("on".to_owned()),
        toml::Value::Boolean(false) => Some("off".to_owned()),
        toml::Value::Array(items) => {
            items.iter().map(|item| item.as_str()).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        _ => None,
    }
}

/// The text of a setting from the first place, in order of precedence, that sets it.
fn find(
    setting: &Setting,
    given: &Given,
    file: Option<&File>,
    read: &dyn Fn(&Path) -> io::Result<String>,
    faults: &mut Vec<Fault>,
) -> Option<Found> {
    let from_file = format!("{}_FILE", setting.name);
    let flag = setting.key().replace('_', "-");
    let places = [
        (
            &given.flags,
            setting.name.to_owned(),
            from_file.clone(),
            format!("--{flag}"),
            format!("--{flag}-file"),
        ),
        (&given.env, setting.name.to_owned(), from_file.clone(), setting.name.to_owned(), from_file),
    ]
    .into_iter()
    .chain(file.map(|file| {
        let (key, shown) = (setting.key(), file.path.display());
        let origin = format!("`{key}` in {shown}");
        (&file.values, key.clone(), format!("{key}_file"), origin, format!("`{key}_file` in {shown}"))
    }));
    for (values, name, file_name, origin, file_origin) in places {
        let text = values.get(&name).map(|text| trimmed(setting, text)).filter(|text| !text.is_empty());
        let path = values.get(&file_name).map(|path| path.trim_end());
        let path = path.filter(|path| setting.is_secret() && !path.is_empty());
        match (text, path) {
            (None, None) => {}
            (Some(_), Some(_)) => {
                faults.push(fault(origin, format!("and {file_origin} are both set; keep one")));
                return None;
            }
            (Some(text), None) => return Some(Found { text: text.to_owned(), origin }),
            (None, Some(path)) => match read(Path::new(path)) {
                Ok(text) => {
                    return Some(Found { text: trimmed(setting, &text).to_owned(), origin: file_origin });
                }
                Err(error) => {
                    faults.push(fault(file_origin, format!("{path} cannot be read: {error}")));
                    return None;
                }
            },
        }
    }
    None
}

/// A setting's text without the white space that editors or Windows line endings leave at its end. In a password or
/// key a trailing blank may be intended, so only line breaks are removed there.
fn trimmed<'a>(setting: &Setting, text: &'a str) -> &'a str {
    if matches!(setting.name, "DOCKNAP_ADMIN_PASSWORD" | "DOCKNAP_SECRET_KEY") {
        text.trim_end_matches(['\r', '\n'])
    } else {
        text.trim_end()
    }
}

/// A warning that lists unknown variables. They are not faults, because Docker links and orchestrators add variables
/// of their own.
fn unknown_variables(env: &BTreeMap<String, String>) -> Option<String> {
    let unknown: Vec<_> = env
        .keys()
        .filter(|name| name.starts_with("DOCKNAP_") && **name != CONFIG_FILE.name)
        .filter(|name| {
            !SETTINGS.iter().any(|setting| {
                setting.name == **name || (setting.is_secret() && format!("{}_FILE", setting.name) == **name)
            })
        })
        .map(String::as_str)
        .collect();
    (!unknown.is_empty()).then(|| format!("not a setting, ignored: {}", unknown.join(", ")))
}

fn build(found: &BTreeMap<&'static str, Found>, faults: &mut Vec<Fault>) -> Config {
    let mut reader = Reader { found, faults };
    let config = Config {
        listen: reader.value("DOCKNAP_LISTEN", ([0, 0, 0, 0], 8080).into(), |_, text| {
            text.parse().map_err(|_| format!("`{text}` is not an address and port such as 0.0.0.0:8080"))
        }),
        base_url: reader.value("DOCKNAP_BASE_URL", None, |_, text| quoted(text, parse::base_url).map(Some)),
        data_dir: reader.value("DOCKNAP_DATA_DIR", PathBuf::new(), |_, text| Ok(PathBuf::from(text))),
        database_url: reader.value("DOCKNAP_DATABASE_URL", None, |_, text| database_url(text).map(Some)),
        docker_host: reader.value("DOCKER_HOST", String::new(), |_, text| quoted(text, parse::engine)),
        docker_tls_verify: reader.value("DOCKER_TLS_VERIFY", false, |_, text| Ok(!text.is_empty())),
        docker_cert_path: reader.value("DOCKER_CERT_PATH", None, |_, text| Ok(Some(PathBuf::from(text)))),
        local: reader.value("DOCKNAP_LOCAL", true, |kind, text| Ok(choice(kind, text)? == "on")),
        labels: reader.value("DOCKNAP_LABELS", Labels::On, |kind, text| {
            Ok(match choice(kind, text)? {
                "off" => Labels::Off,
                "only" => Labels::Only,
                _ => Labels::On,
            })
        }),
        hosts: Vec::new(),
        timezone: reader.value("TZ", None, |_, text| {
            crate::domain::time::zone(text).map(|_| Some(text.to_owned())).map_err(|error| error.to_string())
        }),
        admin: None,
        trusted_proxies: reader.value("DOCKNAP_TRUSTED_PROXIES", Vec::new(), |_, text| parse::networks(text)),
        log: reader.value("DOCKNAP_LOG", String::new(), |_, text| {
            text.parse::<tracing_subscriber::filter::Targets>()
                .map(|_| text.to_owned())
                .map_err(|error| format!("`{text}` is not a log filter: {error}"))
        }),
        log_format: reader.value("DOCKNAP_LOG_FORMAT", LogFormat::Text, |kind, text| {
            Ok(if choice(kind, text)? == "json" { LogFormat::Json } else { LogFormat::Text })
        }),
        rules_dir: reader.value("DOCKNAP_RULES_DIR", None, |_, text| Ok(Some(PathBuf::from(text)))),
        protect: reader.value("DOCKNAP_PROTECT", Vec::new(), |_, text| Ok(parse::names(text))),
        parallelism: reader
            .value("DOCKNAP_PARALLELISM", 1, |kind, text| number(kind, text).map(|n| n as usize)),
        history_days: reader.value("DOCKNAP_HISTORY_DAYS", 1, number),
        audit_days: reader.value("DOCKNAP_AUDIT_DAYS", 0, number),
        backup_dir: reader.value("DOCKNAP_BACKUP_DIR", None, |_, text| Ok(Some(PathBuf::from(text)))),
        backup_keep: reader.value("DOCKNAP_BACKUP_KEEP", 0, number),
        secret_key: reader.value("DOCKNAP_SECRET_KEY", None, |_, text| {
            if text.chars().count() < SECRET_KEY_MIN {
                return Err(format!("is shorter than {SECRET_KEY_MIN} characters"));
            }
            Ok(Some(SecretString::from(text)))
        }),
        password_min: reader
            .value("DOCKNAP_PASSWORD_MIN", 15, |kind, text| number(kind, text).map(|n| n as usize)),
        session_idle: reader.value("DOCKNAP_SESSION_IDLE", std::time::Duration::ZERO, duration),
        session_max: reader.value("DOCKNAP_SESSION_MAX", std::time::Duration::ZERO, duration),
        hsts: reader.value("DOCKNAP_HSTS", Hsts::On, |kind, text| {
            Ok(match choice(kind, text)? {
                "subdomains" => Hsts::Subdomains,
                "off" => Hsts::Off,
                _ => Hsts::On,
            })
        }),
        metrics: Metrics::Off,
        given: BTreeMap::from_iter(SETTINGS.iter().filter_map(|setting| {
            let found = found.get(setting.name)?;
            let text = if setting.is_secret() { String::new() } else { found.text.clone() };
            Some((setting.name, Origin { text, origin: found.origin.clone() }))
        })),
    };
    let admin = first_admin(&mut reader);
    let metrics = metrics(&mut reader);
    let config = Config { admin, metrics, ..config };
    check_together(&config, reader.faults);
    config
}

/// Parses settings by name, with the type and default of the table, and collects faults.
struct Reader<'a> {
    found: &'a BTreeMap<&'static str, Found>,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    /// The value of `name`. `placeholder` is returned if there is neither a text nor a default, or after a fault,
    /// when the program never uses the configuration.
    fn value<T>(&mut self, name: &'static str, placeholder: T, parse: impl Fn(Kind, &str) -> Parsed<T>) -> T {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            self.faults.push(fault(name, "is missing from the table of settings"));
            return placeholder;
        };
        let (text, origin) = match self.found.get(name) {
            Some(found) => (&*found.text, &*found.origin),
            None if setting.default.is_empty() => return placeholder,
            None => (setting.default, name),
        };
        match parse(setting.kind, text) {
            Ok(value) => value,
            Err(message) => {
                self.faults.push(fault(origin, message));
                placeholder
            }
        }
    }
}

fn first_admin(reader: &mut Reader<'_>) -> Option<FirstAdmin> {
    let name = reader.value("DOCKNAP_ADMIN_USERNAME", None, |_, text| Ok(Some(text.to_owned())));
    let password = reader.value("DOCKNAP_ADMIN_PASSWORD", None, |_, text| Ok(Some(SecretString::from(text))));
    match (name, password) {
        (Some(name), Some(password)) => Some(FirstAdmin { name, password }),
        (None, None) => None,
        (Some(_), None) => {
            reader
                .faults
                .push(fault("DOCKNAP_ADMIN_USERNAME", "needs DOCKNAP_ADMIN_PASSWORD or its _FILE beside it"));
            None
        }
        (None, Some(_)) => {
            reader.faults.push(fault("DOCKNAP_ADMIN_PASSWORD", "needs DOCKNAP_ADMIN_USERNAME beside it"));
            None
        }
    }
}

fn metrics(reader: &mut Reader<'_>) -> Metrics {
    let token = reader.value("DOCKNAP_METRICS_TOKEN", None, |_, text| {
        if text.chars().count() < METRICS_TOKEN_MIN {
            return Err(format!("is shorter than {METRICS_TOKEN_MIN} characters"));
        }
        Ok(Some(SecretString::from(text)))
    });
    let word = reader.value("DOCKNAP_METRICS", "off", choice);
    match (word, token) {
        ("token", Some(token)) => Metrics::Token(token),
        ("token", None) => {
            // A token that is too short is already reported.
            if !reader.found.contains_key("DOCKNAP_METRICS_TOKEN") {
                reader
                    .faults
                    .push(fault("DOCKNAP_METRICS", "is token: set DOCKNAP_METRICS_TOKEN or its _FILE too"));
            }
            Metrics::Off
        }
        ("open", _) => Metrics::Open,
        _ => Metrics::Off,
    }
}

/// Checks that involve several settings.
fn check_together(config: &Config, faults: &mut Vec<Fault>) {
    if config.session_idle > config.session_max {
        faults.push(fault("DOCKNAP_SESSION_IDLE", "is longer than DOCKNAP_SESSION_MAX"));
    }
}

fn database_url(text: &str) -> Parsed<SecretString> {
    let has_path = text.strip_prefix("sqlite:").is_some_and(|path| !path.trim_start_matches('/').is_empty());
    let is_server = text.starts_with("postgres://") || text.starts_with("postgresql://");
    // The text may contain a password, so the fault does not quote it.
    (has_path || is_server).then(|| SecretString::from(text)).ok_or_else(|| {
        "is neither postgres://user:password@host/database nor sqlite:/path/to/file.db".to_owned()
    })
}

fn quoted<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<T> {
    parse(text).map_err(|message| format!("`{text}` {message}"))
}

fn choice(kind: Kind, text: &str) -> Parsed<&'static str> {
    let Kind::Choice(words) = kind else { return Err("is not a choice in the table of settings".to_owned()) };
    words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(text))
        .copied()
        .ok_or_else(|| format!("`{text}` is none of {}", words.join(", ")))
}

fn number(kind: Kind, text: &str) -> Parsed<u32> {
    let Kind::Number(low, high) = kind else {
        return Err("is not a number in the table of settings".to_owned());
    };
    parse::number(text, (low, high))
}

fn duration(kind: Kind, text: &str) -> Parsed<std::time::Duration> {
    let Kind::Duration(low, high) = kind else {
        return Err("is not a duration in the table of settings".to_owned());
    };
    parse::duration(text, (low, high))
}

fn fault(setting: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault { setting: setting.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
