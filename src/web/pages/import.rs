//! The page that reads a rules file: a plan first, in plain words, and a button that applies exactly that plan.

use askama::Template;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::app::rules_file::{self, Deed, Document, Export, Foreign, Plan, Section};
use crate::app::{Error, FieldError, Result};
use crate::web::auth::Operator;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::view::Choice;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/settings/import", Access::OPERATOR, show)
        .post("/settings/import", Access::OPERATOR, look)
        .post("/settings/import/apply", Access::OPERATOR, apply)
        .get("/settings/rules.yaml", Access::OPERATOR, export)
}

/// The page, with the plan once a file is there.
#[derive(Template)]
#[template(path = "settings/import.html")]
struct ImportPage<'a> {
    shell: &'a Shell,
    form: Refill,
    /// What the text may be.
    formats: Vec<Choice>,
    /// All faults of the file, with line and path.
    faults: Vec<String>,
    plan: Option<Plan>,
    /// Sentences about lines of another program that are not understood.
    left: Vec<String>,
}

impl ImportPage<'_> {
    /// The sections of the plan that have steps, each with a line for each of them.
    fn sections(&self) -> Vec<(&'static str, Vec<(Deed, String)>)> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let of = |section: Section| {
            let steps = plan.steps.iter().filter(|step| step.section == section);
            (section.as_str(), steps.map(|step| (step.deed, step.sentence())).collect::<Vec<_>>())
        };
        Section::ALL.map(of).into_iter().filter(|(_, steps)| !steps.is_empty()).collect()
    }
}

/// The formats of a file, of which one is chosen.
fn formats(chosen: &str) -> Vec<Choice> {
    let all = [("", "A rules file: YAML or JSON")].into_iter();
    let all = all.chain(Foreign::ALL.map(|(_, word, label)| (word, label)));
    let choice = |(value, label): (&str, &str)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: value == chosen,
    };
    all.map(choice).collect()
}

/// The icon of a step.
fn icon(deed: &Deed) -> &'static str {
    match deed {
        Deed::Create => "plus",
        Deed::Change => "pencil",
        Deed::Delete => "trash-2",
    }
}

/// Everything as a file.
async fn export(page: Page<Operator>) -> Result<Response> {
    let export = rules_file::export(&page.app, &page.actor).await?;
    Ok(file("rules", &export, page.shell.now.at))
}

/// A rules file as a download.
pub(super) fn file(name: &str, export: &Export, now: Timestamp) -> Response {
    let name = format!("attachment; filename=\"docknap-{name}-{}.yaml\"", now.strftime("%Y-%m-%d"));
    let head = [(CONTENT_TYPE, "application/yaml".to_owned()), (CONTENT_DISPOSITION, name)];
    (head, export.to_yaml()).into_response()
}

async fn show(page: Page<Operator>) -> Result<Response> {
    page.render(&ImportPage {
        shell: &page.shell,
        form: Refill::default(),
        formats: formats(""),
        faults: Vec::new(),
        plan: None,
        left: Vec::new(),
    })
}

/// A typed file that is read and planned; or every fault of it.
struct Looked {
    plan: std::result::Result<Plan, Vec<FieldError>>,
    left: Vec<String>,
}

async fn looked(page: &Page<Operator>, typed: &Typed) -> Result<Looked> {
    let text = typed.get("text");
    let (document, left) = match Foreign::parse(typed.get("from")) {
        Some(foreign) => {
            let (document, left) = foreign.read(text);
            (Ok(document), left)
        }
        None => (Document::read(text), Vec::new()),
    };
    let document = match document {
        Ok(document) => document,
        Err(faults) => return Ok(Looked { plan: Err(faults), left }),
    };
    let plan = Box::pin(rules_file::plan(&page.app, &page.actor, &document, typed.has("prune"))).await;
    match plan {
        Ok(plan) => Ok(Looked { plan: Ok(plan), left }),
        Err(Error::Invalid(faults)) => Ok(Looked { plan: Err(faults), left }),
        Err(other) => Err(other),
    }
}

/// The page with the plan of the typed file, or with its faults.
fn answer(page: &Page<Operator>, typed: Typed, looked: Looked, error: Option<&str>) -> Result<Response> {
    let (plan, faults) = match looked.plan {
        Ok(plan) => (Some(plan), Vec::new()),
        Err(faults) => (None, faults),
    };
    let message = error.map(str::to_owned).or_else(|| {
        (!faults.is_empty()).then(|| "The file has faults, which are listed; nothing was changed.".to_owned())
    });
    let errors = message.into_iter().map(|message| FieldError::new("text", message)).collect();
    let faults = faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
    let form = Refill { typed, errors };
    let status = form.status();
    let formats = formats(form.value("from"));
    let shown = ImportPage { shell: &page.shell, form, formats, faults, plan, left: looked.left };
    page.answer(status, &shown)
}

async fn look(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let looked = looked(&page, &typed).await?;
    answer(&page, typed, looked, None)
}

async fn apply(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let looked = looked(&page, &typed).await?;
    let Ok(plan) = &looked.plan else { return answer(&page, typed, looked, None) };
    let hash = typed.get("plan");
    match Box::pin(rules_file::apply_exactly(&page.app, &page.actor, plan, hash)).await {
        Ok(()) => {
            let message = Flash::new("good", format!("The file is read. {}", plan.sentence()));
            Ok(page.redirect_with("/settings/import", message).await)
        }
        Err(Error::Conflict { code: "stale_plan", message }) => answer(&page, typed, looked, Some(&message)),
        Err(other) => Err(other),
    }
}
