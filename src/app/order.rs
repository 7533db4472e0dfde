//! Start and stop order that people add to the order from container labels. An edge makes one target, the dependant,
//! wait for another, the dependency. The database stores the edges; each host keeps a copy that [`restore`] updates.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::audit::Audit;
use super::{Actor, App, Error, FieldError, Live, Result, draft, targets};
use crate::db;
use crate::docker::Host;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Container, Inventory};
use crate::domain::label_rules;
use crate::domain::order::added::{self, AddedEdge, MAX_WAIT};
use crate::domain::permission::Permission;
use crate::domain::run::Condition;
use crate::domain::target::{Subject, Target, TargetType};
use crate::domain::text::shorten;

/// An edge as sent by a form or as JSON, not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = EdgeBody, description = "An edge of the start order, as sent.")]
pub struct Draft {
    /// The id of the host. Needed where there are several.
    pub host: Option<String>,
    #[schema(value_type = TargetType, required = true)]
    pub dependant_type: Option<String>,
    #[schema(value_type = String, required = true)]
    pub dependant_id: Option<String>,
    #[schema(value_type = TargetType, required = true)]
    pub dependency_type: Option<String>,
    #[schema(value_type = String, required = true)]
    pub dependency_id: Option<String>,
    /// Default: `service_started`.
    #[schema(value_type = Option<Condition>)]
    pub condition: Option<String>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600)]
    pub wait_seconds: Option<String>,
}

/// Copies the stored edges to the hosts. Must run at the start and after every change.
pub async fn restore(app: &App) -> Result<()> {
    copy_to(app, &app.hosts.all()).await
}

/// As [`restore`], for some hosts.
pub(super) async fn copy_to(app: &App, hosts: &[Arc<Host>]) -> Result<()> {
    // Calls are serialized, so that of two changes at the same time the newer list is copied last.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let edges = db::order_edges::all(&app.db).await?;
    for host in hosts {
        host.set_added(edges.iter().filter(|edge| edge.host == *host.id()).cloned().collect());
    }
    Ok(())
}

/// Lists all added edges, oldest first.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<AddedEdge>> {
    actor.require(Permission::View)?;
    Ok(db::order_edges::all(&app.db).await?)
}

/// Reads one edge.
///
/// # Errors
/// [`Error::NotFound`] where no edge has this id.
pub async fn get(app: &App, actor: &Actor, id: &str) -> Result<AddedEdge> {
    let found = list(app, actor).await?.into_iter().find(|edge| edge.id == id);
    found.ok_or_else(|| Error::not_found("edge", shorten(id)))
}

/// Adds an edge between two targets of one host.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; a cycle is reported with its containers.
pub async fn add(app: &App, actor: &Actor, draft: &Draft) -> Result<AddedEdge> {
    actor.require(Permission::Operate)?;
    let host = targets::host(app, draft.host.as_deref())?.id().clone();
    let mut faults = Vec::new();
    let dependant = endpoint(
        app,
        &host,
        "dependant",
        draft.dependant_type.as_ref(),
        draft.dependant_id.as_ref(),
        &mut faults,
    );
    let dependency = endpoint(
        app,
        &host,
        "dependency",
        draft.dependency_type.as_ref(),
        draft.dependency_id.as_ref(),
        &mut faults,
    );
    let (condition, wait_seconds) = terms(draft, &mut faults);
    let (Some(dependant), Some(dependency), true) = (dependant, dependency, faults.is_empty()) else {
        return Err(Error::Invalid(faults));
    };
    let named = |target: Target| (targets::name(app, &target), target);
    let edge = planned(app, actor, named(dependant), named(dependency), (condition, wait_seconds));
    let inventory = app.hosts.get(&host).map(|host| host.inventory());
    let Some(inventory) = inventory else {
        return Err(Error::field("dependency_id", "there is no such host"));
    };
    refuse_cycle(&edge, &inventory)?;
    let mut tx = app.db.begin().await?;
    insert_in(&mut tx, app, actor, &edge).await?;
    tx.commit().await?;
    restore(app).await?;
    notify_pages(app, &edge);
    Ok(edge)
}

/// The condition and the longest wait of a draft.
pub(super) fn terms(draft: &Draft, faults: &mut Vec<FieldError>) -> (Condition, Option<i64>) {
    let condition = match draft.condition.as_deref().map(str::trim).filter(|word| !word.is_empty()) {
        None => Some(Condition::ServiceStarted),
        Some(word) => Condition::parse(word).filter(|condition| *condition != Condition::Stopped),
    };
    if condition.is_none() {
        let message = "use service_started, service_healthy or service_completed_successfully";
        faults.push(FieldError::new("condition", message));
    }
    let wait_seconds = match draft.wait_seconds.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        None => None,
        Some(typed) => {
            let seconds = typed.parse::<i64>().ok().filter(|seconds| (1..=MAX_WAIT).contains(seconds));
            if seconds.is_none() {
                faults.push(FieldError::new(
                    "wait_seconds",
                    format!("use a whole number from 1 to {MAX_WAIT}"),
                ));
            }
            seconds
        }
    };
    (condition.unwrap_or(Condition::ServiceStarted), wait_seconds)
}

/// An edge between two targets of one host, each with its name; nothing is stored.
pub(super) fn planned(
    app: &App,
    actor: &Actor,
    (dependant_name, dependant): (String, Target),
    (dependency_name, dependency): (String, Target),
    (condition, wait_seconds): (Condition, Option<i64>),
) -> AddedEdge {
    AddedEdge {
        id: app.ids.next::<crate::domain::ids::AuditId>(app.clock.now()).0,
        host: dependant.host,
        dependant_name,
        dependant: dependant.subject,
        dependency_name,
        dependency: dependency.subject,
        condition,
        wait_seconds,
        author_id: actor.reference.id.clone(),
        author: actor.reference.name.clone(),
        created_at: app.clock.now(),
    }
}

/// Stores an edge.
pub(super) async fn insert_in(tx: &mut db::Tx, app: &App, actor: &Actor, edge: &AddedEdge) -> Result<()> {
    if !db::order_edges::insert(tx, edge).await? {
        let message = format!("{} waits for {} already", edge.dependant_name, edge.dependency_name);
        return Err(Error::field("dependency_id", message));
    }
    record(tx, app, actor, "order.add", edge).await
}

/// Removes an edge.
pub(super) async fn remove_in(tx: &mut db::Tx, app: &App, actor: &Actor, edge: &AddedEdge) -> Result<()> {
    if !db::order_edges::remove(tx, &edge.id).await? {
        return Err(Error::not_found("edge", shorten(&edge.id)));
    }
    record(tx, app, actor, "order.remove", edge).await
}

/// Notifies the pages of both targets.
pub(super) fn notify_pages(app: &App, edge: &AddedEdge) {
    for subject in [&edge.dependant, &edge.dependency] {
        app.bus.send(Live::Target(Target { host: edge.host.clone(), subject: subject.clone() }));
    }
}

/// Reads the dependant or the dependency of a draft; `name` is the prefix of its fields.
fn endpoint(
    app: &App,
    host: &HostId,
    name: &str,
    kind: Option<&String>,
    id: Option<&String>,
    faults: &mut Vec<FieldError>,
) -> Option<Target> {
    let Some(kind) = kind.and_then(|kind| TargetType::parse_narrow(kind.trim())) else {
        faults.push(FieldError::new(format!("{name}_type"), "use stack or container"));
        return None;
    };
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        faults.push(FieldError::new(format!("{name}_id"), "say which one"));
        return None;
    };
    match targets::resolve(app, host, kind, id) {
        Ok(target) => Some(target),
        Err(error) => {
            faults.push(FieldError::new(format!("{name}_id"), error.to_string()));
            None
        }
    }
}

/// Refuses an edge from a target to itself or to its own stack, and an edge that closes a cycle.
pub(super) fn refuse_cycle(edge: &AddedEdge, inventory: &Inventory) -> Result<()> {
    let refused = |message: String| Err(Error::field("dependency_id", message));
    let stack_of = |subject: &Subject| match subject {
        Subject::Stack(name) => Some(name.clone()),
        Subject::Services { .. } | Subject::Container(_) | Subject::Host | Subject::Group(_) => None,
    };
    if edge.dependant == edge.dependency {
        return refused("it cannot wait for itself".to_owned());
    }
    for (stack, other) in [(&edge.dependant, &edge.dependency), (&edge.dependency, &edge.dependant)] {
        if let Some(name) = stack_of(stack)
            && inventory.containers.iter().any(|one| added::names(other, one) && one.stack() == Some(&name))
        {
            return refused(format!("one is part of the other: choose two services of {name} instead"));
        }
    }
    match added::cycle(edge, inventory) {
        Some(way) => refused(format!("that would be a cycle: {}", way.join(" → "))),
        None => Ok(()),
    }
}

/// Removes an edge.
///
/// # Errors
/// [`Error::NotFound`] where no edge has this id.
pub async fn remove(app: &App, actor: &Actor, id: &str) -> Result<()> {
    actor.require(Permission::Operate)?;
    let edge = get(app, actor, id).await?;
    let mut tx = app.db.begin().await?;
    remove_in(&mut tx, app, actor, &edge).await?;
    tx.commit().await?;
    restore(app).await?;
    notify_pages(app, &edge);
    Ok(())
}

async fn record(tx: &mut db::Tx, app: &App, actor: &Actor, event: &str, edge: &AddedEdge) -> Result<()> {
    let name = format!("{} after {}", edge.dependant_name, edge.dependency_name);
    Audit::new(app, actor, event).object("order", Some(&edge.id), &name).on(&edge.host).store(tx).await
}

/// One dependency for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Name of the target that waits.
    pub dependant: String,
    /// Name of the target that it waits for.
    pub dependency: String,
    /// Condition that the dependency must meet.
    pub condition: Condition,
    /// Maximum wait in seconds, where one is set.
    pub wait_seconds: Option<i64>,
    /// The added edge; `None` where the dependency comes from compose or a shared network.
    pub added: Option<AddedEdge>,
    /// Whether the label `docknap.after` of the dependant asks for it.
    pub by_label: bool,
}

/// Whether the label `docknap.after` of a container names the service of another one.
fn is_by_label(dependant: &Container, dependency: &Container) -> bool {
    let label = dependant.labels.get(label_rules::AFTER);
    label.is_some_and(|label| label_rules::after(label).any(|service| dependency.service() == Some(service)))
}

/// The dependencies within a stack, followed by added edges from or to it.
///
/// # Errors
/// [`Error::NotFound`] where there is no such host.
pub fn of_stack(app: &App, actor: &Actor, host: &HostId, name: &str) -> Result<Vec<Waits>> {
    actor.require(Permission::View)?;
    let inventory = targets::inventory_of(app, host)?;
    let members = inventory.members(&Subject::Stack(name.to_owned()));
    let (edges, _) = crate::domain::order::edges(&members, &inventory);
    let shown = |one: &Container| one.service().unwrap_or(&one.name).to_owned();
    let mut waits: Vec<Waits> = Vec::new();
    for edge in &edges {
        let one = Waits {
            dependant: shown(&members[edge.dependant]),
            dependency: shown(&members[edge.dependency]),
            condition: edge.condition,
            wait_seconds: edge.wait_seconds,
            added: None,
            by_label: is_by_label(&members[edge.dependant], &members[edge.dependency]),
        };
        // Replicas of a service have the same dependencies.
        if !waits.contains(&one) {
            waits.push(one);
        }
    }
    let touches = |subject: &Subject| match subject {
        Subject::Stack(stack) => stack == name,
        _ => members.iter().any(|member| added::names(subject, member)),
    };
    let edges = inventory.added.iter().filter(|edge| touches(&edge.dependant) || touches(&edge.dependency));
    waits.extend(edges.map(|edge| Waits {
        dependant: edge.dependant_name.clone(),
        dependency: edge.dependency_name.clone(),
        condition: edge.condition,
        wait_seconds: edge.wait_seconds,
        added: Some(edge.clone()),
        by_label: false,
    }));
    Ok(waits)
}
