//! The order within a stack and between stacks: what compose says, and what people add to it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::schedules::form::Group;
use super::{go, html};
use crate::app::order::{self, Draft, Waits};
use crate::app::stacks::{self, StackView};
use crate::app::{Error, FieldError, Result};
use crate::domain::ids::HostId;
use crate::domain::run::Condition;
use crate::web::Web;
use crate::web::auth::{Caller, Operator};
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{self, Choice, Link};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/stacks/{key}/order", Access::OPERATOR, show)
        .post("/stacks/{key}/order", Access::OPERATOR, add)
        .post("/stacks/{key}/order/{id}/remove", Access::OPERATOR, remove)
}

/// One thing that waits for another.
#[derive(Clone, Debug)]
pub struct WaitLine {
    /// Who waits.
    pub dependant: String,
    /// Who is waited for.
    pub dependency: String,
    /// `is healthy, for 60 s at most`.
    pub condition: String,
    /// The id of the edge somebody added.
    pub id: Option<String>,
    /// Who added it.
    pub author: String,
}

impl WaitLine {
    /// One thing that waits for another.
    pub fn new(waits: &Waits) -> Self {
        let condition = match waits.condition {
            Condition::ServiceStarted => "runs",
            Condition::ServiceHealthy => "is healthy",
            Condition::ServiceCompletedSuccessfully => "has done its work",
            Condition::Stopped => "is down",
        };
        Self {
            dependant: view::shown_name(&waits.dependant),
            dependency: view::shown_name(&waits.dependency),
            condition: match waits.wait_seconds {
                Some(seconds) => format!("{condition}, for {} at most", view::span(seconds)),
                None => condition.to_owned(),
            },
            id: waits.added.as_ref().map(|edge| edge.id.clone()),
            author: waits.added.as_ref().map(|edge| view::shown_name(&edge.author)).unwrap_or_default(),
        }
    }
}

/// The order of a stack.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/order.html")]
pub struct OrderPage {
    pub shell: Shell,
    /// The stack.
    pub stack: Link,
    /// This page.
    pub href: String,
    /// What waits for what.
    pub waits: Vec<WaitLine>,
    /// Who can wait.
    pub dependants: Vec<Group>,
    /// Who can be waited for.
    pub dependencies: Vec<Group>,
    /// What must be so of it.
    pub conditions: Vec<Choice>,
    /// How long it is waited for, as typed.
    pub wait_seconds: String,
    pub errors: Vec<FieldError>,
}

impl OrderPage {
    fn new(
        shell: Shell,
        view: &StackView,
        others: Vec<Choice>,
        waits: &[Waits],
        typed: &Typed,
        errors: Vec<FieldError>,
    ) -> Self {
        let name = view::shown_name(&view.stack.name);
        let href = format!("/stacks/{}", view.stack.key);
        let services = |field: &str| Group {
            label: format!("Containers of {name}"),
            options: view
                .containers
                .iter()
                .filter(|one| one.container.is_ordinary())
                .map(|one| {
                    let value = format!("container/{}", one.container.key());
                    let chosen = typed.get(field) == value;
                    Choice { value, label: view::shown_name(&one.container.name), chosen }
                })
                .collect(),
        };
        let whole = format!("stack/{}", view.stack.key);
        let mut dependants = vec![Group {
            label: "Stack".to_owned(),
            options: vec![Choice {
                chosen: typed.get("dependant") == whole,
                value: whole,
                label: format!("All of {name}"),
            }],
        }];
        dependants.insert(0, services("dependant"));
        let mut dependencies =
            vec![services("dependency"), Group { label: "Other stacks".to_owned(), options: others }];
        dependencies.retain(|group| !group.options.is_empty());
        let conditions = [
            (Condition::ServiceStarted, "it runs"),
            (Condition::ServiceHealthy, "it is healthy"),
            (Condition::ServiceCompletedSuccessfully, "it has done its work"),
        ];
        // The page has one field where the API has two.
        let errors = errors.into_iter().map(|mut error| {
            for side in ["dependant", "dependency"] {
                if error.field.starts_with(side) {
                    side.clone_into(&mut error.field);
                }
            }
            error
        });
        Self {
            stack: Link::new(href.clone(), name),
            href: format!("{href}/order"),
            waits: waits.iter().map(WaitLine::new).collect(),
            dependants,
            dependencies,
            conditions: conditions
                .into_iter()
                .map(|(condition, label)| Choice {
                    value: condition.as_str().to_owned(),
                    label: label.to_owned(),
                    chosen: typed.get("condition") == condition.as_str(),
                })
                .collect(),
            wait_seconds: typed.get("wait_seconds").to_owned(),
            errors: errors.collect(),
            shell,
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

async fn page(
    web: &Web,
    caller: &Caller<Operator>,
    shell: Shell,
    key: &str,
    typed: &Typed,
    errors: Vec<FieldError>,
) -> Result<OrderPage> {
    let (app, actor) = (&web.app, &caller.actor);
    let overview = stacks::overview(app, actor).await?;
    let view = overview.stacks.iter().find(|view| view.stack.key == key);
    let view = view.ok_or_else(|| Error::not_found("stack", key))?;
    let others = overview.stacks.iter().filter(|other| other.stack.key != key).map(|other| {
        let value = format!("stack/{}", other.stack.key);
        let chosen = typed.get("dependency") == value;
        Choice { value, label: view::shown_name(&other.stack.name), chosen }
    });
    let waits = order::of_stack(app, actor, &view.stack.host, &view.stack.name)?;
    Ok(OrderPage::new(shell, view, others.collect(), &waits, typed, errors))
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Operator>,
    Path(key): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    html(&page(&web, &caller, shell, &key, &Typed::default(), Vec::new()).await?)
}

async fn add(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path(key): Path<String>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let side = |field: &str| {
        let (kind, id) = typed.get(field).split_once('/').unwrap_or_default();
        (Some(kind.to_owned()), Some(id.to_owned()))
    };
    let ((dependant_type, dependant_id), (dependency_type, dependency_id)) =
        (side("dependant"), side("dependency"));
    let draft = Draft {
        host: Some(HostId::local().0),
        dependant_type,
        dependant_id,
        dependency_type,
        dependency_id,
        condition: Some(typed.get("condition").to_owned()),
        wait_seconds: Some(typed.get("wait_seconds").to_owned()),
    };
    match order::add(&web.app, &caller.actor, &draft).await {
        Ok(edge) => {
            let names = (view::shown_name(&edge.dependant_name), view::shown_name(&edge.dependency_name));
            notes
                .leave(Flash::new("good", format!("{} starts after {} from now on.", names.0, names.1)))
                .await;
            Ok(go(&web, &htmx, &format!("/stacks/{key}/order")))
        }
        Err(Error::Invalid(errors)) => {
            let page = html(&page(&web, &caller, shell, &key, &typed, errors).await?)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}

async fn remove(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    Path((key, id)): Path<(String, String)>,
    notes: Notes,
) -> Result<Response> {
    order::remove(&web.app, &caller.actor, &id).await?;
    notes.leave(Flash::new("good", "It waits no longer.")).await;
    Ok(go(&web, &htmx, &format!("/stacks/{key}/order")))
}
