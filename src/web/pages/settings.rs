//! Settings: what an admin sets here, what was set at the start, and how safe all of it is.

use askama::Template;
use axum::Extension;
use axum::response::Response;

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
use crate::web::view::When;

pub(super) fn routes() -> Routes {
    Routes::new().get("/settings", Access::ADMIN, show).post("/settings/zone", Access::ADMIN, zone).post(
        "/settings/report",
        Access::ADMIN,
        report,
    )
}

/// One thing that makes DockNap safer or less safe.
struct Check {
    /// `good`, `warn`, `info`.
    tone: &'static str,
    /// What is so.
    title: &'static str,
    /// What follows from it, and what to do.
    text: String,
    /// The setting that cures it; empty where there is nothing to cure.
    cure: &'static str,
}

impl Check {
    /// The icon of the tone.
    fn icon(&self) -> &'static str {
        match self.tone {
            "good" => "circle-check",
            "warn" => "triangle-alert",
            _ => "info",
        }
    }
}

/// One setting of the start.
struct Line<'a> {
    setting: &'static Setting,
    given: Option<&'a Origin>,
}

impl Line<'_> {
    /// As it was given; none where there is no default either.
    fn value(&self) -> Option<&str> {
        let value = match self.given {
            Some(_) if self.setting.is_secret() => "set, not shown",
            Some(given) => &given.text,
            None => self.setting.default,
        };
        Some(value).filter(|value| !value.is_empty())
    }

    /// What it is about. It was written for the documentation.
    fn help(&self) -> String {
        self.setting.help.replace('`', "")
    }

    /// What may be written there.
    fn kind(&self) -> Option<String> {
        match self.setting.kind {
            Kind::Text | Kind::Secret | Kind::Path | Kind::Url => None,
            other => Some(other.describe()),
        }
    }
}

/// A group of them.
struct Group<'a> {
    /// The end of its anchor.
    id: &'static str,
    title: &'static str,
    lines: Vec<Line<'a>>,
}

/// Which settings belong together; what no group names is under the last.
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
        &["DOCKNAP_DATA_DIR", "DOCKNAP_DATABASE_URL", "DOCKNAP_HISTORY_DAYS", "DOCKNAP_AUDIT_DAYS"],
    ),
    (
        "logs",
        "Log and metrics",
        &["DOCKNAP_LOG", "DOCKNAP_LOG_FORMAT", "DOCKNAP_METRICS", "DOCKNAP_METRICS_TOKEN"],
    ),
    ("other", "Everything else", &[]),
];

/// Everything that is set.
#[derive(Template)]
#[template(path = "settings/index.html")]
struct SettingsPage<'a> {
    shell: &'a Shell,
    config: &'a Config,
    form: Refill,
    /// How safe it is.
    checks: Vec<Check>,
    /// What was set at the start.
    groups: Vec<Group<'a>>,
}

impl SettingsPage<'_> {
    /// How many of the checks are well.
    fn well(&self) -> usize {
        self.checks.iter().filter(|check| check.tone == "good").count()
    }

    /// The same of a hundred, for the ring.
    fn well_share(&self) -> usize {
        self.well() * 100 / self.checks.len().max(1)
    }
}

fn checks(config: &Config, via: Via) -> Vec<Check> {
    let check = |tone, title, text: &str, cure| Check { tone, title, text: text.to_owned(), cure };
    let direct = config.docker_host.starts_with("unix:");
    vec![
        match (via.https, via.is_private()) {
            (true, _) => {
                check("good", "This page came over https", "What you type cannot be read on the way.", "")
            }
            (false, true) => check(
                "info",
                "This page came over http, from this machine",
                "Fine as long as nobody else uses it. For others put DockNap behind https and say its address.",
                "DOCKNAP_BASE_URL",
            ),
            (false, false) => check(
                "warn",
                "This page came over plain http",
                "Passwords can be read on the network. Put DockNap behind a proxy with https and say its address.",
                "DOCKNAP_BASE_URL",
            ),
        },
        if config.trusted_proxies.is_empty() {
            let behind = config.base_url.as_ref().is_some_and(|url| url.https);
            check(
                if behind { "warn" } else { "good" },
                "No proxy is trusted",
                if behind {
                    "The address is https, so there is a proxy; until it is named, every login seems to come from it."
                } else {
                    "Nobody can pretend to call from another address. Name your proxy once there is one."
                },
                if behind { "DOCKNAP_TRUSTED_PROXIES" } else { "" },
            )
        } else {
            let nets: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
            let text = format!("The address a caller has is believed where {} says it.", nets.join(", "));
            Check { tone: "good", title: "Your proxy is named", text, cure: "" }
        },
        match (direct, config.docker_tls_verify) {
            (true, _) => check(
                "warn",
                "Docker’s socket is used directly",
                "Whoever breaks into DockNap then rules the machine. A socket proxy lets through only the calls it needs.",
                "DOCKER_HOST",
            ),
            (false, true) => {
                check("good", "Docker is reached over TLS", "Both sides show a certificate.", "")
            }
            (false, false) => check(
                "good",
                "Docker is reached over the network, as through a socket proxy",
                "Only the calls that the proxy lets through can be made. Keep it on a network of its own.",
                "",
            ),
        },
        match &config.metrics {
            Metrics::Off => check("good", "Metrics are off", "Nobody can read them.", ""),
            Metrics::Token(_) => {
                check("good", "Metrics need their token", "Only your Prometheus can read them.", "")
            }
            Metrics::Open => check(
                "warn",
                "Metrics are open",
                "Whoever reaches this address can read the names of stacks. Ask for a token.",
                "DOCKNAP_METRICS",
            ),
        },
    ]
}

/// How old the last backup is. One of a week is good enough for what changes rarely.
fn backed_up(config: &Config, last: Option<&When>, days: i64) -> Check {
    const OLD: i64 = 7;
    let (tone, title, text) = match last {
        _ if config.database_file().is_none() => (
            "info",
            "Backups of a PostgreSQL server are not seen from here",
            "Its own tools make them; see below.".to_owned(),
        ),
        None => (
            "warn",
            "No backup was made yet",
            "One command makes one, also while DockNap works; see below.".to_owned(),
        ),
        Some(last) if days > OLD => (
            "warn",
            "The last backup is old",
            format!("It was made {}. One command makes another; see below.", last.relative),
        ),
        Some(last) => (
            "good",
            "There is a backup",
            format!("It was made {}. Keep it on another machine.", last.relative),
        ),
    };
    Check { tone, title, text, cure: "" }
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

/// The fields of both forms.
const FIELDS: [&str; 5] = ["timezone", "watts_per_core", "watts_per_gib", "price_per_kwh", "currency"];

/// What is stored, as both forms hold it.
async fn stored(page: &Page<Admin>) -> Result<Typed> {
    let prices = PricesDraft::of(&settings::prices(&page.app).await?);
    let zone = settings::stored_zone(&page.app, &page.actor).await?.unwrap_or_else(|| "UTC".to_owned());
    let PricesDraft { watts_per_core, watts_per_gib, price_per_kwh, currency } = prices;
    let values = [zone, watts_per_core, watts_per_gib, price_per_kwh, currency];
    Ok(Typed::of(FIELDS.into_iter().zip(values)))
}

/// The page, with what was typed in either form.
async fn filled<'a>(
    page: &'a Page<Admin>,
    via: Via,
    typed: &Typed,
    errors: Vec<FieldError>,
) -> Result<SettingsPage<'a>> {
    let (config, now) = (&page.app.config, &page.shell.now);
    let mut form = Refill { typed: stored(page).await?, errors };
    for name in FIELDS.into_iter().filter(|name| typed.has(name)) {
        form.typed.set(name, typed.get(name));
    }
    let last = backup::last(&page.app).await?;
    let days = last.map_or(0, |last| now.at.duration_since(last).as_hours() / 24);
    let mut checks = checks(config, via);
    checks.push(backed_up(config, last.map(|last| now.when(last)).as_ref(), days));
    Ok(SettingsPage { shell: &page.shell, config, form, checks, groups: groups(config) })
}

async fn show(
    page: Page<Admin>,
    RestoredForm(restored): RestoredForm,
    Extension(via): Extension<Via>,
) -> Result<Response> {
    page.render(&filled(&page, via, &restored.unwrap_or_default(), Vec::new()).await?)
}

async fn zone(page: Page<Admin>, Extension(via): Extension<Via>, typed: Typed) -> Result<Response> {
    let outcome = settings::set_zone(&page.app, &page.actor, typed.get("timezone")).await;
    let text = "The time zone is stored. Schedules that name none follow it from now on.";
    saved(&page, via, &typed, outcome, text, "time").await
}

async fn report(page: Page<Admin>, Extension(via): Extension<Via>, typed: Typed) -> Result<Response> {
    let text = |name: &str| typed.get(name).to_owned();
    let draft = PricesDraft {
        watts_per_core: text("watts_per_core"),
        watts_per_gib: text("watts_per_gib"),
        price_per_kwh: text("price_per_kwh"),
        currency: text("currency"),
    };
    let outcome = settings::set_prices(&page.app, &page.actor, &draft).await.map(drop);
    saved(&page, via, &typed, outcome, "The numbers are stored.", "report").await
}

/// Back to the part of the page, or the forms again.
async fn saved(
    page: &Page<Admin>,
    via: Via,
    typed: &Typed,
    outcome: Result<()>,
    text: &str,
    part: &str,
) -> Result<Response> {
    match outcome {
        Ok(()) => Ok(page.redirect_with(&format!("/settings#{part}"), Flash::new("good", text)).await),
        Err(Error::Invalid(errors)) => page.refuse(&filled(page, via, typed, errors).await?),
        Err(other) => Err(other),
    }
}
