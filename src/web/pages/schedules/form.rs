//! The schedule form, with its meaning beside it.

use askama::Template;

use super::fields::Fields;
use super::meaning::PreviewView;
use super::runs_now;
use super::week::Views;
use crate::app::FieldError;
use crate::app::schedules::{DryRun, ScheduleView};
use crate::app::stacks::Overview;
use crate::domain::action::Action;
use crate::domain::guard::Then;
use crate::domain::plan::Plan;
use crate::domain::run::Run;
use crate::domain::schedule::{Policy, Source, Wake};
use crate::domain::window::Mood;
use crate::web::filters;
use crate::web::pages::actions::Act;
use crate::web::shell::Shell;
use crate::web::view::{self, Choice, Now, When};

/// The targets of one heading.
#[derive(Clone, Debug)]
pub struct Group {
    /// `Stacks`, `Containers of media`.
    pub label: String,
    /// The targets.
    pub options: Vec<Choice>,
}

/// The targets there are, with the one in `chosen` picked; kept as a choice of its own where it is gone.
pub fn targets(overview: &Overview, chosen: &str, gone: Option<&str>) -> Vec<Group> {
    let choice =
        |value: String, name: &str| Choice { chosen: value == chosen, label: view::shown_name(name), value };
    let mut groups = vec![Group {
        label: "Stacks".to_owned(),
        options: overview
            .stacks
            .iter()
            .filter(|stack| stack.protected.is_none())
            .map(|stack| choice(format!("stack/{}", stack.stack.key), &stack.stack.name))
            .collect(),
    }];
    let containers = |views: &[crate::app::stacks::ContainerView]| -> Vec<Choice> {
        views
            .iter()
            .filter(|view| view.protected.is_none() && view.container.is_ordinary())
            .map(|view| choice(format!("container/{}", view.container.key()), &view.container.name))
            .collect()
    };
    groups
        .push(Group { label: "Containers without a stack".to_owned(), options: containers(&overview.loose) });
    groups.extend(overview.stacks.iter().map(|stack| Group {
        label: format!("Containers of {}", view::shown_name(&stack.stack.name)),
        options: containers(&stack.containers),
    }));
    groups.retain(|group| !group.options.is_empty());
    let known = groups.iter().any(|group| group.options.iter().any(|option| option.chosen));
    if !known && !chosen.is_empty() {
        let name = gone.unwrap_or_else(|| chosen.split_once('/').map_or(chosen, |(_, name)| name));
        groups.insert(
            0,
            Group {
                label: "Not there now".to_owned(),
                options: vec![Choice {
                    value: chosen.to_owned(),
                    label: view::shown_name(name),
                    chosen: true,
                }],
            },
        );
    }
    groups
}

/// An action to choose.
#[derive(Clone, Debug)]
pub struct ActionChoice {
    /// The word in the API.
    pub value: &'static str,
    /// The word on the page.
    pub label: &'static str,
    pub icon: &'static str,
    /// It is the one.
    pub chosen: bool,
}

/// A ready-made window text or cron expression.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The text.
    pub text: &'static str,
    /// What it is for.
    pub label: &'static str,
    /// It is what the form says.
    pub chosen: bool,
}

impl Preset {
    const fn new(text: &'static str, label: &'static str) -> Self {
        Self { text, label, chosen: false }
    }
}

/// Ready-made window texts.
pub const WINDOWS: [Preset; 4] = [
    Preset::new("sleep 23:00-07:00", "Nights"),
    Preset::new("sleep Mon-Thu 20:00-07:00; Fri 20:00-Mon 07:00", "Nights and weekends"),
    Preset::new("sleep Sat 00:00-Mon 00:00", "Weekends"),
    Preset::new("awake Mon-Fri 08:00-18:00", "Awake in office hours only"),
];

/// Ready-made cron expressions.
pub const CRONS: [Preset; 5] = [
    Preset::new("0 23 * * *", "Every night 23:00"),
    Preset::new("0 7 * * *", "Every morning 07:00"),
    Preset::new("0 18 * * 1-5", "Weekdays 18:00"),
    Preset::new("0 8 * * 1-5", "Weekdays 08:00"),
    Preset::new("0 4 * * 0", "Sundays 04:00"),
];

/// What a window may do about changes by hand.
const POLICIES: [(Policy, &str); 3] = [
    (Policy::Respect, "Leave it until the next change"),
    (Policy::Enforce, "Put it back after 5 minutes"),
    (Policy::Observe, "Only record it"),
];

/// What a window may wake.
const WAKES: [(Wake, &str); 2] =
    [(Wake::Restore, "What it put to sleep"), (Wake::All, "Every container of it")];

/// What may happen to what is busy to the end.
const THENS: [(Then, &str); 2] =
    [(Then::Go, "Put it to sleep all the same"), (Then::Skip, "Leave it awake this time")];

/// What a window may do on its calendar's days.
const EFFECTS: [(&str, &str); 9] = [
    ("awake", "Stays awake"),
    ("asleep", "Sleeps all day"),
    ("as:Mon", "Keeps Monday’s hours"),
    ("as:Tue", "Keeps Tuesday’s hours"),
    ("as:Wed", "Keeps Wednesday’s hours"),
    ("as:Thu", "Keeps Thursday’s hours"),
    ("as:Fri", "Keeps Friday’s hours"),
    ("as:Sat", "Keeps Saturday’s hours"),
    ("as:Sun", "Keeps Sunday’s hours"),
];

/// How late a missed fire may be made up for: what is offered, in seconds.
const CATCH_UPS: [i64; 6] = [0, 300, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600];

/// What one side of the rule would do now.
#[derive(Clone, Debug)]
pub struct DryRunView {
    /// `When it falls asleep`.
    pub title: &'static str,
    /// What is done, in order, and what is left alone.
    pub plan: Plan,
    /// The calls to Docker, in order.
    pub calls: Vec<String>,
}

impl DryRunView {
    /// What the service told.
    pub fn new(run: DryRun) -> Self {
        let grace = run.stop_timeout_seconds;
        let call = |container: &str, action: Action| {
            let name = view::shown_name(container);
            let grace = grace.filter(|_| matches!(action, Action::Stop | Action::Restart));
            let grace = grace.map(|seconds| format!("?t={seconds}")).unwrap_or_default();
            format!("POST /containers/{name}/{action}{grace}")
        };
        Self {
            title: match run.begins {
                Some(Mood::Asleep) => "When it falls asleep",
                Some(Mood::Awake) => "When it wakes",
                None => "When it acts",
            },
            calls: run.plan.steps.iter().map(|step| call(&step.container, step.action)).collect(),
            plan: run.plan,
        }
    }
}

/// A field on which two people differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The field's label.
    pub field: &'static str,
    /// What the reader typed.
    pub yours: String,
    /// What is stored now.
    pub theirs: String,
}

#[derive(Template, Clone, Debug)]
#[template(path = "schedules/form.html", blocks = ["form"])]
pub struct ScheduleForm {
    pub shell: Shell,
    /// `New schedule`, or what it is called.
    pub heading: String,
    /// The stored schedule's id.
    pub id: Option<String>,
    /// Why it cannot be changed here; the fields are shown all the same.
    pub read_only: Option<String>,
    /// It may be copied to one that can be changed.
    pub can_copy: bool,
    /// It is switched on.
    pub enabled: bool,
    /// When it acts next.
    pub next: Option<When>,
    /// The coming occurrence is dropped.
    pub skipping: bool,
    /// What the fields hold.
    pub f: Fields,
    /// What is wrong with them.
    pub errors: Vec<FieldError>,
    /// The targets.
    pub groups: Vec<Group>,
    /// The actions.
    pub actions: Vec<ActionChoice>,
    /// What the views of the rule show.
    pub v: Views,
    /// What it would do now, where that was asked for.
    pub dry_runs: Vec<DryRunView>,
    /// Something in it is not stored yet.
    pub dirty: bool,
    /// What a window may do about changes by hand.
    pub policies: Vec<Choice>,
    /// What a window may wake.
    pub wakes: Vec<Choice>,
    /// What may happen to what is busy to the end.
    pub thens: Vec<Choice>,
    /// The calendars there are.
    pub calendars: Vec<Choice>,
    /// What a window may do on its calendar's days.
    pub effects: Vec<Choice>,
    /// How late a missed fire may be made up for.
    pub catch_ups: Vec<Choice>,
    /// The zone that is used where none is named.
    pub default_zone: String,
    /// What it means.
    pub preview: PreviewView,
    /// On what the reader and somebody else differ, where both changed it.
    pub differences: Vec<Difference>,
    /// The rarely needed fields are unfolded: one of them is not at its default, or wrong.
    pub more: bool,
    /// Buttons that do now what it does.
    pub runs_now: Vec<Act>,
    pub runs: Vec<Run>,
}

impl ScheduleForm {
    /// An empty shell of the form around `fields`.
    pub fn new(shell: Shell, fields: Fields, groups: Vec<Group>, default_zone: String) -> Self {
        let mut catch_ups: Vec<Choice> =
            CATCH_UPS.into_iter().map(|seconds| catch_up(seconds, &fields)).collect();
        if !catch_ups.iter().any(|choice| choice.chosen) {
            // Set through the API to something that is not offered: kept.
            if let Ok(seconds) = fields.catch_up_seconds.trim().parse::<i64>() {
                catch_ups.push(catch_up(seconds, &fields));
            }
        }
        Self {
            v: Views::new(&fields, shell.habits),
            shell,
            heading: "New schedule".to_owned(),
            id: None,
            read_only: None,
            can_copy: false,
            enabled: true,
            next: None,
            skipping: false,
            errors: Vec::new(),
            groups,
            actions: Action::ALL
                .into_iter()
                .map(|action| ActionChoice {
                    value: action.as_str(),
                    label: action.label(),
                    icon: view::action_icon(action),
                    chosen: action.as_str() == fields.action,
                })
                .collect(),
            dry_runs: Vec::new(),
            dirty: false,
            policies: choices(POLICIES.map(|(policy, label)| (policy.as_str(), label)), &fields.policy),
            wakes: choices(WAKES.map(|(wake, label)| (wake.as_str(), label)), &fields.wake),
            thens: choices(THENS.map(|(then, label)| (then.as_str(), label)), &fields.then),
            calendars: Vec::new(),
            effects: choices(EFFECTS, &fields.calendar_effect),
            catch_ups,
            default_zone,
            preview: PreviewView::default(),
            differences: Vec::new(),
            more: is_rare(&fields),
            runs_now: Vec::new(),
            runs: Vec::new(),
            f: fields,
        }
    }

    /// The same form around what is stored.
    #[must_use]
    pub fn stored(self, view: &ScheduleView, now: &Now) -> Self {
        let label = view.schedule.source == Source::Label;
        let operates = self.shell.can_operate();
        Self {
            heading: view::shown_name(&view.title),
            id: Some(view.schedule.id.to_string()),
            read_only: if label {
                Some("It comes from a label on the container and is changed there.".to_owned())
            } else if operates {
                None
            } else {
                Some("Operators and admins can change it.".to_owned())
            },
            can_copy: label && operates,
            enabled: view.schedule.spec.enabled,
            runs_now: runs_now(view),
            next: view.next_at.map(|at| now.when(at)),
            skipping: crate::app::schedules::is_skipping(&view.schedule, now.at),
            ..self
        }
    }

    /// The same form with what is wrong; the API's names of the target's two fields are the picker's.
    #[must_use]
    pub fn refused(mut self, errors: Vec<FieldError>) -> Self {
        let wrong = !errors.is_empty();
        self.errors = errors
            .into_iter()
            .map(|mut error| {
                if error.field.starts_with("target") || error.field == "host" {
                    "target".clone_into(&mut error.field);
                }
                error
            })
            .collect();
        if wrong && self.f.target.is_empty() {
            // Two fields of the API, one on this page.
            self.errors.retain(|error| error.field != "target");
            self.errors.insert(0, FieldError::new("target", "pick a stack or container"));
        }
        let rare =
            ["stop_timeout_seconds", "priority", "note", "policy", "wake", "calendar_id", "calendar_effect"];
        let is_rare = |field: &str| rare.contains(&field) || field.starts_with("guard.");
        // What is wrong is on show.
        for error in &self.errors {
            let view = match error.field.as_str() {
                "window" | "cron" => "text",
                "week" => "week",
                field if field.starts_with("row-") => "week",
                field if field.starts_with("said.") || field.starts_with("acts.") => "sentence",
                _ => continue,
            };
            view.clone_into(&mut self.f.view);
            break;
        }
        self.more |= self.errors.iter().any(|error| is_rare(&error.field));
        self
    }

    /// The same form after somebody else saved: what is typed stays, beside what is stored now.
    #[must_use]
    pub fn stale(mut self, stored: &Fields) -> Self {
        let pairs = [
            ("Target", &self.f.target, &stored.target),
            ("Action", &self.f.action, &stored.action),
            ("Kind", &self.f.kind, &stored.kind),
            ("Sleep hours", &self.f.window, &stored.window),
            ("Sleeps by", &self.f.mode, &stored.mode),
            ("Changes by hand", &self.f.policy, &stored.policy),
            ("Wakes", &self.f.wake, &stored.wake),
            ("Calendar", &self.f.calendar_id, &stored.calendar_id),
            ("On its days", &self.f.calendar_effect, &stored.calendar_effect),
            ("Cron", &self.f.cron, &stored.cron),
            ("Date and time", &self.f.at, &stored.at),
            ("Time zone", &self.f.timezone, &stored.timezone),
            ("Name", &self.f.name, &stored.name),
            ("If it was missed", &self.f.catch_up_seconds, &stored.catch_up_seconds),
            ("Stop grace", &self.f.stop_timeout_seconds, &stored.stop_timeout_seconds),
            ("Priority", &self.f.priority, &stored.priority),
            ("Only after it has been up", &self.f.min_uptime_minutes, &stored.min_uptime_minutes),
            ("Busy above", &self.f.busy_cpu_percent, &stored.busy_cpu_percent),
            ("Waits at most", &self.f.busy_wait_minutes, &stored.busy_wait_minutes),
            ("If it is busy to the end", &self.f.then, &stored.then),
            ("Note", &self.f.note, &stored.note),
        ];
        self.differences = pairs
            .into_iter()
            .filter(|(_, yours, theirs)| yours.trim() != theirs.trim())
            .map(|(field, yours, theirs)| Difference {
                field,
                yours: self.said(field, yours),
                theirs: self.said(field, theirs),
            })
            .collect();
        self.f.rev.clone_from(&stored.rev);
        self
    }

    /// A value as the page says it: a target by its name, nothing as "nothing".
    fn said(&self, field: &str, value: &str) -> String {
        let option =
            || self.groups.iter().flat_map(|group| &group.options).find(|option| option.value == value);
        match field {
            "Target" => option().map_or_else(|| value.to_owned(), |option| option.label.clone()),
            "Calendar" if !value.is_empty() => label(&self.calendars, value),
            "Changes by hand" => label(&self.policies, value),
            "Wakes" => label(&self.wakes, value),
            "If it is busy to the end" => label(&self.thens, value),
            "On its days" if !value.is_empty() => label(&self.effects, value),
            _ if value.trim().is_empty() => "nothing".to_owned(),
            _ => value.to_owned(),
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Somebody else saved in the meantime.
    pub fn is_stale(&self) -> bool {
        !self.differences.is_empty()
    }
}

/// Choices with the chosen one picked; the first where none is.
fn choices<const N: usize>(pairs: [(&str, &str); N], chosen: &str) -> Vec<Choice> {
    let known = pairs.iter().any(|(value, _)| *value == chosen);
    let choice = |(i, (value, label)): (usize, (&str, &str))| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: if known { value == chosen } else { i == 0 },
    };
    pairs.into_iter().enumerate().map(choice).collect()
}

/// The words of a value.
fn label(choices: &[Choice], value: &str) -> String {
    let found = choices.iter().find(|choice| choice.value == value);
    found.map_or_else(|| value.to_owned(), |choice| choice.label.clone())
}

fn catch_up(seconds: i64, fields: &Fields) -> Choice {
    Choice {
        value: seconds.to_string(),
        label: if seconds == 0 {
            "Leave it out".to_owned()
        } else {
            format!("Make up for it within {}", view::span(seconds))
        },
        chosen: fields.catch_up_seconds.trim() == seconds.to_string(),
    }
}

fn is_rare(fields: &Fields) -> bool {
    !fields.stop_timeout_seconds.is_empty()
        || !matches!(fields.priority.as_str(), "" | "0")
        || !fields.calendar_id.is_empty()
        || !fields.min_uptime_minutes.is_empty()
        || !fields.busy_cpu_percent.is_empty()
        || !fields.busy_wait_minutes.is_empty()
        || fields.kind == "window" && !matches!(fields.policy.as_str(), "" | "respect")
        || fields.kind == "window" && !matches!(fields.wake.as_str(), "" | "restore")
        || !fields.note.is_empty()
}
