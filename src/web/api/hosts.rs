//! Hosts: the Docker Engines that DockNap manages.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::act::{self, IfMatch};
use super::body::{ApiQuery, Body, Empty};
use super::openapi::Items;
use crate::app::docker_check::{Call, Checked, Outcome};
use crate::app::hosts::{self, HostDraft, HostView, SchedulesOfHost};
use crate::app::paging::Paged;
use crate::app::{Error, Result};
use crate::domain::host::{HostSource, HostTls};
use crate::domain::ids::HostId;
use crate::domain::inventory::Link;
use crate::domain::time::{Instant, to_text};
use crate::web::auth::{Admin, Caller, Needs, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/hosts", Access::VIEWER, list)
        .post("/hosts", Access::ADMIN, create)
        .get("/hosts/{id}", Access::VIEWER, get)
        .put("/hosts/{id}", Access::ADMIN, put)
        .delete_by_query("/hosts/{id}", Access::ADMIN, delete)
        .post("/hosts/{id}/test", Access::ADMIN, test)
        .post("/hosts/{id}/enable", Access::ADMIN, enable)
        .post("/hosts/{id}/disable", Access::ADMIN, disable)
}

// A type of its own, since the private key is write-only and the state of the connection is read-only.
/// A host.
#[derive(Serialize, ToSchema)]
pub struct HostJson {
    id: String,
    name: String,
    /// The address of the Engine.
    endpoint: String,
    insecure: bool,
    /// The certificate of the authority, as PEM.
    ca: Option<String>,
    /// The client certificate, as PEM.
    cert: Option<String>,
    /// `set` where a private key is stored; the key itself is never sent.
    key: Option<&'static str>,
    parallelism: Option<u32>,
    note: String,
    enabled: bool,
    source: HostSource,
    /// The state of the connection.
    link: LinkState,
    /// Why the host cannot be reached, with what to do.
    reason: Option<String>,
    /// Since when the host cannot be reached.
    #[schema(value_type = Option<Instant>)]
    unreachable_since: Option<String>,
    /// When the containers were last known to be as shown.
    #[schema(value_type = Option<Instant>)]
    seen_at: Option<String>,
    engine_version: Option<String>,
    api_version: Option<String>,
    /// The Engine's clock minus that of DockNap.
    clock_ahead_seconds: i64,
    /// When the first of the certificates in use expires.
    #[schema(value_type = Option<Instant>)]
    certificate_expires_at: Option<String>,
    stacks: usize,
    containers: usize,
    /// Containers that DockNap has put to sleep.
    napping: usize,
    schedules: usize,
    rev: i64,
}

/// The state of a connection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    Connecting,
    Connected,
    Unreachable,
    Disabled,
}

impl From<HostView> for HostJson {
    fn from(view: HostView) -> Self {
        let (link, reason, since, versions) = match view.link().clone() {
            Link::Connected { api_version, engine_version } => {
                (LinkState::Connected, None, None, Some((engine_version, api_version)))
            }
            Link::Connecting => (LinkState::Connecting, None, None, None),
            Link::Unreachable { reason, since } => (LinkState::Unreachable, Some(reason), Some(since), None),
            Link::Disabled => (LinkState::Disabled, None, None, None),
        };
        let (engine_version, api_version) = versions.unzip();
        let (ca, cert, has_key) = match &view.record.spec.tls {
            Some(HostTls::Texts { ca, cert, sealed_key }) => {
                (Some(ca.clone()), cert.clone(), sealed_key.is_some())
            }
            Some(HostTls::Files { identity, .. }) => (None, None, identity.is_some()),
            None => (None, None, false),
        };
        Self {
            seen_at: view.seen_at().map(to_text),
            certificate_expires_at: view.first_to_expire().map(|one| to_text(one.not_after)),
            stacks: view.inventory.stacks().len(),
            containers: view.inventory.containers.len(),
            endpoint: view.address,
            id: view.record.id.0,
            name: view.record.spec.name,
            insecure: view.record.spec.insecure,
            ca,
            cert,
            key: has_key.then_some("set"),
            parallelism: view.record.spec.parallelism,
            note: view.record.spec.note,
            enabled: view.record.enabled,
            source: view.record.source,
            link,
            reason,
            unreachable_since: since.map(to_text),
            engine_version,
            api_version,
            clock_ahead_seconds: view.ahead.as_secs(),
            napping: view.napping,
            schedules: view.schedules,
            rev: view.record.rev,
        }
    }
}

/// One call of a test.
#[derive(Serialize, ToSchema)]
pub struct HostCallJson {
    /// Method and path.
    #[schema(example = "POST /containers/ID/stop")]
    call: &'static str,
    /// `works`, `refused` or `not_tried`.
    outcome: &'static str,
    /// Why it was refused.
    reason: Option<String>,
    /// Whether naps need the call.
    required: bool,
}

/// The result of a test.
#[derive(Serialize, ToSchema)]
pub struct HostTestJson {
    /// Whether everything that naps need works.
    ready: bool,
    address: String,
    /// The versions of the Engine; empty where it was not reached.
    engine: String,
    /// Why no call could be made, with what to do.
    unreachable: Option<String>,
    calls: Vec<HostCallJson>,
}

impl From<Checked> for HostTestJson {
    fn from(checked: Checked) -> Self {
        use crate::app::docker_check::Purpose;
        let ready = checked.is_ready();
        let call = |call: Call| {
            let (outcome, reason) = match call.outcome {
                Outcome::Through => ("works", None),
                Outcome::Refused(reason) => ("refused", Some(reason)),
                Outcome::NotTried => ("not_tried", None),
            };
            HostCallJson { call: call.call, outcome, reason, required: call.purpose != Purpose::Extra }
        };
        Self {
            ready,
            address: checked.address,
            engine: checked.engine,
            unreachable: checked.away,
            calls: checked.calls.into_iter().map(call).collect(),
        }
    }
}

async fn json<R: Needs>(caller: &Caller<R>, id: &HostId) -> Result<HostJson> {
    hosts::get(&caller.app, &caller.actor, id).await.map(HostJson::from)
}

async fn show<R: Needs>(caller: &Caller<R>, id: &HostId) -> Result<Response> {
    let host = json(caller, id).await?;
    Ok((act::etag(host.rev), Json(host)).into_response())
}

/// Lists the hosts: that of `DOCKER_HOST` first, then those of the settings file, then the others by id.
#[utoipa::path(get, path = "/api/hosts", tag = "hosts", operation_id = "list_hosts",
    responses((status = 200, body = Items<HostJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Items<HostJson>>> {
    let items = hosts::list(&caller.app, &caller.actor).await?;
    Ok(Json(Items::new("hosts", Paged { items, next_cursor: None })))
}

/// Adds a host and connects it.
#[utoipa::path(post, path = "/api/hosts", tag = "hosts", operation_id = "create_host",
    request_body = HostDraft, responses((status = 201, body = HostJson)))]
pub async fn create(caller: Caller<Admin>, body: Body<HostDraft, HostJson>) -> Result<Response> {
    let work = async {
        let host = hosts::create(&caller.app, &caller.actor, &body.value, HostSource::Api).await?;
        act::answer(StatusCode::CREATED, &json(&caller, &host.id).await?)
    };
    body.once.answer(&caller, work).await
}

/// Returns one host.
#[utoipa::path(get, path = "/api/hosts/{id}", tag = "hosts", operation_id = "get_host",
    responses((status = 200, body = HostJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<HostId>) -> Result<Response> {
    show(&caller, &id).await
}

/// Replaces the settings of a host and connects it anew; omitted fields become empty, but for a private key whose
/// certificate stays.
#[utoipa::path(put, path = "/api/hosts/{id}", tag = "hosts", operation_id = "replace_host",
    request_body = HostDraft, responses((status = 200, body = HostJson), (status = 409), (status = 412)))]
pub async fn put(
    caller: Caller<Admin>,
    Path(id): Path<HostId>,
    IfMatch(rev): IfMatch,
    body: Body<HostDraft, HostJson>,
) -> Result<Response> {
    hosts::update(&caller.app, &caller.actor, &id, &body.value, rev).await?;
    show(&caller, &id).await
}

/// What becomes of the schedules of the host.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteHost {
    /// `delete` deletes the schedules of the host too.
    schedules: Option<String>,
    /// The id of the host to which the schedules move: there they act on the targets of the same names.
    move_to: Option<String>,
}

impl DeleteHost {
    fn choice(self) -> Result<Option<SchedulesOfHost>> {
        match (self.schedules.as_deref(), self.move_to) {
            (None, None) => Ok(None),
            (Some("delete"), None) => Ok(Some(SchedulesOfHost::Delete)),
            (None, Some(host)) => Ok(Some(SchedulesOfHost::MoveTo(HostId(host)))),
            (Some(_), _) => Err(Error::field("schedules", "use schedules=delete, or move_to=ID alone")),
        }
    }
}

/// Deletes a host. Nothing changes on the Engine; runs keep its id, the audit log its name. Where it has schedules, the query
/// says what becomes of them.
#[utoipa::path(delete, path = "/api/hosts/{id}", tag = "hosts", operation_id = "delete_host",
    params(DeleteHost), responses((status = 204), (status = 409), (status = 412)))]
pub async fn delete(
    caller: Caller<Admin>,
    Path(id): Path<HostId>,
    IfMatch(rev): IfMatch,
    query: ApiQuery,
) -> Result<StatusCode> {
    let choice = query.read::<DeleteHost>()?.choice()?;
    hosts::delete(&caller.app, &caller.actor, &id, choice.as_ref(), rev).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries every call that DockNap makes on a host. Nothing changes on the Engine.
#[utoipa::path(post, path = "/api/hosts/{id}/test", tag = "hosts", operation_id = "test_host",
    responses((status = 200, body = HostTestJson)))]
pub async fn test(
    caller: Caller<Admin>,
    Path(id): Path<HostId>,
    _body: Body<Empty>,
) -> Result<Json<HostTestJson>> {
    let checked = Box::pin(hosts::test(&caller.app, &caller.actor, Some(&id), None)).await?;
    Ok(Json(checked.into()))
}

/// Enables a host.
#[utoipa::path(post, path = "/api/hosts/{id}/enable", tag = "hosts", operation_id = "enable_host",
    responses((status = 200, body = HostJson), (status = 409)))]
pub async fn enable(caller: Caller<Admin>, Path(id): Path<HostId>, _body: Body<Empty>) -> Result<Response> {
    hosts::set_enabled(&caller.app, &caller.actor, &id, true).await?;
    show(&caller, &id).await
}

/// Disables a host: it is not called any more, and its schedules wait.
#[utoipa::path(post, path = "/api/hosts/{id}/disable", tag = "hosts", operation_id = "disable_host",
    responses((status = 200, body = HostJson), (status = 409)))]
pub async fn disable(caller: Caller<Admin>, Path(id): Path<HostId>, _body: Body<Empty>) -> Result<Response> {
    hosts::set_enabled(&caller.app, &caller.actor, &id, false).await?;
    show(&caller, &id).await
}
