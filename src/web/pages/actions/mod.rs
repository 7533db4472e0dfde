//! What is done at the press of a button: to one target or to several, asked for first, and undone while its message
//! is there.

use crate::web::routes::Routes;

mod bulk;
mod button;
mod ends;
mod question;
mod single;
mod target_action;
mod undo;

pub(super) use bulk::OFFERED;
pub(super) use button::Act;
pub(super) use question::{Part, Question, Whence, to_run, told};
pub(super) use target_action::TargetAction;

/// Targets at once: as the API takes.
const MOST: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().merge(single::routes()).merge(bulk::routes()).merge(undo::routes())
}
