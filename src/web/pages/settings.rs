//! Settings: what an admin sets here, what was set at the start, and how safe all of it is.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::html;
use crate::app::settings::{self, PricesDraft};
use crate::app::{Error, FieldError, Result, backup};
use crate::config::table::{Kind, SETTINGS, Setting};
use crate::config::{Config, Metrics};
use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::When;

pub(super) fn routes() -> Routes {
    Routes::new().get("/settings", Access::ADMIN, show).post("/settings/zone", Access::ADMIN, zone).post(
        "/settings/report",
        Access::ADMIN,
        report,
    )
}

/// One thing that makes DockNap safer or less safe.
#[derive(Clone, Debug)]
pub struct Check {
    /// `good`, `warn`, `info`.
    pub tone: &'static str,
    /// What is so.
    pub title: &'static str,
    /// What follows from it, and what to do.
    pub text: String,
    /// The setting that cures it; empty where there is nothing to cure.
    pub cure: &'static str,
}

impl Check {
    /// The icon of the tone.
    pub fn icon(&self) -> &'static str {
        match self.tone {
            "good" => "circle-check",
            "warn" => "triangle-alert",
            _ => "info",
        }
    }
}

/// One setting of the start.
#[derive(Clone, Debug)]
pub struct Line {
    /// `DOCKNAP_LISTEN`
    pub name: &'static str,
    /// As it was given; empty = nothing.
    pub value: String,
    /// `variable`, `flag --listen`, `docknap.toml`, `default`.
    pub origin: String,
    /// It is not the default.
    pub given: bool,
    /// What it is about.
    pub help: String,
    /// What may be written there.
    pub kind: String,
}

/// A group of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The end of its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its settings.
    pub lines: Vec<Line>,
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
#[derive(Template, Clone, Debug)]
#[template(path = "settings/index.html")]
pub struct SettingsPage {
    pub shell: Shell,
    /// What is wrong with the form that came back.
    pub errors: Vec<FieldError>,
    /// How safe it is.
    pub checks: Vec<Check>,
    /// The zone field.
    pub zone: String,
    /// `TZ` decides.
    pub zone_fixed: Option<String>,
    /// The numbers of the sleep report.
    pub prices: PricesDraft,
    /// Backups are made by command.
    pub sqlite: bool,
    /// What was set at the start.
    pub groups: Vec<Group>,
}

impl SettingsPage {
    fn new(shell: Shell, config: &Config, via: Option<Via>) -> Self {
        Self {
            shell,
            errors: Vec::new(),
            checks: checks(config, via),
            zone: String::new(),
            zone_fixed: config.timezone.clone(),
            prices: PricesDraft::default(),
            sqlite: config.database_file().is_some(),
            groups: groups(config),
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// How many of the checks are well.
    pub fn well(&self) -> usize {
        self.checks.iter().filter(|check| check.tone == "good").count()
    }

    /// The same of a hundred, for the ring.
    pub fn well_share(&self) -> usize {
        self.well() * 100 / self.checks.len().max(1)
    }
}

fn checks(config: &Config, via: Option<Via>) -> Vec<Check> {
    let check = |tone, title, text: &str, cure| Check { tone, title, text: text.to_owned(), cure };
    let https = via.is_some_and(|via| via.https);
    let direct = config.docker_host.starts_with("unix:");
    vec![
        match (https, via.is_some_and(Via::is_private)) {
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

fn groups(config: &Config) -> Vec<Group> {
    let named: Vec<&str> = GROUPS.iter().flat_map(|(.., names)| names.iter().copied()).collect();
    let find = |name: &str| SETTINGS.iter().find(|setting| setting.name == name);
    GROUPS
        .into_iter()
        .map(|(id, title, names)| {
            let rest = SETTINGS.iter().filter(|setting| names.is_empty() && !named.contains(&setting.name));
            let lines = names.iter().filter_map(|name| find(name)).chain(rest);
            Group { id, title, lines: lines.map(|setting| line(setting, config)).collect() }
        })
        .collect()
}

fn line(setting: &'static Setting, config: &Config) -> Line {
    let given = config.given.get(setting.name);
    let secret = setting.is_secret();
    Line {
        name: setting.name,
        value: match given {
            Some(_) if secret => "set, not shown".to_owned(),
            Some(given) => given.text.clone(),
            None if setting.default.is_empty() => String::new(),
            None => setting.default.to_owned(),
        },
        origin: given.map_or_else(|| "default".to_owned(), |given| given.origin.clone()),
        given: given.is_some(),
        // Written for the documentation.
        help: setting.help.replace('`', ""),
        kind: match setting.kind {
            Kind::Text | Kind::Secret | Kind::Path | Kind::Url => String::new(),
            other => other.describe(),
        },
    }
}

async fn filled(web: &Web, caller: &Caller<Admin>, shell: Shell, via: Option<Via>) -> Result<SettingsPage> {
    let now = super::now(web, &shell);
    let last = backup::last(&web.app).await?;
    let days = last.map_or(0, |last| now.at.duration_since(last).as_hours() / 24);
    let mut page = SettingsPage::new(shell, &web.app.config, via);
    page.checks.push(backed_up(&web.app.config, last.map(|last| now.when(last)).as_ref(), days));
    Ok(SettingsPage {
        zone: settings::stored_zone(&web.app, &caller.actor).await?.unwrap_or_else(|| "UTC".to_owned()),
        prices: PricesDraft::of(&settings::prices(&web.app).await?),
        ..page
    })
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Kept(kept): Kept,
    Extension(via): Extension<Via>,
    shell: Shell,
) -> Result<Response> {
    let mut page = filled(&web, &caller, shell, Some(via)).await?;
    if let Some(typed) = kept {
        page.take(&typed);
    }
    Ok(html(&page)?.into_response())
}

impl SettingsPage {
    /// What was typed, of either form.
    fn take(&mut self, typed: &Typed) {
        if typed.has("timezone") {
            typed.get("timezone").clone_into(&mut self.zone);
        }
        if typed.has("watts_per_core") {
            self.prices = draft(typed);
        }
    }
}

fn draft(typed: &Typed) -> PricesDraft {
    let text = |name: &str| typed.get(name).to_owned();
    PricesDraft {
        watts_per_core: text("watts_per_core"),
        watts_per_gib: text("watts_per_gib"),
        price_per_kwh: text("price_per_kwh"),
        currency: text("currency"),
    }
}

async fn zone(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Extension(via): Extension<Via>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let outcome = settings::set_zone(&web.app, &caller.actor, typed.get("timezone")).await;
    let text = "The time zone is stored. Schedules that name none follow it from now on.";
    saved(&web, &caller, shell, via, &notes, &typed, outcome, text, "time").await
}

async fn report(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Extension(via): Extension<Via>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let outcome = settings::set_prices(&web.app, &caller.actor, &draft(&typed)).await.map(drop);
    saved(&web, &caller, shell, via, &notes, &typed, outcome, "The numbers are stored.", "report").await
}

#[expect(clippy::too_many_arguments, reason = "the parts of two requests that end alike")]
async fn saved(
    web: &Web,
    caller: &Caller<Admin>,
    shell: Shell,
    via: Via,
    notes: &Notes,
    typed: &Typed,
    outcome: Result<()>,
    text: &str,
    group: &str,
) -> Result<Response> {
    match outcome {
        Ok(()) => {
            notes.leave(Flash::new("good", text)).await;
            Ok(Redirect::to(&web.link(&format!("/settings#{group}"))).into_response())
        }
        Err(Error::Invalid(errors)) => {
            let mut page = filled(web, caller, shell, Some(via)).await?;
            page.take(typed);
            page.errors = errors;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(other) => Err(other),
    }
}
