//! The table of all settings: name, type, default, unit and help. The command line, `docknap.toml`, the validation
//! and `docs/settings.md` are all derived from it.

/// The type of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `address:port`.
    Address,
    /// `http://…` or `https://…`.
    Url,
    /// Path of a file or directory.
    Path,
    /// Address of an Engine, in the form of the docker CLI.
    Engine,
    /// Any non-empty text = on, as in the docker CLI.
    Presence,
    /// Any text.
    Text,
    /// Names, separated by commas.
    Names,
    /// Networks, separated by commas.
    Networks,
    /// Name of a time zone in the IANA database.
    Zone,
    /// A log filter.
    Filter,
    /// One of these values, in any case.
    Choice(&'static [&'static str]),
    /// An integer within these bounds (inclusive).
    Number(u32, u32),
    /// An integer with a unit: `90s`, `30m`, `8h`, `7d`; bounds in seconds (inclusive).
    Duration(u64, u64),
    /// Text that is never printed. Also read from the file named by the setting with `_FILE` appended.
    Secret,
}

impl Kind {
    /// The name of the type in the documentation.
    pub fn describe(self) -> String {
        match self {
            Self::Address => "address:port".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Engine => "unix:// or tcp:// address".to_owned(),
            Self::Presence => "any text = on".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Names => "comma list".to_owned(),
            Self::Networks => "comma list of CIDRs".to_owned(),
            Self::Zone => "IANA zone".to_owned(),
            Self::Filter => "log filter".to_owned(),
            Self::Choice(words) => words.join(" | "),
            Self::Number(low, high) => format!("{low}-{high}"),
            Self::Duration(low, high) => format!("{}-{}", seconds(low), seconds(high)),
            Self::Secret => "secret".to_owned(),
        }
    }
}

/// Formats seconds in the largest unit that divides them: `8h`, `90s`.
pub(super) fn seconds(total: u64) -> String {
    [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
        .into_iter()
        .find(|(unit, _)| total > 0 && total.is_multiple_of(*unit))
        .map_or_else(|| format!("{total}s"), |(unit, letter)| format!("{}{letter}", total / unit))
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    pub kind: Kind,
    /// The text used if the setting is not set; empty = none.
    pub default: &'static str,
    /// Unit of a plain number; empty if the type already shows it.
    pub unit: &'static str,
    /// One or two sentences for the documentation.
    pub help: &'static str,
}

impl Setting {
    /// Key in `docknap.toml`: the name without `DOCKNAP_`, in lower case.
    pub fn key(&self) -> String {
        self.name.strip_prefix("DOCKNAP_").unwrap_or(self.name).to_ascii_lowercase()
    }

    /// The command line flag without its dashes; `None` for a secret, since other users of the machine can see
    /// command lines.
    pub fn flag(&self) -> Option<String> {
        (!self.is_secret()).then(|| self.key().replace('_', "-"))
    }

    /// Whether the setting is never printed and can also be read from a file named by `NAME_FILE`.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }
}

/// The path of the settings file. Evaluated before the other settings, so it has no key in that file.
pub const CONFIG_FILE: Setting = Setting {
    name: "DOCKNAP_CONFIG",
    kind: Kind::Path,
    default: "",
    unit: "",
    help: "The settings file. Without it `/data/docknap.toml` is read, else `./docknap.toml`, where there is one.",
};

/// All settings, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "DOCKNAP_LISTEN",
        kind: Kind::Address,
        default: "0.0.0.0:8080",
        unit: "",
        help: "Where the page and the API are served.",
    },
    Setting {
        name: "DOCKNAP_BASE_URL",
        kind: Kind::Url,
        default: "",
        unit: "",
        help: "The address people type. Its path is the base path, its scheme decides on `Secure` cookies and HSTS, its \
               origin is the one whose forms are accepted. Set it behind a reverse proxy.",
    },
    Setting {
        name: "DOCKNAP_DATA_DIR",
        kind: Kind::Path,
        default: "./data",
        unit: "",
        help: "Holds the database `docknap.db`, `secret.key` and, until there is an admin, `setup-token`. The image sets \
               `/data`.",
    },
    Setting {
        name: "DOCKNAP_DATABASE_URL",
        kind: Kind::Secret,
        default: "",
        unit: "",
        help: "`postgres://user:password@host/database` or `sqlite:/path/to/file.db`. Without it an SQLite file in the \
               data directory is used.",
    },
    Setting {
        name: "DOCKER_HOST",
        kind: Kind::Engine,
        default: "unix:///var/run/docker.sock",
        unit: "",
        help: "The Docker Engine, as the docker CLI reads it.",
    },
    Setting {
        name: "DOCKER_TLS_VERIFY",
        kind: Kind::Presence,
        default: "",
        unit: "",
        help: "Speak TLS to a `tcp://` Engine and verify it, as the docker CLI does.",
    },
    Setting {
        name: "DOCKER_CERT_PATH",
        kind: Kind::Path,
        default: "",
        unit: "",
        help: "The directory of `ca.pem`, `cert.pem` and `key.pem` for TLS. Without it `~/.docker` is used.",
    },
    Setting {
        name: "DOCKNAP_LOCAL",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        unit: "",
        help: "`off` leaves out the Engine of `DOCKER_HOST`, for a DockNap that looks after other hosts only. Other \
               hosts are added in the page, by the API or as `[[host]]` in the settings file.",
    },
    Setting {
        name: "DOCKNAP_LABELS",
        kind: Kind::Choice(&["on", "off", "only"]),
        default: "on",
        unit: "",
        help: "Whether labels of containers define schedules. `off`: none does, and those that did are switched off. \
               `only`: nothing else does; schedules of the pages and the API are kept, and do nothing.",
    },
    Setting {
        name: "TZ",
        kind: Kind::Zone,
        default: "",
        unit: "",
        help: "The zone of schedules that name none. Without it the zone chosen at setup is used, else UTC.",
    },
    Setting {
        name: "DOCKNAP_ADMIN_USERNAME",
        kind: Kind::Text,
        default: "",
        unit: "",
        help: "Makes the first admin while there is no user. Needs `DOCKNAP_ADMIN_PASSWORD`.",
    },
    Setting {
        name: "DOCKNAP_ADMIN_PASSWORD",
        kind: Kind::Secret,
        default: "",
        unit: "",
        help: "The first admin's password. Ignored once there is a user.",
    },
    Setting {
        name: "DOCKNAP_TRUSTED_PROXIES",
        kind: Kind::Networks,
        default: "",
        unit: "",
        help: "The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, such as `172.18.0.0/16`. `/0` is \
               refused.",
    },
    Setting {
        name: "DOCKNAP_LOG",
        kind: Kind::Filter,
        default: "info",
        unit: "",
        help: "`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,docknap::docker=debug`.",
    },
    Setting {
        name: "DOCKNAP_LOG_FORMAT",
        kind: Kind::Choice(&["text", "json"]),
        default: "text",
        unit: "",
        help: "The form of a log line. Times are UTC in both.",
    },
    Setting {
        name: "DOCKNAP_METRICS",
        kind: Kind::Choice(&["off", "token", "open"]),
        default: "off",
        unit: "",
        help: "Whether `/metrics` answers Prometheus: not at all, whoever sends `DOCKNAP_METRICS_TOKEN` as a bearer, or \
               everybody.",
    },
    Setting {
        name: "DOCKNAP_METRICS_TOKEN",
        kind: Kind::Secret,
        default: "",
        unit: "",
        help: "At least 16 characters that Prometheus sends with `DOCKNAP_METRICS=token`.",
    },
    Setting {
        name: "DOCKNAP_RULES_DIR",
        kind: Kind::Path,
        default: "",
        unit: "",
        help: "Directory of rules files that DockNap follows, as docs/files.md describes.",
    },
    Setting {
        name: "DOCKNAP_PROTECT",
        kind: Kind::Names,
        default: "",
        unit: "",
        help: "Stacks and containers that are never touched, by name, beside DockNap's own.",
    },
    Setting {
        name: "DOCKNAP_PARALLELISM",
        kind: Kind::Number(1, 256),
        default: "16",
        unit: "operations",
        help: "Container operations at once on one host.",
    },
    Setting {
        name: "DOCKNAP_HISTORY_DAYS",
        kind: Kind::Number(1, 36_500),
        default: "365",
        unit: "days",
        help: "How long runs are kept; their details are compacted after 30 days.",
    },
    Setting {
        name: "DOCKNAP_AUDIT_DAYS",
        kind: Kind::Number(0, 36_500),
        default: "0",
        unit: "days",
        help: "How long audit rows are kept; 0 = for ever.",
    },
    Setting {
        name: "DOCKNAP_BACKUP_DIR",
        kind: Kind::Path,
        default: "",
        unit: "",
        help: "The directory of the daily copies of the database. Without it `backups` in the data directory is \
               used.",
    },
    Setting {
        name: "DOCKNAP_BACKUP_KEEP",
        kind: Kind::Number(0, 1000),
        default: "7",
        unit: "copies",
        help: "How many daily copies are kept; 0 = none are made.",
    },
    Setting {
        name: "DOCKNAP_SECRET_KEY",
        kind: Kind::Secret,
        default: "",
        unit: "",
        help: "At least 32 characters that sign API logins. Without it `secret.key` in the data directory is used, made at \
               the first start.",
    },
    Setting {
        name: "DOCKNAP_PASSWORD_MIN",
        kind: Kind::Number(15, 128),
        default: "15",
        unit: "characters",
        help: "The shortest password accepted. It can be raised, not lowered.",
    },
    Setting {
        name: "DOCKNAP_SESSION_IDLE",
        kind: Kind::Duration(60, 30 * 86_400),
        default: "8h",
        unit: "",
        help: "A login ends after this long without a page asked for.",
    },
    Setting {
        name: "DOCKNAP_SESSION_MAX",
        kind: Kind::Duration(60, 90 * 86_400),
        default: "7d",
        unit: "",
        help: "A login ends after this long in any case.",
    },
    Setting {
        name: "DOCKNAP_HSTS",
        kind: Kind::Choice(&["on", "subdomains", "off"]),
        default: "on",
        unit: "",
        help: "Whether answers over https tell the browser to stay on https for a year, and whether that holds for the \
               subdomains too.",
    },
];

/// The complete text of `docs/settings.md`.
pub fn markdown() -> String {
    use std::fmt::Write as _;

    let mut page = String::from(
        "# Settings\n\n\
         <!-- Made from src/config/table.rs ; edit that table and run `UPDATE_DOCS=1 cargo test settings_page`. -->\n\n\
         Every setting is an environment variable, a key of the settings file and a flag. A flag goes before the\n\
         environment, the environment before the file, the file before the default. An empty variable counts as none.\n\n\
         All faults are reported at once and end the program with exit code 78. A variable that begins with `DOCKNAP_`\n\
         and is none of these is named in one warning; an unknown key in the file is a fault.\n\n\
         The settings file is TOML: `listen = \"127.0.0.1:8080\"`, `parallelism = 4`,\n\
         `protect = [\"vpn\", \"dns\"]`. `DOCKNAP_CONFIG` (flag `--config`) names it; without that `/data/docknap.toml` is\n\
         read, else `./docknap.toml`, where there is one.\n\n\
         A secret has no flag, since everybody on the machine can read a command line. It is also read from a file:\n\
         put the file's path in the variable with `_FILE` after its name (key with `_file`, flag with `-file`). A line\n\
         break at the file's end is dropped. Setting both is refused.\n\n\
         | variable | key | flag | type | default | unit | meaning |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let flag = setting.flag().unwrap_or_else(|| format!("{}-file", setting.key().replace('_', "-")));
        let file = if setting.is_secret() { "(_FILE)" } else { "" };
        let default =
            if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
        let _ = writeln!(
            page,
            "| `{}`{file} | `{}` | `--{flag}` | {} | {default} | {} | {} |",
            setting.name,
            setting.key(),
            setting.kind.describe().replace('|', "\\|"),
            if setting.unit.is_empty() { "-" } else { setting.unit },
            setting.help,
        );
    }
    page
}
