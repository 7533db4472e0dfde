//! Backups: the copies of the database in the directory of the daily copies.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, Empty};
use crate::app::Result;
use crate::app::backup::copies::{self, BackupFile, State};
use crate::domain::time::{Instant, to_text};
use crate::web::auth::{Admin, Caller};
use crate::web::download;
use crate::web::routes::{Access, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get("/backup", Access::ADMIN, get).post("/backup", Access::ADMIN, create).get(
        "/backup/{name}",
        Access::ADMIN,
        file,
    )
}

/// The backups and their state.
#[derive(Serialize, ToSchema)]
pub struct BackupJson {
    /// When the last backup was made, by whatever way.
    #[schema(value_type = Option<Instant>)]
    last_at: Option<String>,
    /// When the next daily copy is due; `null` while none are made.
    #[schema(value_type = Option<Instant>)]
    next_at: Option<String>,
    /// The number of daily copies that are kept; 0 = none are made.
    keep: u32,
    /// Why the latest copy failed; `null` after a good one.
    failure: Option<String>,
    /// The copies, newest first.
    copies: Vec<CopyJson>,
}

/// A copy of the database.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupCopyJson)]
pub struct CopyJson {
    /// The name of the file.
    name: String,
    #[schema(value_type = Instant)]
    made_at: String,
    /// The size in bytes.
    bytes: u64,
}

impl From<BackupFile> for CopyJson {
    fn from(copy: BackupFile) -> Self {
        Self { name: copy.name, made_at: to_text(copy.at), bytes: copy.bytes }
    }
}

impl From<State> for BackupJson {
    fn from(state: State) -> Self {
        Self {
            last_at: state.last.map(to_text),
            next_at: state.next.map(to_text),
            keep: state.keep,
            failure: state.failure.map(|failure| failure.message),
            copies: state.copies.into_iter().map(CopyJson::from).collect(),
        }
    }
}

/// Returns the backups and their state.
#[utoipa::path(get, path = "/api/backup", tag = "backup", operation_id = "get_backups",
    responses((status = 200, body = BackupJson)))]
pub async fn get(caller: Caller<Admin>) -> Result<Json<BackupJson>> {
    Ok(Json(copies::state(&caller.app, &caller.actor).await?.into()))
}

/// Makes a copy of the database in the directory of the daily copies.
#[utoipa::path(post, path = "/api/backup", tag = "backup", operation_id = "create_backup",
    responses((status = 200, body = CopyJson), (status = 409)))]
pub async fn create(caller: Caller<Admin>, _body: Body<Empty>) -> Result<Json<CopyJson>> {
    Ok(Json(copies::create(&caller.app, &caller.actor).await?.into()))
}

/// Returns a copy as a file: an SQLite database.
#[utoipa::path(get, path = "/api/backup/{name}", tag = "backup", operation_id = "get_backup_file",
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 409)))]
pub async fn file(caller: Caller<Admin>, Path(name): Path<String>) -> Result<Response> {
    Ok(download::answer(copies::open(&caller.app, &caller.actor, &name).await?))
}
