//! The pages of overrides: active and ended ones, and a form for a new one.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;

use super::choices::{Group, targets};
use crate::app::overrides::{self, Draft};
use crate::app::paging;
use crate::app::{Error, Result, stacks};
use crate::domain::ids::OverrideId;
use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::web::auth::Operator;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Badge, Choice};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/overrides", Access::VIEWER, index)
        .post("/overrides", Access::OPERATOR, create)
        .get("/overrides/new", Access::OPERATOR, new)
        .post("/overrides/{id}/end", Access::OPERATOR, end)
}

#[derive(Template)]
#[template(path = "overrides/index.html", blocks = ["live"])]
struct OverridesPage<'a> {
    shell: &'a Shell,
    /// The active overrides.
    open: &'a [Override],
    /// The ended overrides, newest first.
    ended: &'a [Override],
}

/// The states that an override can want; the first is the default.
const STATES: [(&str, &str); 3] = [
    ("awake", "Awake: woken now, and not put to sleep"),
    ("asleep", "Asleep: put to sleep now, and not woken"),
    ("hold", "Held: left as it is, whatever its schedules say"),
];
/// The durations; the last option uses the instant in the field `at`.
const SPANS: [(&str, &str); 6] = [
    ("1h", "1 hour"),
    ("3h", "3 hours"),
    ("12h", "12 hours"),
    ("1d", "1 day"),
    ("7d", "7 days"),
    ("at", "Until a time"),
];

#[derive(Template)]
#[template(path = "overrides/new.html")]
struct OverrideForm<'a> {
    shell: &'a Shell,
    form: Refill,
    /// The possible targets.
    groups: Vec<Group>,
}

impl OverrideForm<'_> {
    /// The selected option of a field: the typed one, else the first.
    fn chosen<'b>(&self, field: &str, among: &[(&'b str, &str)]) -> &'b str {
        let typed = among.iter().find(|(value, _)| *value == self.form.value(field));
        typed.or(among.first()).map_or("", |(value, _)| value)
    }
}

/// The maximum number of ended overrides, and of active ones.
const ENDED: u32 = 50;
const OPEN: u32 = 500;

async fn index(page: Page) -> Result<Response> {
    let newest = |limit| paging::Page { limit, cursor: None };
    let open = overrides::list(&page.app, &page.actor, false, &newest(OPEN)).await?.items;
    let mut ended = overrides::list(&page.app, &page.actor, true, &newest(ENDED)).await?.items;
    ended.retain(|one| one.closed_at.is_some());
    let whole = OverridesPage { shell: &page.shell, open: &open, ended: &ended };
    page.render_live(&whole, &whole.as_live())
}

async fn form(page: &Page<Operator>, form: Refill) -> Result<OverrideForm<'_>> {
    let picked = form.value("target");
    let all = Choice {
        value: "all/".to_owned(),
        label: "Everything DockNap looks after".to_owned(),
        chosen: picked == "all/" || picked.is_empty(),
    };
    let all = Group { label: "Everything".to_owned(), options: vec![all] };
    let overview = stacks::overview(&page.app, &page.actor).await?;
    let others = targets(&overview, if picked == "all/" { "" } else { picked }, None);
    let groups = std::iter::once(all).chain(others).collect();
    Ok(OverrideForm { shell: &page.shell, form, groups })
}

async fn new(
    page: Page<Operator>,
    Query(begin): Query<Typed>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    page.render(&form(&page, Refill::fresh(restored.unwrap_or(begin))).await?)
}

async fn create(page: Page<Operator>, typed: Typed) -> Result<Response> {
    let text = |name: &str| Some(typed.get(name).to_owned());
    let (target_type, target_id) = typed.get("target").split_once('/').unwrap_or_default();
    let draft = Draft {
        host: None,
        target_type: Some(target_type.to_owned()),
        target_id: Some(target_id.to_owned()),
        state: text("state"),
        until: text(if typed.get("until") == "at" { "at" } else { "until" }),
        reason: text("reason"),
    };
    match overrides::create(&page.app, &page.actor, &draft).await {
        Ok(one) => {
            let until = page.shell.now.when(one.until).short;
            let state = Badge::from(one.wanted).word.to_lowercase();
            let message = format!("{}: {state} until {until}.", view::reached(&one));
            Ok(page.redirect_with("/overrides", Flash::new("good", message)).await)
        }
        Err(Error::Invalid(mut errors)) => {
            // The form has one field where the API has three.
            for error in &mut errors {
                if error.field.starts_with("target") || error.field == "host" {
                    "target".clone_into(&mut error.field);
                }
            }
            page.refuse(&form(&page, Refill::wrong(typed, errors)).await?)
        }
        Err(other) => Err(other),
    }
}

/// Ends an override and redirects to the page of its target, or to the list for an override of everything.
async fn end(page: Page<Operator>, Path(id): Path<String>) -> Result<Response> {
    let id = OverrideId(id);
    let one = overrides::get(&page.app, &page.actor, &id).await?;
    overrides::finish(&page.app, &page.actor, &id).await?;
    let then = match one.wanted {
        DesiredState::Hold => {
            "Its schedules act again; what they missed that should hold now is made up for."
        }
        DesiredState::Awake | DesiredState::Asleep if one.puts_back => {
            "Its schedules decide again; what none decides about becomes as it was."
        }
        DesiredState::Awake | DesiredState::Asleep => "Its schedules decide again.",
    };
    let back = match &one.reach {
        Reach::Target(target) => view::target_page(target),
        Reach::All => "/overrides".to_owned(),
    };
    Ok(page.redirect_with(&back, Flash::new("good", format!("{}: ended. {then}", view::reached(&one)))).await)
}
