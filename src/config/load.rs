//! Which text each setting has, given the command line, the environment and the settings file, and what it amounts to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::parse::{self, Parsed};
use super::table::{CONFIG_FILE, Kind, SETTINGS, Setting};
use super::{Config, Fault, FirstAdmin, Hsts, LogFormat, Metrics, Origin};

/// Where the settings file is looked for when none is named.
const CONFIG_PATHS: [&str; 2] = ["/data/docknap.toml", "./docknap.toml"];
/// Fewer characters of a secret key could be guessed.
const SECRET_KEY_MIN: usize = 32;
/// Fewer characters of a token could be guessed by whoever may ask all day.
const METRICS_TOKEN_MIN: usize = 16;

/// What the process was given, by setting name (`DOCKNAP_LISTEN`; a secret's file under `…_FILE`).
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Values of flags.
    pub flags: BTreeMap<String, String>,
    /// The environment, whole.
    pub env: BTreeMap<String, String>,
}

/// Settings without a fault.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, where there was one.
    pub file: Option<PathBuf>,
    /// What the operator should hear about, one sentence each.
    pub warnings: Vec<String>,
}

/// One setting's text and how to name the place it was found in.
struct Found {
    text: String,
    origin: String,
}

impl Config {
    /// Puts settings together from flags, environment, settings file and defaults, in that order, and checks all.
    ///
    /// # Errors
    /// Every [`Fault`] there is, in the order of the table.
    pub fn load(given: &Given, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Loaded, Vec<Fault>> {
        let mut faults = Vec::new();
        let file = settings_file(given, read, &mut faults);
        let mut found = BTreeMap::new();
        for setting in SETTINGS {
            if let Some(text) = find(setting, given, file.as_ref(), read, &mut faults) {
                found.insert(setting.name, text);
            }
        }
        let config = build(&found, &mut faults);
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

/// The settings file, as text by key.
struct File {
    path: PathBuf,
    values: BTreeMap<String, String>,
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
            // The message only: the error's own rendering quotes the line, which may hold a secret.
            faults.push(fault(format!("{shown} line {line}"), error.message()));
            return None;
        }
    };
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let known = SETTINGS.iter().any(|setting| {
            setting.key() == key || (setting.is_secret() && format!("{}_file", setting.key()) == key)
        });
        if !known {
            faults
                .push(fault(format!("`{key}` in {shown}"), "is not a setting; docs/settings.md lists them"));
            continue;
        }
        match text_of(&value) {
            // Any text turns it on, `off` too: only in this file, which has a word for it, can it be off.
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
    Some(File { path, values })
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

/// The first place, in order of precedence, that says something about a setting.
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
        let text = values.get(&name).map(|text| bare(setting, text)).filter(|text| !text.is_empty());
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
                    return Some(Found { text: bare(setting, &text).to_owned(), origin: file_origin });
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

/// A setting's text without what an editor or a file of another system left at its end. A blank there may be part of a
/// password or a key; nothing else means one.
fn bare<'a>(setting: &Setting, text: &'a str) -> &'a str {
    if matches!(setting.name, "DOCKNAP_ADMIN_PASSWORD" | "DOCKNAP_SECRET_KEY") {
        text.trim_end_matches(['\r', '\n'])
    } else {
        text.trim_end()
    }
}

/// The names Docker links and orchestrators inject are no fault, so unknown variables are one warning together.
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
        protect: reader.value("DOCKNAP_PROTECT", Vec::new(), |_, text| Ok(parse::names(text))),
        parallelism: reader
            .value("DOCKNAP_PARALLELISM", 1, |kind, text| number(kind, text).map(|n| n as usize)),
        history_days: reader.value("DOCKNAP_HISTORY_DAYS", 1, number),
        audit_days: reader.value("DOCKNAP_AUDIT_DAYS", 0, number),
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

/// Reads settings by name, with the table's type and default, and collects what is wrong.
struct Reader<'a> {
    found: &'a BTreeMap<&'static str, Found>,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    /// The value of `name`. `stand_in` is what the program never sees: it is used where there is neither a text nor a
    /// default, or beside a fault.
    fn value<T>(&mut self, name: &'static str, stand_in: T, parse: impl Fn(Kind, &str) -> Parsed<T>) -> T {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            self.faults.push(fault(name, "is missing from the table of settings"));
            return stand_in;
        };
        let (text, origin) = match self.found.get(name) {
            Some(found) => (&*found.text, &*found.origin),
            None if setting.default.is_empty() => return stand_in,
            None => (setting.default, name),
        };
        match parse(setting.kind, text) {
            Ok(value) => value,
            Err(message) => {
                self.faults.push(fault(origin, message));
                stand_in
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
            // A token that is too short has been told of.
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

/// Faults that only show when settings stand side by side.
fn check_together(config: &Config, faults: &mut Vec<Fault>) {
    if config.session_idle > config.session_max {
        faults.push(fault("DOCKNAP_SESSION_IDLE", "is longer than DOCKNAP_SESSION_MAX"));
    }
}

fn database_url(text: &str) -> Parsed<SecretString> {
    let has_path = text.strip_prefix("sqlite:").is_some_and(|path| !path.trim_start_matches('/').is_empty());
    let is_server = text.starts_with("postgres://") || text.starts_with("postgresql://");
    // The text may hold a password, so the fault does not quote it.
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
