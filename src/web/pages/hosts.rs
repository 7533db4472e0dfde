//! The pages of hosts: a card for each and a page of one for all users, a form with a test for admins.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::actions::{Pick, Question};
use super::choices::Difference;
use super::gone;
use crate::app::docker_check::{Checked, Outcome, Purpose};
use crate::app::hosts::{self, HostDraft, HostView, SchedulesOfHost};
use crate::app::{Error, FieldError, Result};
use crate::domain::host::{HostRecord, HostSource, HostTls, id_from};
use crate::domain::ids::HostId;
use crate::domain::inventory::Link;
use crate::web::auth::{Admin, Viewer};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Badge, Choice};

/// The address that the form of a first host begins with.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// The maximum length of a value in the comparison of two versions, in characters.
const MAX_SHOWN: usize = 200;
const HOURS_OF_DAY: i64 = 24;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/hosts", Access::VIEWER, index)
        .post("/hosts", Access::ADMIN, create)
        .get("/hosts/new", Access::ADMIN, new)
        .post("/hosts/new/test", Access::ADMIN, test_new)
        .get("/hosts/{id}", Access::VIEWER, show)
        .post("/hosts/{id}", Access::ADMIN, update)
        .get("/hosts/{id}/edit", Access::ADMIN, edit)
        .post("/hosts/{id}/test", Access::ADMIN, test)
        .post("/hosts/{id}/enable", Access::ADMIN, |page, id| set_enabled(page, id, true))
        .post("/hosts/{id}/disable", Access::ADMIN, |page, id| set_enabled(page, id, false))
        .get("/hosts/{id}/delete", Access::ADMIN, ask_delete)
        .post("/hosts/{id}/delete", Access::ADMIN, delete)
}

/// The tone of a certificate that ends soon: `bad` in the last 3 days and after its end, `warn` in the last 30 days;
/// else empty.
fn expiry_tone(not_after: &Timestamp, shell: &Shell) -> &'static str {
    match not_after.duration_since(shell.now.at).as_hours() / HOURS_OF_DAY {
        ..3 => "bad",
        3..30 => "warn",
        _ => "",
    }
}

/// The tone of the difference between the Engine's clock and ours, and the seconds that its clock is ahead; `None` up
/// to 5 s.
fn clock_fault(host: &HostView) -> Option<(&'static str, i64)> {
    let ahead = host.ahead.as_secs();
    match ahead.abs() {
        ..=5 => None,
        6..=60 => Some(("warn", ahead)),
        _ => Some(("bad", ahead)),
    }
}

/// The list of all hosts.
#[derive(Template)]
#[template(path = "hosts/index.html", blocks = ["live"])]
struct HostsPage<'a> {
    shell: &'a Shell,
    hosts: Vec<HostView>,
}

async fn index(page: Page<Viewer>) -> Result<Response> {
    let hosts = hosts::list(&page.app, &page.actor).await?;
    let shown = HostsPage { shell: &page.shell, hosts };
    page.render_live(&shown, &shown.as_live())
}

/// The page of one host.
#[derive(Template)]
#[template(path = "hosts/show.html", blocks = ["live", "checks"])]
struct HostPage<'a> {
    shell: &'a Shell,
    host: HostView,
    /// The result of a test, right after it.
    tested: Option<Checked>,
}

async fn show(page: Page<Viewer>, Path(id): Path<HostId>) -> Result<Response> {
    let host = match hosts::get(&page.app, &page.actor, &id).await {
        Ok(host) => host,
        Err(error) if page.htmx.partial => return gone(error),
        Err(error) => return Err(error),
    };
    let shown = HostPage { shell: &page.shell, host, tested: None };
    page.render_live(&shown, &shown.as_live())
}

/// The stored host as fields of the form; never the private key.
fn fields(host: &HostRecord) -> Typed {
    let spec = &host.spec;
    let (ca, cert) = match &spec.tls {
        Some(HostTls::Texts { ca, cert, .. }) => (ca.clone(), cert.clone().unwrap_or_default()),
        Some(HostTls::Files { .. }) | None => (String::new(), String::new()),
    };
    let mut typed = Typed::of([
        ("name", spec.name.clone()),
        ("endpoint", spec.endpoint.clone()),
        ("ca", ca),
        ("cert", cert),
        ("parallelism", spec.parallelism.map(|number| number.to_string()).unwrap_or_default()),
        ("note", spec.note.clone()),
        ("rev", host.rev.to_string()),
    ]);
    if spec.insecure {
        typed.set("insecure", "on");
    }
    typed
}

/// The draft of the form. Whether the host is enabled is not part of the form and stays.
fn draft(typed: &Typed, stored: Option<&HostView>) -> HostDraft {
    // Browsers send other line endings.
    let text = |name: &str| Some(typed.get(name).replace("\r\n", "\n"));
    HostDraft {
        id: text("id"),
        name: text("name"),
        endpoint: text("endpoint"),
        insecure: typed.has("insecure"),
        ca: text("ca"),
        cert: text("cert"),
        key: Some(typed.secret("key")),
        parallelism: text("parallelism"),
        note: text("note"),
        enabled: stored.map(|host| host.record.enabled),
    }
}

#[derive(Template)]
#[template(path = "hosts/form.html", blocks = ["form"])]
struct HostForm<'a> {
    shell: &'a Shell,
    stored: Option<&'a HostView>,
    form: Refill,
    /// The fields in which the form and the stored host differ, if both were changed.
    differences: Vec<Difference>,
    /// The result of a test.
    tested: Option<Checked>,
    /// Whether a private key was sent, which the page does not send back.
    key_is_lost: bool,
}

impl<'a> HostForm<'a> {
    fn new(
        page: &'a Page<Admin>,
        stored: Option<&'a HostView>,
        typed: Typed,
        errors: Vec<FieldError>,
    ) -> Self {
        // htmx changes the page in place: there the field keeps what was typed.
        let key_is_lost = typed.filled("key").is_some() && !page.htmx.partial;
        let form = Refill::wrong(typed, errors);
        Self { shell: &page.shell, stored, form, differences: Vec::new(), tested: None, key_is_lost }
    }

    /// The path of the test.
    fn test_path(&self) -> String {
        let id = self.stored.map_or("new", |host| host.record.id.as_str());
        format!("/hosts/{id}/test")
    }

    /// The id that is made from the name if none is typed.
    fn made_id(&self) -> String {
        match id_from(self.form.value("name")) {
            id if id.is_empty() => "nas-in-the-cellar".to_owned(),
            id => id,
        }
    }

    fn has_stored_key(&self) -> bool {
        let tls = self.stored.and_then(|host| host.record.spec.tls.as_ref());
        matches!(tls, Some(HostTls::Texts { sealed_key: Some(_), .. }))
    }

    /// Whether one of the fields is filled or wrong; the part of the form with them is open then.
    fn uses(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.form.typed.filled(name).is_some() || self.form.error(name).is_some())
    }

    fn uses_tls(&self) -> bool {
        // TCP is refused without TLS: here is the way to add it.
        self.key_is_lost || self.form.error("insecure").is_some() || self.uses(&["ca", "cert", "key"])
    }

    fn uses_more(&self) -> bool {
        self.uses(&["parallelism", "note"])
    }

    /// The form after another user has saved the host: the typed values stay, with the differences to the stored ones.
    fn stale(mut self, stored: &Typed) -> Self {
        for (field, name) in [
            ("Name", "name"),
            ("Address", "endpoint"),
            ("Plain TCP", "insecure"),
            ("Certificate of the authority", "ca"),
            ("Client certificate", "cert"),
            ("Operations at the same time", "parallelism"),
            ("Note", "note"),
        ] {
            let (yours, theirs) = (self.form.value(name), stored.get(name));
            if !yours.trim().lines().eq(theirs.trim().lines()) {
                let (yours, theirs) = (shown(name, yours), shown(name, theirs));
                self.differences.push(Difference { field, yours, theirs });
            }
        }
        self.form.typed.set("rev", stored.get("rev"));
        self
    }
}

/// A value of the form in a comparison.
fn shown(name: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match (name, &*lines) {
        ("insecure", []) => "no".to_owned(),
        ("insecure", _) => "allowed".to_owned(),
        (_, []) => "nothing".to_owned(),
        // The last line before the end mark is that in which two certificates differ.
        ("ca" | "cert", lines) => {
            let last = lines.iter().rev().find(|line| !line.starts_with('-')).copied().unwrap_or_default();
            let end: String = last.chars().skip(last.chars().count().saturating_sub(12)).collect();
            format!("{}, the last ends with {end}", view::count(lines.len(), "line"))
        }
        (_, lines) => lines.join(", ").chars().take(MAX_SHOWN).collect(),
    }
}

async fn new(page: Page<Admin>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    let typed = match restored {
        Some(typed) => typed,
        None if hosts::list(&page.app, &page.actor).await?.is_empty() => {
            Typed::of([("name", "local"), ("endpoint", SOCKET)])
        }
        None => Typed::default(),
    };
    page.render(&HostForm::new(&page, None, typed, Vec::new()))
}

async fn edit(
    page: Page<Admin>,
    Path(id): Path<HostId>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let host = editable(&page, &id).await?;
    let typed = restored.unwrap_or_else(|| fields(&host.record));
    page.render(&HostForm::new(&page, Some(&host), typed, Vec::new()))
}

/// The host, if the pages may change it.
///
/// # Errors
/// [`Error::Conflict`] for a host of the settings.
async fn editable(page: &Page<Admin>, id: &HostId) -> Result<HostView> {
    let host = hosts::get(&page.app, &page.actor, id).await?;
    let whose = match host.record.source {
        HostSource::Env => "the settings of DockNap (DOCKER_HOST)",
        HostSource::File => "docknap.toml",
        HostSource::Ui | HostSource::Api => return Ok(host),
    };
    Err(Error::conflict("read_only", format!("this host comes from {whose}; change it there")))
}

async fn create(page: Page<Admin>, typed: Typed) -> Result<Response> {
    store(&page, None, typed).await
}

async fn update(page: Page<Admin>, Path(id): Path<HostId>, typed: Typed) -> Result<Response> {
    let host = hosts::get(&page.app, &page.actor, &id).await?;
    store(&page, Some(&host), typed).await
}

async fn store(page: &Page<Admin>, stored: Option<&HostView>, typed: Typed) -> Result<Response> {
    let (app, actor, draft) = (&page.app, &page.actor, draft(&typed, stored));
    let outcome = match stored {
        None => hosts::create(app, actor, &draft, HostSource::Ui).await,
        Some(host) => {
            let rev = typed.get("rev").parse().ok();
            hosts::update(app, actor, &host.record.id, &draft, rev).await
        }
    };
    match (outcome, stored) {
        (Ok(host), _) => {
            let message = format!("“{}” is stored.", view::shown_name(&host.spec.name));
            Ok(page.redirect_with(&format!("/hosts/{}", host.id), Flash::new("good", message)).await)
        }
        // What was typed stays, such as while a run on the host is under way.
        (Err(Error::Conflict { message, .. }), Some(_)) => {
            let errors = vec![FieldError::new("endpoint", message)];
            page.answer(StatusCode::CONFLICT, &HostForm::new(page, stored, typed, errors))
        }
        (Err(Error::Invalid(errors)), _) => page.refuse(&HostForm::new(page, stored, typed, errors)),
        (Err(Error::Stale { .. }), Some(host)) => {
            let host = hosts::get(app, actor, &host.record.id).await?;
            let form = HostForm::new(page, Some(&host), typed, Vec::new()).stale(&fields(&host.record));
            page.answer(StatusCode::CONFLICT, &form)
        }
        (Err(other), _) => Err(other),
    }
}

async fn test_new(page: Page<Admin>, typed: Typed) -> Result<Response> {
    test_draft(&page, None, typed).await
}

/// Tests a host as it is stored, or as it is in the form.
async fn test(page: Page<Admin>, Path(id): Path<HostId>, typed: Typed) -> Result<Response> {
    let host = hosts::get(&page.app, &page.actor, &id).await?;
    if typed.has("endpoint") {
        return test_draft(&page, Some(&host), typed).await;
    }
    let tested = Some(Box::pin(hosts::test(&page.app, &page.actor, Some(&id), None)).await?);
    let shown = HostPage { shell: &page.shell, host, tested };
    page.render_live(&shown, &shown.as_checks())
}

async fn test_draft(page: &Page<Admin>, stored: Option<&HostView>, typed: Typed) -> Result<Response> {
    let (id, draft) = (stored.map(|host| &host.record.id), draft(&typed, stored));
    let outcome = Box::pin(hosts::test(&page.app, &page.actor, id, Some(&draft))).await;
    let (tested, errors) = match outcome {
        Ok(tested) => (Some(tested), Vec::new()),
        Err(Error::Invalid(errors)) => (None, errors),
        Err(other) => return Err(other),
    };
    let shown = HostForm { tested, ..HostForm::new(page, stored, typed, errors) };
    let status = shown.form.status();
    if page.htmx.partial { page.answer(status, &shown.as_form()) } else { page.answer(status, &shown) }
}

async fn set_enabled(page: Page<Admin>, Path(id): Path<HostId>, enabled: bool) -> Result<Response> {
    hosts::set_enabled(&page.app, &page.actor, &id, enabled).await?;
    let host = hosts::get(&page.app, &page.actor, &id).await?;
    let message = match (enabled, host.schedules) {
        (true, _) => "The host is enabled; DockNap connects to it.".to_owned(),
        (false, 0) => "The host is disabled.".to_owned(),
        (false, 1) => "The host is disabled; its schedule waits.".to_owned(),
        (false, waiting) => format!("The host is disabled; its {waiting} schedules wait."),
    };
    Ok(page.redirect_with(&format!("/hosts/{id}"), Flash::new("good", message)).await)
}

async fn ask_delete(page: Page<Admin>, Path(id): Path<HostId>) -> Result<Response> {
    question(&page, &id, "", Vec::new()).await?.ask(&page)
}

async fn delete(page: Page<Admin>, Path(id): Path<HostId>, typed: Typed) -> Result<Response> {
    let rev = typed.filled("rev").and_then(|rev| rev.parse().ok());
    let choice = schedules_choice(typed.get("schedules"));
    let wrong = match hosts::delete(&page.app, &page.actor, &id, choice.as_ref(), rev).await {
        Ok(()) => {
            return Ok(page.redirect_with("/hosts", Flash::new("good", "The host is deleted.")).await);
        }
        Err(Error::Conflict { code: "host_has_schedules", .. }) => {
            "choose what becomes of its schedules".to_owned()
        }
        Err(Error::Invalid(faults)) => {
            faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ")
        }
        Err(other) => return Err(other),
    };
    let errors = vec![FieldError::new("schedules", wrong)];
    question(&page, &id, typed.get("schedules"), errors).await?.ask(&page)
}

/// The choice of the question: `delete`, or `move:ID`; `None` for none.
fn schedules_choice(text: &str) -> Option<SchedulesOfHost> {
    match text.split_once(':') {
        Some(("move", id)) => Some(SchedulesOfHost::MoveTo(HostId(id.to_owned()))),
        _ => (text == "delete").then_some(SchedulesOfHost::Delete),
    }
}

/// The question before a host is deleted. `chosen` is the choice about its schedules.
async fn question(
    page: &Page<Admin>,
    id: &HostId,
    chosen: &str,
    errors: Vec<FieldError>,
) -> Result<Question> {
    let host = editable(page, id).await?;
    let name = view::shown_name(&host.record.spec.name);
    let naps = match host.napping {
        0 => String::new(),
        1 => " The container that DockNap put to sleep there stays as it is.".to_owned(),
        many => format!(" The {many} containers that DockNap put to sleep there stay as they are."),
    };
    let pick = if host.schedules == 0 { None } else { Some(pick(page, &host, chosen).await?) };
    Ok(Question {
        title: format!("Delete the host “{name}”?"),
        label: "Delete".to_owned(),
        icon: "trash-2",
        harsh: true,
        action: format!("/hosts/{id}/delete"),
        back: view::Link::new(format!("/hosts/{id}"), name),
        text: format!("Nothing changes on the Engine.{naps} Runs keep its id, and the audit log its name."),
        rev: Some(host.record.rev),
        pick,
        errors,
        ..Question::default()
    })
}

/// What can become of the schedules of a host.
async fn pick(page: &Page<Admin>, host: &HostView, chosen: &str) -> Result<Pick> {
    let count = view::count(host.schedules, "schedule");
    let choice = |value: String, label: String| Choice { chosen: value == chosen, value, label };
    let mut options = vec![
        choice(String::new(), "Choose …".to_owned()),
        choice("delete".to_owned(), format!("Delete its {count} too")),
    ];
    let others = hosts::list(&page.app, &page.actor).await?;
    options.extend(others.iter().filter(|other| other.record.id != host.record.id).map(|other| {
        let name = view::shown_name(&other.record.spec.name);
        choice(format!("move:{}", other.record.id), format!("Move them to {name}"))
    }));
    Ok(Pick { name: "schedules", label: format!("Its {count}"), options })
}
