//! What windows and overrides want of a stack or container, as pages and API show it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::why::UNTOUCHED;
use crate::domain::desired::{Interval, Layer, Rules, Transition};
use crate::domain::overrides::{DesiredState, Override, Place};
use crate::domain::text::capital;

/// Transitions shown of one stack or container. Lists show the first, which costs less.
const SHOWN: usize = 3;
/// What is told of one stack or container.
pub(super) const FEW: Horizon = Horizon { changes: SHOWN, span: None };

/// How far ahead is looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// How many of the next changes are told.
    pub changes: usize,
    /// The span whose intervals are told.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What is wanted, by whom, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedView {
    /// `None` = left alone.
    pub state: Option<DesiredState>,
    /// The layer that won, with its text; empty where none says anything.
    pub why: String,
    /// The next three changes; of an overview's the first.
    pub transitions: Vec<Transition>,
    /// What is wanted over the span that was asked for; empty where none was, and where no rule is.
    pub intervals: Vec<Interval>,
    /// The override or hold that counts now.
    pub by_override: Option<Override>,
    /// What it becomes at the end of that, where nothing else decides then.
    pub then: Option<DesiredState>,
    /// A window covers it.
    pub has_window: bool,
}

impl WantedView {
    /// With as much of what comes as `look` says.
    pub(super) fn new(
        rules: &Rules,
        place: Place<'_>,
        now: Timestamp,
        zone: &TimeZone,
        look: Horizon,
    ) -> Self {
        if !rules.speak_of(place) {
            return Self::default();
        }
        let moment = rules.at(now);
        let desired = moment.desired(place);
        let windows = rules.windows_for(place);
        let transitions = rules.next_transitions(place, now, look.changes);
        let by_override = match desired.layer {
            Layer::Hold(one) | Layer::Override(one) => Some(one.clone()),
            Layer::Window(..) | Layer::None => None,
        };
        let then = by_override.as_ref().filter(|one| one.puts_back).and_then(|one| {
            let nothing = rules.at(one.until).desired(place).wanted.is_none();
            nothing.then(|| one.wanted.other())
        });
        let why = desired.why(zone);
        Self {
            state: desired.wanted,
            why: match then {
                None => why,
                Some(DesiredState::Awake) => format!("{why}; then it wakes"),
                Some(_) => format!("{why}; then it sleeps again"),
            },
            by_override,
            then,
            has_window: !windows.is_empty(),
            intervals: look.span.map_or_else(Vec::new, |(from, until)| rules.intervals(place, from, until)),
            transitions,
        }
    }

    /// The word of the API: `awake`, `asleep`, `hold` or `none`.
    pub fn word(&self) -> &'static str {
        self.state.map_or("none", DesiredState::as_str)
    }

    /// Why it is as it is: the layer that decides, then who acted last, where anybody did.
    pub(super) fn explain(&self, last: Option<String>) -> String {
        match (self.why.as_str(), last) {
            ("", None) => UNTOUCHED.to_owned(),
            ("", Some(last)) => last,
            (why, None) => capital(why),
            (why, Some(last)) => format!("{}. {last}", capital(why)),
        }
    }
}
