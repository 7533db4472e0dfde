//! What a schedule would do, told before it is saved.

use jiff::Timestamp;

use super::super::{Actor, App, Error, Result};
use super::check::Draft;

/// What a draft would do; stores nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// When it fires, in words.
    pub meaning: String,
    /// The next ten instants; one for `once`.
    pub next: Vec<Timestamp>,
    /// What the person should know; whole sentences.
    pub warnings: Vec<String>,
    /// What the next clock changes do to it.
    pub dst_notes: Vec<String>,
    /// The zone it is read in.
    pub zone: String,
}

/// What `draft` would do.
///
/// # Errors
/// [`Error::Invalid`] where its time fields are wrong. An incomplete target only leaves out what is said about it.
pub async fn preview(app: &App, actor: &Actor, draft: &Draft) -> Result<Preview> {
    let _ = (app, actor, draft);
    Err(Error::Unavailable { message: "not here yet".to_owned() })
}
