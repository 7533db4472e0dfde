//! The page of the start order within a stack and between stacks: the dependencies from compose, and those added here.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::choices::Group;
use crate::app::order::{self, Draft, Waits};
use crate::app::stacks::{self, StackView};
use crate::app::{Error, Result, targets};
use crate::domain::run::Condition;
use crate::domain::target::TargetType;
use crate::web::auth::Operator;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Choice};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/stacks/{key}/order", Access::OPERATOR, show)
        .post("/stacks/{key}/order", Access::OPERATOR, add)
        .post("/stacks/{key}/order/{id}/remove", Access::OPERATOR, remove)
}

/// The page of the start order of a stack.
#[derive(Template)]
#[template(path = "stacks/order.html")]
struct OrderPage<'a> {
    shell: &'a Shell,
    view: &'a StackView,
    waits: &'a [Waits],
    form: Refill,
    /// The options for the target that waits.
    dependants: Vec<Group>,
    /// The options for the target that is waited for.
    dependencies: Vec<Group>,
}

/// The conditions of the dependency, with their texts.
const CONDITIONS: [(Condition, &str); 3] = [
    (Condition::ServiceStarted, "it runs"),
    (Condition::ServiceHealthy, "it is healthy"),
    (Condition::ServiceCompletedSuccessfully, "it has done its work"),
];

/// The page with the typed values of its form.
async fn answer(page: &Page<Operator>, key: &str, form: Refill) -> Result<Response> {
    let overview = stacks::overview(&page.app, &page.actor).await?;
    let view = overview.stacks.iter().find(|view| view.stack.key == key);
    let view = view.ok_or_else(|| Error::not_found("stack", key))?;
    let group = |label: &str, options: Vec<Choice>| Group { label: label.to_owned(), options };
    let choice = |field: &str, value: String, label: String| Choice {
        chosen: form.value(field) == value,
        value,
        label,
    };
    let name = view::shown_name(&view.stack.name);
    let containers = |field: &str| {
        let ordinary = view.containers.iter().filter(|one| one.container.is_ordinary());
        let options = ordinary.map(|one| {
            let value = view::target_value(&one.container.target());
            choice(field, value, view::shown_name(&one.container.name))
        });
        group(&format!("Containers of {name}"), options.collect())
    };
    let all = choice("dependant", format!("stack/{}", view.stack.key), format!("All of {name}"));
    let others = overview.stacks.iter().filter(|other| other.stack.key != key).map(|other| {
        choice("dependency", format!("stack/{}", other.stack.key), view::shown_name(&other.stack.name))
    });
    let mut dependencies = vec![containers("dependency"), group("Other stacks", others.collect())];
    dependencies.retain(|group| !group.options.is_empty());
    let whole = OrderPage {
        dependants: vec![containers("dependant"), group("Stack", vec![all])],
        dependencies,
        waits: &order::of_stack(&page.app, &page.actor, &view.stack.host, &view.stack.name)?,
        shell: &page.shell,
        view,
        form,
    };
    if whole.form.errors.is_empty() { page.render(&whole) } else { page.refuse(&whole) }
}

async fn show(page: Page<Operator>, Path(key): Path<String>) -> Result<Response> {
    answer(&page, &key, Refill::default()).await
}

async fn add(page: Page<Operator>, Path(key): Path<String>, typed: Typed) -> Result<Response> {
    let side = |field: &str| {
        let (kind, id) = typed.get(field).split_once('/').unwrap_or_default();
        (Some(kind.to_owned()), Some(id.to_owned()))
    };
    let ((dependant_type, dependant_id), (dependency_type, dependency_id)) =
        (side("dependant"), side("dependency"));
    let draft = Draft {
        host: Some(targets::find(&page.app, TargetType::Stack, &key)?.host.0),
        dependant_type,
        dependant_id,
        dependency_type,
        dependency_id,
        condition: Some(typed.get("condition").to_owned()),
        wait_seconds: Some(typed.get("wait_seconds").to_owned()),
    };
    match order::add(&page.app, &page.actor, &draft).await {
        Ok(edge) => {
            let names = (view::shown_name(&edge.dependant_name), view::shown_name(&edge.dependency_name));
            let message = format!("{} starts after {} from now on.", names.0, names.1);
            Ok(page.redirect_with(&format!("/stacks/{key}/order"), Flash::new("good", message)).await)
        }
        Err(Error::Invalid(mut errors)) => {
            // The form has one field where the API has two.
            for error in &mut errors {
                for side in ["dependant", "dependency"] {
                    if error.field.starts_with(side) {
                        side.clone_into(&mut error.field);
                    }
                }
            }
            answer(&page, &key, Refill::wrong(typed, errors)).await
        }
        Err(other) => Err(other),
    }
}

async fn remove(page: Page<Operator>, Path((key, id)): Path<(String, String)>) -> Result<Response> {
    order::remove(&page.app, &page.actor, &id).await?;
    Ok(page.redirect_with(&format!("/stacks/{key}/order"), Flash::new("good", "It waits no longer.")).await)
}
