//! Actions that a user starts with a button, on one target or on several. An action has a confirmation before it and a
//! message after it, and the message offers to undo the action.

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
pub(super) use question::{Part, Pick, Question, Whence, result_message, to_run};
pub(super) use target_action::TargetAction;

/// The largest number of targets or runs in one request. The API has the same limit.
const MOST: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().merge(single::routes()).merge(bulk::routes()).merge(undo::routes())
}
