//! Containers: what there is, and the five things that can be done to one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::act;
use super::body::Body;
use super::instant::Instant;
use super::stacks::{ChangeJson, NextJson};
use crate::app::execute::{self, Request};
use crate::app::stacks::{self, ContainerView, ShownState};
use crate::app::targets;
use crate::app::{Actor, App, Error, Result, nap};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{ContainerState, Health};
use crate::domain::permission::Permission;
use crate::domain::run::Trigger;
use crate::domain::sorted;
use crate::domain::target::{Target, TargetType};
use crate::domain::text::shorten;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::routes::{Access, Routes};

/// Labels that everybody may see, by how they begin (rulings 21).
const PUBLIC_LABELS: [&str; 3] = ["com.docker.compose.", "docknap.", "org.opencontainers.image."];

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/containers", Access::VIEWER, list)
        .get("/containers/{host}/{name}", Access::VIEWER, get)
        .post("/containers/{host}/{name}/{action}", Access::OPERATOR, act)
}

/// A container.
#[derive(Serialize, ToSchema)]
pub struct ContainerJson {
    host: String,
    /// Docker's id, of this incarnation.
    id: String,
    /// Stands for the name in any path.
    key: String,
    name: String,
    image: String,
    /// Docker's word.
    state: ContainerState,
    health: Health,
    /// Docker's words.
    status: String,
    /// DockNap's word.
    shown: ShownState,
    /// Viewers see those of compose, `DockNap` and the image only.
    labels: BTreeMap<String, String>,
    stack: Option<String>,
    service: Option<String>,
    exit_code: Option<i64>,
    /// `awake`, `asleep`, `hold` or `none`.
    desired: &'static str,
    why: String,
    /// The next three changes of what is wanted.
    transitions: Vec<ChangeJson>,
    napping_since: Option<Instant>,
    next: Option<NextJson>,
    /// Why it is never touched.
    protected: Option<String>,
}

impl ContainerJson {
    pub(super) fn new(view: ContainerView, actor: &Actor) -> Self {
        let all = actor.role.allows(Permission::Operate);
        let container = &view.container;
        let shown = |name: &str| all || PUBLIC_LABELS.iter().any(|start| name.starts_with(start));
        let labels = container.labels.iter().filter(|(name, _)| shown(name));
        Self {
            host: container.host.0.clone(),
            id: container.id.clone(),
            key: container.key(),
            name: container.name.clone(),
            image: container.image.clone(),
            state: container.state,
            health: container.health,
            status: container.status.clone(),
            shown: view.shown,
            labels: sorted::map(labels.map(|(name, value)| (name.clone(), value.clone()))),
            stack: container.stack().map(str::to_owned),
            service: container.service().map(str::to_owned),
            exit_code: container.exit_code,
            desired: view.wanted.word(),
            why: view.why(),
            transitions: view.wanted.transitions.iter().cloned().map(ChangeJson::from).collect(),
            napping_since: view.napping_since.map(Instant),
            next: view.next.as_deref().map(NextJson::from),
            protected: view.protected,
        }
    }
}

/// Digits of an id that are enough: what `docker ps` shows.
const SHORT_ID: usize = 12;

/// What a path calls a container: an exact name and a key are left as they are; of Docker's id, or its beginning, the
/// name is answered. What is stored is never the id, which ends with this incarnation (rulings 76).
///
/// # Errors
/// [`Error::Conflict`] where several ids begin so.
pub(super) fn named(app: &App, host: &HostId, path: String) -> Result<String> {
    let is_id = (SHORT_ID..=64).contains(&path.len()) && path.bytes().all(|digit| digit.is_ascii_hexdigit());
    let Some(host) = app.hosts.get(host).filter(|_| is_id) else { return Ok(path) };
    let inventory = host.inventory();
    if inventory.containers.iter().any(|one| one.name == path || one.key() == path) {
        return Ok(path);
    }
    let id = path.to_ascii_lowercase();
    let names: Vec<&str> =
        inventory.containers.iter().filter(|one| one.id.starts_with(&id)).map(|one| &*one.name).collect();
    match names.as_slice() {
        [] => Ok(path),
        [name] => Ok((*name).to_owned()),
        names => {
            let message =
                format!("several ids begin so ({}); use more of the id, or the name", names.join(", "));
            Err(Error::Conflict { code: "ambiguous_id", message })
        }
    }
}

/// All containers.
#[utoipa::path(get, path = "/api/containers", tag = "containers", operation_id = "list_containers",
    responses((status = 200, body = Vec<ContainerJson>)))]
pub(super) async fn list(caller: Caller<Viewer>, State(app): State<App>) -> Result<Json<Vec<ContainerJson>>> {
    let views = stacks::containers(&app, &caller.actor).await?;
    Ok(Json(views.into_iter().map(|view| ContainerJson::new(view, &caller.actor)).collect()))
}

/// One container, by its percent-encoded name, its key, or its id of which 12 digits are enough.
#[utoipa::path(get, path = "/api/containers/{host}/{name}", tag = "containers", operation_id = "get_container",
    params(("host" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = ContainerJson), (status = 404, body = super::openapi::Problem)))]
pub(super) async fn get(
    caller: Caller<Viewer>,
    State(app): State<App>,
    Path((host, name)): Path<(String, String)>,
) -> Result<Json<ContainerJson>> {
    let host = HostId(host);
    let name = named(&app, &host, name)?;
    let view = stacks::container(&app, &caller.actor, &host, &name).await?;
    Ok(Json(ContainerJson::new(view, &caller.actor)))
}

/// Does something to one container: an action, or `nap` or `wake` with `until` and `reason`.
#[utoipa::path(post, path = "/api/containers/{host}/{name}/{action}", tag = "containers", operation_id = "act_on_container",
    params(("host" = String, Path), ("name" = String, Path), ("action" = String, Path, description = "start, stop, restart, pause, unpause, nap or wake"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Option<super::stacks::ActBody>),
    responses((status = 202, body = act::Accepted), (status = 200, body = act::Accepted),
        (status = 403, body = super::openapi::Problem), (status = 404, body = super::openapi::Problem)))]
pub(super) async fn act(
    caller: Caller<Operator>,
    State(app): State<App>,
    Path((host, name, action)): Path<(String, String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let asked = Asked { target_type: TargetType::Container, host, name, action, call: uri.path().to_owned() };
    asked.submit(&app, &caller.actor, &headers, body).await
}

/// An action that a path names.
pub(super) struct Asked {
    pub target_type: TargetType,
    pub host: String,
    pub name: String,
    pub action: String,
    /// The path as it was sent.
    pub call: String,
}

impl Asked {
    /// Submits it, once.
    pub(super) async fn submit(
        self,
        app: &App,
        actor: &Actor,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response> {
        let target = self.target(app);
        if let "nap" | "wake" = self.action.as_str() {
            return self.nap(app, actor, target?, headers, body).await;
        }
        let Body { mut fields, bytes } = body;
        let reason = fields.text("reason").unwrap_or_default();
        let stop_timeout = fields.integer("stop_timeout_seconds");
        let stop_timeout_seconds = act::stop_timeout(stop_timeout.as_deref(), &mut fields);
        let named = fields.texts("also_start");
        if !named.is_empty() && self.action != Action::Start.as_str() {
            fields.fault("also_start", "only a start takes this");
        }
        if reason.chars().count() > act::MAX_REASON || reason.chars().any(char::is_control) {
            fields.fault("reason", "use one line of 500 characters at most");
        }
        fields.finish()?;
        let action: Action =
            self.action.parse().map_err(|_| Error::not_found("action", shorten(&self.action)))?;
        let target = target?;
        let also = targets::named_members(app, &target, named.iter().map(String::as_str))?;
        let request =
            Request { stop_timeout_seconds, reason, also, ..Request::now(action, target, Trigger::Api) };
        act::once(app, actor, headers, &self.call, &bytes, async {
            act::accepted(&execute::submit(app, actor, request).await?)
        })
        .await
    }

    /// The target it names.
    fn target(&self, app: &App) -> Result<Target> {
        let host = HostId(self.host.clone());
        let name = match self.target_type {
            TargetType::Container => named(app, &host, self.name.clone())?,
            TargetType::Stack => self.name.clone(),
        };
        targets::resolve(app, &host, self.target_type, &name)
    }

    /// Puts it to sleep or wakes it, until an end.
    async fn nap(
        self,
        app: &App,
        actor: &Actor,
        target: Target,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response> {
        let Body { mut fields, bytes } = body;
        let asked = nap::Asked { until: fields.text("until"), reason: fields.text("reason"), schedule: None };
        fields.finish()?;
        let sleeps = self.action == "nap";
        act::once(app, actor, headers, &self.call, &bytes, async {
            let submitted = if sleeps {
                nap::nap(app, actor, &target, &asked, Trigger::Api).await?
            } else {
                nap::wake(app, actor, &target, &asked, Trigger::Api).await?
            };
            act::accepted(&submitted)
        })
        .await
    }
}
