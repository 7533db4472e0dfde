//! What windows and overrides want of a stack or container, in words.

use crate::domain::overrides::{DesiredState, Override, Reach};
use crate::web::view::{self, Badge, Now};

impl From<DesiredState> for Badge {
    fn from(wanted: DesiredState) -> Self {
        match wanted {
            DesiredState::Awake => Self::AWAKE,
            DesiredState::Asleep => Self::ASLEEP,
            DesiredState::Hold => Self::HELD,
        }
    }
}

/// What an override reaches: a name, or `Everything`.
pub fn reached(one: &Override) -> String {
    match &one.reach {
        Reach::All => "Everything".to_owned(),
        Reach::Host(host) => format!("Host {host}"),
        Reach::Target(_) => view::shown_name(&one.target_name),
    }
}

/// Why an override was made, and by whom.
pub fn why(one: &Override, now: &Now) -> String {
    let author = view::shown_name(&one.author.name);
    match view::shown_name(&one.reason) {
        reason if reason.is_empty() => format!("by {author}"),
        reason if one.by_hand => now.words(&reason),
        reason => format!("{reason} (by {author})"),
    }
}
