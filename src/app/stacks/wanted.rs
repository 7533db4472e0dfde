//! The desired state of a stack or container by windows and overrides, as pages and API show it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::why::UNTOUCHED;
use crate::domain::desired::{Interval, Layer, Rules, Transition};
use crate::domain::overrides::{DesiredState, Override};
use crate::domain::place::Place;
use crate::domain::text::capital;

/// The number of transitions shown of one stack or container. Overviews show only the first, which costs less.
const SHOWN: usize = 3;
/// The details of one stack or container.
pub(super) const FEW: Horizon = Horizon { changes: SHOWN, span: None };

/// How far ahead the desired state is computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// The largest number of coming changes.
    pub changes: usize,
    /// The time range of the intervals.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// The desired state, its cause, and its coming changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedView {
    /// `None` where no rule applies.
    pub state: Option<DesiredState>,
    /// The layer that decides, with its text; empty where no rule applies.
    pub why: String,
    /// The next three changes; only the first in overviews.
    pub transitions: Vec<Transition>,
    /// The desired states over the requested time range; empty without a range and without a rule.
    pub intervals: Vec<Interval>,
    /// The override or hold that applies now.
    pub by_override: Option<Override>,
    /// The state after the end of the override, where nothing else decides then.
    pub then: Option<DesiredState>,
    /// Whether a window applies.
    pub has_window: bool,
}

impl WantedView {
    /// The view with as many coming changes as `look` asks for.
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

    /// The word in the API: `awake`, `asleep`, `hold` or `none`.
    pub fn word(&self) -> &'static str {
        self.state.map_or("none", DesiredState::as_str)
    }

    /// The explanation of the state: the layer that decides, then the last action, where there is one.
    pub(super) fn explain(&self, last: Option<String>) -> String {
        match (self.why.as_str(), last) {
            ("", None) => UNTOUCHED.to_owned(),
            ("", Some(last)) => last,
            (why, None) => capital(why),
            (why, Some(last)) => format!("{}. {last}", capital(why)),
        }
    }
}
