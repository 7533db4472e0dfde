//! What an hour leads to: the run that was in it, or a new rule in it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::WEEKDAYS;
use crate::domain::run::Run;
use crate::domain::target::Target;
use crate::web::view::Now;

/// Makes the links.
pub struct Slots {
    /// The base path.
    pub base: String,
    /// The zone in which a new schedule is read.
    pub zone: TimeZone,
    /// The target that is picked; may be empty.
    pub picked: String,
    /// New schedules can be made.
    pub can_operate: bool,
}

/// An hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Where a click leads; `None` where there is nothing to do.
    pub href: Option<String>,
    /// What it is and what a click does: `13:00: plan something for media`.
    pub title: String,
}

impl Slots {
    /// The form of a new schedule for this hour.
    pub fn new_rule(&self, target: Option<&Target>, at: Timestamp) -> Option<String> {
        let local = at.to_zoned(self.zone.clone());
        let day = WEEKDAYS[usize::from(local.weekday().to_monday_zero_offset().unsigned_abs())].1;
        let (hour, minute) = (local.hour(), local.minute());
        let end = if hour == 23 && minute > 0 { (0, minute) } else { (hour + 1, minute) };
        let window = format!("sleep {day} {hour:02}:{minute:02}-{:02}:{:02}", end.0, end.1);
        let target = target.map_or_else(|| self.picked.clone(), param);
        let query = [("target", target), ("window", window)];
        let filled = query.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        let query = serde_urlencoded::to_string(filled).unwrap_or_default();
        self.can_operate.then(|| format!("{}/schedules/new?{query}", self.base))
    }

    /// The page of a run.
    pub fn run(&self, run: &Run) -> String {
        format!("{}/runs/{}", self.base, run.id)
    }

    /// Whether an hour that begins then is still to come, at least in part.
    pub fn is_open(until: Timestamp, now: &Now) -> bool {
        until > now.at
    }
}

/// A target as pages name it in a query.
pub fn param(target: &Target) -> String {
    format!("{}/{}", target.target_type(), target.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::HostId;
    use crate::domain::window::Window;

    #[test]
    fn an_hour_leads_to_a_rule_that_can_be_read() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let slots = Slots { base: "/nap".to_owned(), zone, picked: String::new(), can_operate: true };
        let media = Target::stack(HostId::local(), "media");
        for (at, window) in [
            ("2026-11-27T12:00:00Z", "sleep Fri 13:00-14:00"),
            ("2026-11-27T22:00:00Z", "sleep Fri 23:00-24:00"),
            // Seen from a zone that is half an hour apart.
            ("2026-11-27T22:30:00Z", "sleep Fri 23:30-00:30"),
            ("2026-11-28T23:00:00Z", "sleep Sun 00:00-01:00"),
        ] {
            let href = slots.new_rule(Some(&media), at.parse().expect("an instant")).expect("a link");
            let query = href.strip_prefix("/nap/schedules/new?").expect("the form");
            let fields: Vec<(String, String)> = serde_urlencoded::from_str(query).expect("a query");
            assert_eq!(fields[0].1, param(&media));
            assert_eq!(fields[1], ("window".to_owned(), window.to_owned()));
            assert!(Window::parse(window).is_ok(), "{window}");
        }
        let viewer = Slots { can_operate: false, ..slots };
        assert_eq!(viewer.new_rule(None, Timestamp::UNIX_EPOCH), None);
    }
}
