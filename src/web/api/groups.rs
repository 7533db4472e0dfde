//! Groups: named sets of hosts, stacks and containers, across hosts.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::act::{self, IfMatch};
use super::body::Body;
use super::openapi::Items;
use super::target::TargetFields;
use crate::app::Result;
use crate::app::groups::{self, GroupDraft, GroupView, MemberDraft, MemberView};
use crate::app::paging::Paged;
use crate::domain::group::{Colour, GroupSource};
use crate::domain::ids::GroupId;
use crate::domain::time::{Instant, to_text};
use crate::web::auth::{Admin, Caller, Needs, Viewer};
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/groups", Access::VIEWER, list)
        .post("/groups", Access::ADMIN, create)
        .get("/groups/{id}", Access::VIEWER, get)
        .put("/groups/{id}", Access::ADMIN, put)
        .delete("/groups/{id}", Access::ADMIN, delete)
        .post("/groups/{id}/members", Access::ADMIN, add_member)
        .delete("/groups/{id}/members", Access::ADMIN, remove_member)
}

// A type of its own, since members, figures and origin are read-only.
/// A group.
#[derive(Serialize, ToSchema)]
pub struct GroupJson {
    id: String,
    name: String,
    colour: Colour,
    note: String,
    source: GroupSource,
    /// What is a member by itself. What is on a host or in a stack that is a member is a member too.
    members: Vec<MemberJson>,
    /// The containers in the group now.
    containers: usize,
    /// Of these, the running ones that are not paused.
    running: usize,
    /// Of these, the ones that DockNap has put to sleep.
    napping: usize,
    /// The number of schedules that target the group.
    schedules: usize,
    /// When the first of its schedules acts next.
    #[schema(value_type = Option<Instant>)]
    next_at: Option<String>,
    /// 0 for a group that only a label or the settings file names.
    rev: i64,
}

/// A host, stack or container that is a member of a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupMemberJson)]
pub struct MemberJson {
    #[serde(flatten)]
    target: TargetFields,
    /// The present name; the last known one while it is not there.
    name: String,
    /// Each way in which it is a member. Those by `label` and `file` change with the label or the file only.
    sources: Vec<GroupSource>,
    /// Whether it is there now; `null` while its host has not been seen.
    exists: Option<bool>,
}

impl From<MemberView> for MemberJson {
    fn from(view: MemberView) -> Self {
        let target = TargetFields::new(&view.target, view.name.clone());
        Self { target, name: view.name, sources: view.sources, exists: view.exists }
    }
}

impl From<GroupView> for GroupJson {
    fn from(view: GroupView) -> Self {
        let (group, figures) = (view.group, view.containers);
        Self {
            id: group.id.0,
            name: group.spec.name,
            colour: group.spec.colour,
            note: group.spec.note,
            source: group.source,
            members: view.members.into_iter().map(MemberJson::from).collect(),
            containers: figures.containers,
            running: figures.running,
            napping: figures.napping,
            schedules: view.schedules,
            next_at: view.next.map(|next| to_text(next.at)),
            rev: group.rev,
        }
    }
}

async fn json<R: Needs>(caller: &Caller<R>, id: &GroupId) -> Result<GroupJson> {
    groups::get(&caller.app, &caller.actor, id).await.map(GroupJson::from)
}

async fn show<R: Needs>(caller: &Caller<R>, id: &GroupId) -> Result<Response> {
    let group = json(caller, id).await?;
    Ok((act::etag(group.rev), Json(group)).into_response())
}

/// Lists the groups by name, those that only labels or the settings file name too.
#[utoipa::path(get, path = "/api/groups", tag = "groups", operation_id = "list_groups",
    responses((status = 200, body = Items<GroupJson>)))]
pub async fn list(caller: Caller<Viewer>) -> Result<Json<Items<GroupJson>>> {
    let groups = groups::list(&caller.app, &caller.actor).await?;
    let items = groups.into_iter().map(GroupJson::from).collect();
    Ok(Json(Items::new("groups", Paged { items, next_cursor: None })))
}

/// Creates a group, without members.
#[utoipa::path(post, path = "/api/groups", tag = "groups", operation_id = "create_group",
    request_body = GroupDraft, responses((status = 201, body = GroupJson)))]
pub async fn create(caller: Caller<Admin>, body: Body<GroupDraft, GroupJson>) -> Result<Response> {
    let work = async {
        let group = groups::create(&caller.app, &caller.actor, &body.value, GroupSource::Api).await?;
        act::answer(StatusCode::CREATED, &json(&caller, &group.id).await?)
    };
    body.once.answer(&caller, work).await
}

/// Returns one group.
#[utoipa::path(get, path = "/api/groups/{id}", tag = "groups", operation_id = "get_group",
    responses((status = 200, body = GroupJson)))]
pub async fn get(caller: Caller<Viewer>, Path(id): Path<GroupId>) -> Result<Response> {
    show(&caller, &id).await
}

/// Replaces name, colour and note of a group; omitted fields become empty. Its id and its members stay.
#[utoipa::path(put, path = "/api/groups/{id}", tag = "groups", operation_id = "replace_group",
    request_body = GroupDraft, responses((status = 200, body = GroupJson), (status = 412)))]
pub async fn put(
    caller: Caller<Admin>,
    Path(id): Path<GroupId>,
    IfMatch(rev): IfMatch,
    body: Body<GroupDraft, GroupJson>,
) -> Result<Response> {
    groups::update(&caller.app, &caller.actor, &id, &body.value, rev).await?;
    show(&caller, &id).await
}

/// Deletes a group that no schedule and no override is for. Nothing changes for its members.
#[utoipa::path(delete, path = "/api/groups/{id}", tag = "groups", operation_id = "delete_group",
    responses((status = 204), (status = 409), (status = 412)))]
pub async fn delete(
    caller: Caller<Admin>,
    Path(id): Path<GroupId>,
    IfMatch(rev): IfMatch,
) -> Result<StatusCode> {
    groups::delete(&caller.app, &caller.actor, &id, rev).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a host, stack or container to a group, and returns the group. One that has been added before stays as it is.
#[utoipa::path(post, path = "/api/groups/{id}/members", tag = "groups", operation_id = "add_group_member",
    request_body = MemberDraft, responses((status = 200, body = GroupJson)))]
pub async fn add_member(
    caller: Caller<Admin>,
    Path(id): Path<GroupId>,
    body: Body<MemberDraft>,
) -> Result<Response> {
    groups::add_member(&caller.app, &caller.actor, &id, &body.value, GroupSource::Api).await?;
    show(&caller, &id).await
}

/// Removes a host, stack or container from a group, also one that is not there any more. A member by label or settings
/// file is changed there.
#[utoipa::path(delete, path = "/api/groups/{id}/members", tag = "groups", operation_id = "remove_group_member",
    request_body = MemberDraft, responses((status = 204), (status = 409)))]
pub async fn remove_member(
    caller: Caller<Admin>,
    Path(id): Path<GroupId>,
    body: Body<MemberDraft>,
) -> Result<StatusCode> {
    groups::remove_member(&caller.app, &caller.actor, &id, &body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}
