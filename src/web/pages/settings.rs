//! The settings page: values that an admin can change here, values configured at the start, and security checks of
//! both.

use askama::Template;
use axum::response::Response;
use jiff::Timestamp;

use crate::app::rules_file::{self, FolderFault};
use crate::app::settings::{self, PricesDraft};
use crate::app::{Error, FieldError, Result, backup};
use crate::config::table::{Kind, SETTINGS, Setting};
use crate::config::{Config, Metrics, Origin};
use crate::web::auth::Admin;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};

pub(super) fn routes() -> Routes {
    Routes::new().get("/settings", Access::ADMIN, show).post("/settings/zone", Access::ADMIN, zone).post(
        "/settings/report",
        Access::ADMIN,
        report,
    )
}

/// A setting of the configuration, which is read at the start.
struct Line<'a> {
    setting: &'static Setting,
    given: Option<&'a Origin>,
}

impl Line<'_> {
    /// The configured value or the default; `None` if both are empty. A secret is not shown.
    fn value(&self) -> Option<&str> {
        let value = match self.given {
            Some(_) if self.setting.is_secret() => "set, not shown",
            Some(given) => &given.text,
            None => self.setting.default,
        };
        Some(value).filter(|value| !value.is_empty())
    }

    /// The description, without the backticks of the documentation.
    fn help(&self) -> String {
        self.setting.help.replace('`', "")
    }

    /// The form of the allowed values; `None` for texts, secrets, paths and URLs.
    fn kind(&self) -> Option<String> {
        match self.setting.kind {
            Kind::Text | Kind::Secret | Kind::Path | Kind::Url => None,
            other => Some(other.describe()),
        }
    }
}

/// A group of settings.
struct Group<'a> {
    /// The last part of the id of its anchor.
    id: &'static str,
    title: &'static str,
    lines: Vec<Line<'a>>,
}

/// The groups: id, title and names of the settings. Settings without a group are in the last one.
const GROUPS: [(&str, &str, &[&str]); 5] = [
    (
        "web",
        "Address and logins",
        &[
            "DOCKNAP_LISTEN",
            "DOCKNAP_BASE_URL",
            "DOCKNAP_TRUSTED_PROXIES",
            "DOCKNAP_HSTS",
            "DOCKNAP_SESSION_IDLE",
            "DOCKNAP_SESSION_MAX",
            "DOCKNAP_PASSWORD_MIN",
            "DOCKNAP_SECRET_KEY",
            "DOCKNAP_ADMIN_USERNAME",
            "DOCKNAP_ADMIN_PASSWORD",
        ],
    ),
    (
        "docker",
        "Docker",
        &["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKNAP_PROTECT", "DOCKNAP_PARALLELISM"],
    ),
    (
        "retention",
        "What is kept",
        &[
            "DOCKNAP_DATA_DIR",
            "DOCKNAP_DATABASE_URL",
            "DOCKNAP_RULES_DIR",
            "DOCKNAP_HISTORY_DAYS",
            "DOCKNAP_AUDIT_DAYS",
            "DOCKNAP_BACKUP_DIR",
            "DOCKNAP_BACKUP_KEEP",
        ],
    ),
    (
        "logs",
        "Log and metrics",
        &["DOCKNAP_LOG", "DOCKNAP_LOG_FORMAT", "DOCKNAP_METRICS", "DOCKNAP_METRICS_TOKEN"],
    ),
    ("other", "Everything else", &[]),
];

/// The settings page.
#[derive(Template)]
#[template(path = "settings/index.html")]
struct SettingsPage<'a> {
    shell: &'a Shell,
    config: &'a Config,
    via: Via,
    form: Refill,
    last_backup: Option<Timestamp>,
    /// What is wrong with the watched directory.
    folder: Option<FolderFault>,
    /// The settings of the configuration.
    groups: Vec<Group<'a>>,
}

impl SettingsPage<'_> {
    /// The results of the security checks: connection to this page, trusted proxies, connection to Docker, metrics,
    /// backups. Each is `good`, `warn`, or `info` if it depends on the circumstances.
    fn tones(&self) -> [&'static str; 5] {
        /// The maximum age of a good backup in days; a week is enough, since the stored data changes rarely.
        const OLD: i64 = 7;
        let tone = |is_good: bool| if is_good { "good" } else { "warn" };
        let age = |at: Timestamp| self.shell.now.at.duration_since(at).as_hours() / 24;
        [
            if !self.via.https && self.via.is_private() { "info" } else { tone(self.via.https) },
            tone(!self.config.trusted_proxies.is_empty() || !self.is_behind_proxy()),
            tone(!self.config.docker_host.starts_with("unix:")),
            tone(!matches!(self.config.metrics, Metrics::Open)),
            match self.last_backup {
                // The server may have backups of its own.
                None if self.config.database_file().is_none() => "info",
                last => tone(last.is_some_and(|at| age(at) <= OLD)),
            },
        ]
    }

    /// Whether there must be a proxy, since the public address is https.
    fn is_behind_proxy(&self) -> bool {
        self.config.base_url.as_ref().is_some_and(|url| url.https)
    }

    /// The number of checks with the result `good`.
    fn well(&self) -> usize {
        self.tones().into_iter().filter(|tone| *tone == "good").count()
    }

    /// The networks of trusted proxies.
    fn trusted(&self) -> String {
        self.config.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

fn groups(config: &Config) -> Vec<Group<'_>> {
    let named: Vec<&str> = GROUPS.iter().flat_map(|(.., names)| names.iter().copied()).collect();
    let line = |setting: &'static Setting| Line { setting, given: config.given.get(setting.name) };
    let find = |name: &str| SETTINGS.iter().find(|setting| setting.name == name);
    GROUPS
        .into_iter()
        .map(|(id, title, names)| {
            let rest = SETTINGS.iter().filter(|setting| names.is_empty() && !named.contains(&setting.name));
            let lines = names.iter().filter_map(|name| find(name)).chain(rest);
            Group { id, title, lines: lines.map(line).collect() }
        })
        .collect()
}

/// The fields of both forms of the page.
const FIELDS: [&str; 5] = ["timezone", "watts_per_core", "watts_per_gib", "price_per_kwh", "currency"];

/// The stored values as fields of both forms.
async fn stored(page: &Page<Admin>) -> Result<Typed> {
    let prices = PricesDraft::of(&settings::prices(&page.app).await?);
    let zone = settings::stored_zone(&page.app, &page.actor).await?.unwrap_or_else(|| "UTC".to_owned());
    let PricesDraft { watts_per_core, watts_per_gib, price_per_kwh, currency } = prices;
    let values = [zone, watts_per_core, watts_per_gib, price_per_kwh, currency];
    Ok(Typed::of(FIELDS.into_iter().zip(values)))
}

/// The page with the typed values of either form.
async fn filled<'a>(
    page: &'a Page<Admin>,
    typed: &Typed,
    errors: Vec<FieldError>,
) -> Result<SettingsPage<'a>> {
    let config = &page.app.config;
    let mut form = Refill { typed: stored(page).await?, errors };
    for name in FIELDS.into_iter().filter(|name| typed.has(name)) {
        form.typed.set(name, typed.get(name));
    }
    let last_backup = backup::last(&page.app).await?;
    let folder = rules_file::folder_fault(&page.app, &page.actor)?;
    let groups = groups(config);
    Ok(SettingsPage { shell: &page.shell, config, via: page.via, form, last_backup, folder, groups })
}

async fn show(page: Page<Admin>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    page.render(&filled(&page, &restored.unwrap_or_default(), Vec::new()).await?)
}

async fn zone(page: Page<Admin>, typed: Typed) -> Result<Response> {
    let outcome = settings::set_zone(&page.app, &page.actor, typed.get("timezone")).await;
    let text = "The time zone is stored. Schedules that name none follow it from now on.";
    saved(&page, &typed, outcome, text, "time").await
}

async fn report(page: Page<Admin>, typed: Typed) -> Result<Response> {
    let text = |name: &str| typed.get(name).to_owned();
    let draft = PricesDraft {
        watts_per_core: text("watts_per_core"),
        watts_per_gib: text("watts_per_gib"),
        price_per_kwh: text("price_per_kwh"),
        currency: text("currency"),
    };
    let outcome = settings::set_prices(&page.app, &page.actor, &draft).await.map(drop);
    saved(&page, &typed, outcome, "The numbers are stored.", "report").await
}

/// A redirect to this part of the page after a success; the page with the errors if fields are invalid.
async fn saved(
    page: &Page<Admin>,
    typed: &Typed,
    outcome: Result<()>,
    text: &str,
    part: &str,
) -> Result<Response> {
    match outcome {
        Ok(()) => Ok(page.redirect_with(&format!("/settings#{part}"), Flash::new("good", text)).await),
        Err(Error::Invalid(errors)) => page.refuse(&filled(page, typed, errors).await?),
        Err(other) => Err(other),
    }
}
