//! What the pages share when they turn domain values into words: instants, durations, states, exit codes.
//!
//! Pure: `now` and the zone are arguments. Templates get finished strings and decide nothing. A little long, since a
//! reader looks for every word of the pages in one place.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::domain::action::Action;
use crate::domain::inventory::{Health, StackStatus};
use crate::domain::run::{Condition, RunState, StepState, Trigger, WaitFor};
use crate::domain::target::Target;
use crate::domain::user::{ClockFace, Habits};
use crate::domain::window::Phase;
use crate::web::filters;

/// A link with its words.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// Path below the base path, with the leading slash.
    pub href: String,
    pub text: String,
}

impl Link {
    pub fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { href: href.into(), text: text.into() }
    }
}

/// One choice of a filter or a form.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What the person reads.
    pub label: String,
    /// It is the one in force.
    pub chosen: bool,
}

/// The instant a page is rendered at and whom it is rendered for: what every [`When`] is made from.
#[derive(Clone, Debug)]
pub struct Now {
    /// The instant.
    pub at: Timestamp,
    /// The reader's zone.
    pub zone: TimeZone,
    /// How the reader wants times and weeks written.
    pub habits: Habits,
}

impl Default for Now {
    fn default() -> Self {
        Self { at: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC, habits: Habits::default() }
    }
}

impl Now {
    /// For tests: Friday 27 November 2026, 20:12 in Berlin.
    #[cfg(test)]
    #[expect(clippy::missing_panics_doc, reason = "a test may panic")]
    pub fn sample() -> Self {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        Self { at: "2026-11-27T20:12:00+01:00".parse().expect("an instant"), zone, habits: Habits::default() }
    }

    /// The time of day as the reader writes it: `23:00`, `11:00 pm`.
    pub fn clock(&self, at: &Zoned) -> String {
        self.format(at, "%H:%M")
    }

    /// An instant by a `strftime` form, whose times (`%H:%M`, also with `:%S`) become the reader's.
    pub fn format(&self, at: &Zoned, form: &str) -> String {
        match self.habits.clock {
            ClockFace::H24 => at.strftime(form).to_string(),
            ClockFace::H12 => {
                let form = form.replace("%H:%M:%S", "%-I:%M:%S\u{a0}%P").replace("%H:%M", "%-I:%M\u{a0}%P");
                at.strftime(&form).to_string()
            }
        }
    }

    /// A sentence made elsewhere, with its times as the reader writes them.
    pub fn words(&self, sentence: &str) -> String {
        clocked(sentence, self.habits.clock)
    }

    /// An instant as the reader sees it.
    pub fn when(&self, at: Timestamp) -> When {
        When::new(at, self)
    }

    /// An instant some seconds from now.
    #[cfg(test)]
    pub fn plus(&self, seconds: i64) -> When {
        self.when(self.at.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(self.at))
    }

    /// The date where the reader is.
    pub fn today(&self) -> Date {
        self.at.to_zoned(self.zone.clone()).date()
    }

    /// The first instant of the reader's day so many days from today: 23 to 25 hours apart.
    pub fn midnight(&self, days: i64) -> Timestamp {
        let today = self.at.to_zoned(self.zone.clone());
        let day = today.checked_add(days.days()).and_then(|day| day.start_of_day());
        day.map_or(self.at, |day| day.timestamp())
    }

    /// The day of an instant in words: `Today`, `Yesterday`, `Wednesday 25 November 2026`.
    pub fn day(&self, at: Timestamp) -> String {
        let (day, today) = (at.to_zoned(self.zone.clone()).date(), self.today());
        let ago = today.since(day).map_or(i32::MAX, |span| span.get_days());
        match ago {
            0 => "Today".to_owned(),
            1 => "Yesterday".to_owned(),
            _ => day.strftime("%A %-d %B %Y").to_string(),
        }
    }
}

/// An instant in the four forms a page needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// RFC 3339 in UTC, whole seconds, for `<time datetime>`.
    pub iso: String,
    /// In full with its zone, for the title: `Friday 27 November 2026, 23:00:00 CET (Europe/Berlin)`.
    pub exact: String,
    /// How far off: `in 3 h`, `5 min ago`.
    pub relative: String,
    /// The clock alone: `23:00`.
    pub clock: String,
    /// As a clock and calendar say it, as short as is plain: `23:00`, `23:00 Sat`, `3 Dec 23:00`, `3 Dec 2027`.
    pub short: String,
}

impl When {
    /// Puts an instant into words.
    pub fn new(at: Timestamp, now: &Now) -> Self {
        let local = at.to_zoned(now.zone.clone());
        let here = now.at.to_zoned(now.zone.clone());
        let zone = now.zone.iana_name().unwrap_or("UTC");
        Self {
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            exact: format!("{} ({zone})", now.format(&local, "%A %-d %B %Y, %H:%M:%S %Z")),
            relative: relative(at.as_second() - now.at.as_second()),
            clock: now.clock(&local),
            short: short(&local, &here, now),
        }
    }
}

fn short(local: &Zoned, here: &Zoned, now: &Now) -> String {
    let days = local.date().since(here.date()).map_or(i32::MAX, |span| span.get_days());
    let form = match days {
        0 => "%H:%M",
        -6..=6 => "%H:%M %a",
        _ if local.year() == here.year() => "%-d %b %H:%M",
        _ => "%-d %b %Y %H:%M",
    };
    now.format(local, form)
}

/// A sentence with its times of day written as on a clock of that face: `Asleep 23:00–07:00` becomes `Asleep
/// 11:00 pm–7:00 am`. What merely holds such digits stays: `1:30`, `12:30:15`, a zone's `+02:00`, a “name 23:00”.
pub fn clocked(sentence: &str, face: ClockFace) -> String {
    if face == ClockFace::H24 {
        return sentence.to_owned();
    }
    let bytes = sentence.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut told = String::with_capacity(sentence.len() + 16);
    let mut copied = 0;
    let mut at = 0;
    while at + 5 <= bytes.len() {
        if let Some(quoted) = sentence.get(at..).filter(|rest| rest.starts_with('“')) {
            at += quoted.find('”').unwrap_or('“'.len_utf8());
            continue;
        }
        let alone = at.checked_sub(1).is_none_or(|before| {
            let before = bytes[before];
            !before.is_ascii_alphanumeric() && !matches!(before, b':' | b'+' | b'.' | b'_')
        });
        let is_time = alone
            && digit(at)
            && digit(at + 1)
            && bytes[at + 2] == b':'
            && digit(at + 3)
            && digit(at + 4)
            && !digit(at + 5)
            && !(bytes.get(at + 5) == Some(&b':') && digit(at + 6));
        let hour = sentence.get(at..at + 2).and_then(|text| text.parse::<u8>().ok()).filter(|_| is_time);
        let Some(hour) = hour.filter(|hour| *hour <= 24) else {
            at += 1;
            continue;
        };
        let (shown, half) =
            (if hour % 12 == 0 { 12 } else { hour % 12 }, if hour % 24 < 12 { "am" } else { "pm" });
        told.push_str(&sentence[copied..at]);
        let _ = write!(told, "{shown}{}\u{a0}{half}", &sentence[at + 2..at + 5]);
        at += 5;
        copied = at;
    }
    told.push_str(&sentence[copied..]);
    told
}

/// Seconds from now in words; rounded to the unit that matters.
fn relative(seconds: i64) -> String {
    let far = seconds.unsigned_abs();
    let amount = match far {
        0..5 => return if seconds > 0 { "in a moment" } else { "just now" }.to_owned(),
        5..60 => format!("{far} s"),
        60..3570 => format!("{} min", (far + 30) / 60),
        3570..84_600 => format!("{} h", (far + 1800) / 3600),
        _ => match (far + 43_200) / 86_400 {
            1 => "1 day".to_owned(),
            days @ 2..60 => format!("{days} days"),
            days @ 60..700 => format!("{} months", (days + 15) / 30),
            days => format!("{} years", (days + 180) / 365),
        },
    };
    if seconds > 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

/// How long something took: `0.4 s`, `12 s`, `1 min 20 s`, `2 h 5 min`.
pub fn duration(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A span of whole seconds as a person sets it: `1 h`, `90 min`, `10 s`.
pub fn span(seconds: i64) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// What an exit code means and, where something can be done, what.
pub fn exit_code(code: i64) -> String {
    let words = match code {
        0 => "it ended normally",
        1 => "the program reported an error; its log says which",
        2 => "the program was called in a way it does not understand",
        125 => "Docker could not run the container",
        126 => "the command is there but cannot be run; check its permissions",
        127 => "the command was not found in the image; check the command and the image's version",
        130 => "it was interrupted",
        134 => "the program aborted itself",
        137 => {
            "it was killed: it did not stop within its grace, or memory ran out; a longer stop grace may help"
        }
        139 => "the program crashed by touching memory that is not its own",
        143 => "it ended when asked to stop",
        129..=159 => return format!("{code}: ended by signal {}", code - 128),
        _ => return format!("{code}: the program ended with a code of its own; its log says why"),
    };
    format!("{code}: {words}")
}

/// A state as it is always shown: icon, shape, colour and word together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Badge {
    /// `data-state`: gives the colour.
    pub class: &'static str,
    /// The symbol in `icons.svg`.
    pub icon: &'static str,
    /// The word.
    pub word: &'static str,
}

impl Badge {
    const fn new(class: &'static str, icon: &'static str, word: &'static str) -> Self {
        Self { class, icon, word }
    }

    /// All that should run does.
    pub const RUNNING: Self = Self::new("running", "play", "Running");
    /// Put to sleep by DockNap.
    pub const NAPPING: Self = Self::new("napping", "moon", "Napping");
    /// What a window wants: down.
    pub const ASLEEP: Self = Self::new("napping", "moon", "Asleep");
    /// What a window wants: up.
    pub const AWAKE: Self = Self::new("running", "sunrise", "Awake");
    /// What a hold wants: nothing.
    pub const HELD: Self = Self::new("held", "hourglass", "Held");
    /// Nobody wants anything of it any more.
    pub const LEFT_ALONE: Self = Self::new("gone", "circle-slash", "Left alone");
    /// Frozen by someone else.
    pub const PAUSED: Self = Self::new("paused", "pause", "Paused");
    /// Stopped by someone else.
    pub const STOPPED: Self = Self::new("stopped", "square", "Stopped");
    /// Some of it runs.
    pub const PARTIAL: Self = Self::new("partial", "contrast", "Partial");
    /// Running, health not known yet.
    pub const STARTING: Self = Self::new("starting", "sunrise", "Starting");
    /// Its health check fails.
    pub const UNHEALTHY: Self = Self::new("unhealthy", "heart-crack", "Unhealthy");
    /// Docker keeps bringing it back.
    pub const LOOPING: Self = Self::new("restart-looping", "refresh-cw", "Restart-looping");
    /// Not as its schedule says.
    pub const DRIFTED: Self = Self::new("drifted", "git-compare", "Drifted");
    /// Its host does not answer.
    pub const UNREACHABLE: Self = Self::new("unreachable", "unplug", "Unreachable");
    /// A one-shot that did its work.
    pub const COMPLETED: Self = Self::new("completed", "check", "Completed");
}

impl From<StackStatus> for Badge {
    fn from(status: StackStatus) -> Self {
        match status {
            StackStatus::Running => Self::RUNNING,
            StackStatus::Stopped => Self::STOPPED,
            StackStatus::Partial => Self::PARTIAL,
            StackStatus::Paused => Self::PAUSED,
            StackStatus::Unknown => Self::UNREACHABLE,
        }
    }
}

impl Badge {
    /// How a run stands.
    pub const fn of_run(state: RunState) -> Self {
        match state {
            RunState::Pending => Self::new("pending", "hourglass", "Waiting"),
            RunState::Executing => Self::new("executing", "refresh-cw", "Running now"),
            RunState::Succeeded => Self::new("succeeded", "circle-check", "Succeeded"),
            RunState::Failed => Self::new("failed", "circle-x", "Failed"),
            RunState::Partial => Self::new("partial", "contrast", "Partly done"),
            RunState::Skipped => Self::new("skipped", "skip-forward", "Skipped"),
            RunState::Missed => Self::new("missed", "clock", "Missed"),
            RunState::Superseded => Self::new("superseded", "circle-slash", "Superseded"),
            RunState::Cancelled => Self::new("cancelled", "ban", "Cancelled"),
            RunState::Interrupted => Self::new("interrupted", "triangle-alert", "Interrupted"),
        }
    }
}

/// What a template has borrowed.
impl<T: Copy + Into<Self>> From<&T> for Badge {
    fn from(state: &T) -> Self {
        (*state).into()
    }
}

impl From<Phase> for Badge {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Asleep => Self::ASLEEP,
            Phase::Awake => Self::AWAKE,
        }
    }
}

impl From<RunState> for Badge {
    fn from(state: RunState) -> Self {
        Self::of_run(state)
    }
}

impl From<StepState> for Badge {
    fn from(state: StepState) -> Self {
        let (icon, word) = match state {
            StepState::Pending => ("hourglass", "Waiting"),
            StepState::Issued => ("refresh-cw", "Under way"),
            StepState::Succeeded => ("circle-check", "Done"),
            StepState::Failed => ("circle-x", "Failed"),
            StepState::Skipped => ("skip-forward", "Skipped"),
            StepState::Interrupted => ("triangle-alert", "Interrupted"),
        };
        Self::new(state.as_str(), icon, word)
    }
}

/// Health worth a word of its own; `None` where there is nothing to say.
pub fn health(health: Health) -> Option<&'static str> {
    match health {
        Health::None => None,
        Health::Starting => Some("health starting"),
        Health::Healthy => Some("healthy"),
        Health::Unhealthy => Some("unhealthy"),
    }
}

/// The symbol for an action.
pub fn action_icon(action: Action) -> &'static str {
    match action {
        Action::Start => "play",
        Action::Stop => "square",
        Action::Restart => "rotate-cw",
        Action::Pause => "pause",
        Action::Unpause => "play",
    }
}

/// What made a run, after "started": `by hand`, `by its schedule`.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "by hand",
        Trigger::Bulk => "by hand, with others",
        Trigger::Api => "through the API",
        Trigger::Schedule => "by schedule",
        Trigger::Label => "by a label",
        Trigger::CatchUp => "late, caught up",
        Trigger::Window => "by the window",
        Trigger::Override => "by an override",
        Trigger::Retry => "as a retry",
        Trigger::Undo => "as an undo",
    }
}

/// What a step waits for, in words: `db (may take up to 8 min) and cache to be healthy, migrate to finish its work`.
pub fn waits(wait_for: &[WaitFor]) -> String {
    let mut parts = Vec::new();
    for condition in Condition::ALL {
        let names: Vec<String> = wait_for
            .iter()
            .filter(|wait| wait.condition == *condition)
            .map(|wait| {
                let name = shown_name(&wait.container);
                match wait.seconds {
                    Some(seconds) if *condition == Condition::ServiceHealthy => {
                        format!("{name} (may take up to {} min)", (seconds + 59) / 60)
                    }
                    _ => name,
                }
            })
            .collect();
        let Some((last, others)) = names.split_last() else { continue };
        let names =
            if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
        let what = match condition {
            Condition::ServiceStarted => "to run",
            Condition::ServiceHealthy => "to be healthy",
            Condition::ServiceCompletedSuccessfully => "to finish its work",
            Condition::Stopped => "to be down",
        };
        parts.push(format!("{names} {what}"));
    }
    parts.join(", ")
}

/// A hostile name made safe to look at: control characters as `\u{…}`, at most 255 bytes (rulings 20).
pub fn shown_name(name: &str) -> String {
    let mut shown = String::with_capacity(name.len().min(256));
    for letter in name.chars() {
        if shown.len() + letter.len_utf8() > 252 {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Letters that turn the text around or show nothing: a name could pass for another with them.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The page of a stack or container.
pub fn target_page(target: &Target) -> String {
    format!("/{}s/{}", target.target_type(), target.key())
}

/// What a form names a stack or container by.
pub fn target_value(target: &Target) -> String {
    format!("{}/{}", target.target_type(), target.key())
}

/// The first three of several, then how many more there are: `a; b; c; and 2 more`.
pub fn first_few(all: &[String], between: &str, and: &str) -> String {
    const NAMED: usize = 3;
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(between);
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}{and}{more} more"),
    }
}

/// A count and its noun: `1 container`, `4 containers`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The page of an error: what happened, and the way on.
#[derive(askama::Template, Clone, Debug)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub shell: super::shell::Shell,
    pub status: u16,
    /// What happened, in a few words.
    pub title: String,
    /// What it means and what to do.
    pub message: String,
    /// Names that look like what was asked for, as links.
    pub near: Vec<Link>,
    /// The way on; the first is the button.
    pub links: Vec<Link>,
    /// What to quote when asking for help.
    pub request_id: Option<String>,
    /// Seconds until another try makes sense: counts down where scripts run.
    pub retry_after: Option<u64>,
    /// The page tries again by itself after so many seconds: only where that changes nothing.
    pub refresh: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_told_from_near_and_far() {
        let now = Now::sample();
        let tonight = now.plus(2 * 3600 + 48 * 60);
        assert_eq!(tonight.iso, "2026-11-27T22:00:00Z");
        assert_eq!(tonight.exact, "Friday 27 November 2026, 23:00:00 CET (Europe/Berlin)");
        assert_eq!((tonight.relative.as_str(), tonight.short.as_str()), ("in 3 h", "23:00"));
        assert_eq!(now.plus(-310).relative, "5 min ago");
        assert_eq!(now.plus(86_400).short, "20:12 Sat");
        assert_eq!(now.plus(20 * 86_400).short, "17 Dec 20:12");
        assert_eq!(now.plus(60 * 86_400).short, "26 Jan 2027 20:12");
        assert_eq!(now.plus(-2).relative, "just now");
        assert_eq!(now.plus(86_400).relative, "in 1 day");
    }

    #[test]
    fn the_clock_has_the_face_its_reader_likes() {
        let habits = Habits { clock: ClockFace::H12, ..Habits::default() };
        let now = Now { habits, ..Now::sample() };
        let tonight = now.plus(2 * 3600 + 48 * 60);
        assert_eq!(tonight.iso, "2026-11-27T22:00:00Z", "machines read what they always read");
        assert_eq!(tonight.exact, "Friday 27 November 2026, 11:00:00\u{a0}pm CET (Europe/Berlin)");
        assert_eq!((tonight.clock.as_str(), tonight.short.as_str()), ("11:00\u{a0}pm", "11:00\u{a0}pm"));
        assert_eq!(now.plus(86_400).short, "8:12\u{a0}pm Sat");
        assert_eq!(now.plus(20 * 86_400).short, "17 Dec 8:12\u{a0}pm");
    }

    #[test]
    fn sentences_are_told_by_the_same_clock() {
        let told = |text: &str| clocked(text, ClockFace::H12).replace('\u{a0}', " ");
        assert_eq!(told("Asleep Mon–Fri 23:00–07:30"), "Asleep Mon–Fri 11:00 pm–7:30 am");
        assert_eq!(told("At 00:00 and 12:05, until 24:00"), "At 12:00 am and 12:05 pm, until 12:00 am");
        assert_eq!(told("Fri 23:00: 1 change"), "Fri 11:00 pm: 1 change");
        assert_eq!(told("started 07:30 today by “Nights”"), "started 7:30 am today by “Nights”");
        for other in [
            "1:30",
            "12:30:15",
            "UTC+02:00",
            "sha256:10:11x",
            "99:00",
            "é:00",
            "23:0",
            "“Nap 23:00”",
            "“",
            "",
        ] {
            assert_eq!(told(other), other);
        }
        assert_eq!(clocked("At 23:00", ClockFace::H24), "At 23:00");
    }

    #[test]
    fn days_are_named_from_today() {
        let now = Now::sample();
        assert_eq!(now.day(now.at), "Today");
        assert_eq!(now.day(now.at - jiff::SignedDuration::from_hours(24)), "Yesterday");
        assert_eq!(now.day(now.at - jiff::SignedDuration::from_hours(48)), "Wednesday 25 November 2026");
    }

    #[test]
    fn durations_read_well() {
        let told: Vec<String> = [0, 450, 12_000, 80_000, 7_500_000].into_iter().map(duration).collect();
        assert_eq!(told, ["0.0 s", "0.4 s", "12 s", "1 min 20 s", "2 h 5 min"]);
        assert_eq!(
            [span(3600), span(5400), span(86_400), span(15), span(0)],
            ["1 h", "90 min", "1 d", "15 s", "0 s"]
        );
    }

    #[test]
    fn an_exit_code_is_explained() {
        assert!(exit_code(137).contains("longer stop grace"));
        assert_eq!(exit_code(136), "136: ended by signal 8");
        assert!(exit_code(42).starts_with("42: "));
    }

    #[test]
    fn what_is_waited_for_is_told_once_per_condition() {
        let wait = |container: &str, condition| WaitFor {
            container: container.to_owned(),
            identity: String::new(),
            condition,
            seconds: None,
            elsewhere: false,
        };
        let told = waits(&[
            wait("api", Condition::Stopped),
            wait("db", Condition::ServiceHealthy),
            wait("worker", Condition::Stopped),
        ]);
        assert_eq!(told, "db to be healthy, api and worker to be down");
        assert_eq!(waits(&[]), "");
    }

    #[test]
    fn a_hostile_name_is_made_safe_to_look_at() {
        assert_eq!(shown_name("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
        assert!(shown_name(&"é".repeat(40_000)).len() <= 256);
    }
}
