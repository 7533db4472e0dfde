//! The schedule form: what is typed is kept whatever happens to it, and its meaning stands beside it.

use askama::Template;

use crate::app::FieldError;
use crate::app::schedules::{Draft, Preview, ScheduleView};
use crate::app::stacks::Overview;
use crate::domain::action::Action;
use crate::domain::schedule::{DEFAULT_CATCH_UP, Schedule, Source, When as Timing};
use crate::web::form::Typed;
use crate::web::pages::runs::{Choice, RunLine};
use crate::web::shell::Shell;
use crate::web::view::{self, Now, Sampled, When};

/// What the form's fields hold, as text: nothing checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `stack/KEY` or `container/KEY`; a name in place of the key for a target that is gone.
    pub target: String,
    /// One of the five actions.
    pub action: String,
    /// `cron` or `once`.
    pub kind: String,
    /// A cron expression.
    pub cron: String,
    /// `YYYY-MM-DDTHH:MM`, in the schedule's zone.
    pub at: String,
    /// IANA name; empty = the default zone.
    pub timezone: String,
    /// What to call it.
    pub name: String,
    /// Seconds.
    pub catch_up_seconds: String,
    /// Seconds; empty = the container's own.
    pub stop_timeout_seconds: String,
    /// A whole number.
    pub priority: String,
    /// Free text.
    pub note: String,
    /// The revision the form was made from.
    pub rev: String,
    /// Which button was pressed: `on`, `off`; empty for a preview.
    pub save: String,
}

impl Fields {
    /// An empty form for a target.
    pub fn new(target: String) -> Self {
        Self {
            target,
            action: "stop".to_owned(),
            kind: "cron".to_owned(),
            cron: "0 23 * * *".to_owned(),
            catch_up_seconds: DEFAULT_CATCH_UP.to_string(),
            priority: "0".to_owned(),
            ..Self::default()
        }
    }

    /// What was typed.
    pub fn typed(typed: &Typed) -> Self {
        let text = |name: &str| typed.get(name).to_owned();
        let mut fields = Self {
            target: text("target"),
            action: text("action"),
            kind: text("kind"),
            cron: text("cron"),
            at: text("at"),
            timezone: text("timezone"),
            name: text("name"),
            catch_up_seconds: text("catch_up_seconds"),
            stop_timeout_seconds: text("stop_timeout_seconds"),
            priority: text("priority"),
            note: text("note"),
            rev: text("rev"),
            save: text("save"),
        };
        if let Some(preset) = typed.filled("preset") {
            preset.clone_into(&mut fields.cron);
            "cron".clone_into(&mut fields.kind);
            fields.save.clear();
        }
        fields
    }

    /// What is stored.
    pub fn of(view: &ScheduleView) -> Self {
        let Schedule { spec, rev, .. } = &view.schedule;
        let zone = crate::domain::time::zone(&view.effective_timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let (kind, cron, at) = match &spec.when {
            Timing::Window(text) => ("window", text.clone(), String::new()),
            Timing::Cron(text) => ("cron", text.clone(), String::new()),
            Timing::Once(at) => {
                ("once", String::new(), at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string())
            }
        };
        Self {
            target: format!("{}/{}", view.schedule.target_type(), view.target_key),
            action: spec.action.to_string(),
            kind: kind.to_owned(),
            cron,
            at,
            timezone: spec.timezone.clone().unwrap_or_default(),
            name: spec.name.clone(),
            catch_up_seconds: spec.catch_up_seconds.to_string(),
            stop_timeout_seconds: spec
                .stop_timeout_seconds
                .map(|seconds| seconds.to_string())
                .unwrap_or_default(),
            priority: spec.priority.to_string(),
            note: spec.note.clone(),
            rev: rev.to_string(),
            save: String::new(),
        }
    }

    /// What the service takes. Of the two ways to say when, only the chosen one counts.
    pub fn draft(&self, id: Option<&crate::domain::ids::ScheduleId>) -> Draft {
        let filled = |text: &str| Some(text.to_owned());
        let (target_type, target_id) = self.target.split_once('/').unwrap_or(("", ""));
        let once = self.kind == "once";
        Draft {
            id: id.cloned(),
            name: filled(&self.name),
            target_type: filled(target_type),
            target_id: filled(target_id),
            kind: filled(&self.kind),
            action: filled(&self.action),
            cron: filled(if once { "" } else { &self.cron }),
            at: filled(if once { &self.at } else { "" }),
            timezone: filled(&self.timezone),
            enabled: Some(self.save != "off"),
            catch_up_seconds: filled(&self.catch_up_seconds),
            priority: filled(&self.priority),
            stop_timeout_seconds: filled(&self.stop_timeout_seconds),
            note: filled(&self.note),
            ..Draft::default()
        }
    }

    /// The revision the form was made from.
    pub fn revision(&self) -> Option<i64> {
        self.rev.parse().ok()
    }
}

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
    /// Its symbol.
    pub icon: &'static str,
    /// It is the one.
    pub chosen: bool,
}

/// A ready-made cron expression.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The expression.
    pub cron: &'static str,
    /// What it is for.
    pub label: &'static str,
}

/// Ready-made expressions.
pub const PRESETS: [Preset; 5] = [
    Preset { cron: "0 23 * * *", label: "Every night 23:00" },
    Preset { cron: "0 7 * * *", label: "Every morning 07:00" },
    Preset { cron: "0 18 * * 1-5", label: "Weekdays 18:00" },
    Preset { cron: "0 8 * * 1-5", label: "Weekdays 08:00" },
    Preset { cron: "0 4 * * 0", label: "Sundays 04:00" },
];

/// How late a missed fire may be made up for: what is offered, in seconds.
const CATCH_UPS: [i64; 6] = [0, 300, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600];

/// What the form means, beside it.
#[derive(Clone, Debug, Default)]
pub struct PreviewView {
    /// In a sentence; empty where it cannot be told.
    pub meaning: String,
    /// The zone it is read in.
    pub zone: String,
    /// The instants to come.
    pub fires: Vec<Fire>,
    /// What to know; whole sentences.
    pub warnings: Vec<String>,
    /// What the next clock changes do to it.
    pub notes: Vec<String>,
    /// What is wrong, where nothing can be told.
    pub faults: Vec<String>,
}

/// One instant to come.
#[derive(Clone, Debug)]
pub struct Fire {
    /// In the schedule's own zone: `Fri 27 Nov 2026, 23:00 CET`.
    pub local: String,
    /// How far off, and in full.
    pub when: When,
}

impl PreviewView {
    /// What the service told.
    pub fn new(preview: &Preview, now: &Now) -> Self {
        let zone = crate::domain::time::zone(&preview.zone).unwrap_or(jiff::tz::TimeZone::UTC);
        Self {
            meaning: preview.meaning.clone(),
            zone: preview.zone.clone(),
            fires: preview
                .next
                .iter()
                .map(|next| Fire {
                    local: next.at.to_zoned(zone.clone()).strftime("%a %-d %b %Y, %H:%M %Z").to_string(),
                    when: now.when(next.at),
                })
                .collect(),
            warnings: preview.warnings.clone(),
            notes: preview.dst_notes.clone(),
            faults: Vec::new(),
        }
    }

    /// What is wrong.
    pub fn refused(errors: &[FieldError]) -> Self {
        Self { faults: errors.iter().map(|error| error.message.clone()).collect(), ..Self::default() }
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

/// The form.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/form.html", blocks = ["form", "preview"])]
pub struct ScheduleForm {
    /// The surroundings.
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
    /// Ready-made expressions.
    pub presets: Vec<Preset>,
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
    /// Its newest runs.
    pub runs: Vec<RunLine>,
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
            presets: PRESETS.to_vec(),
            catch_ups,
            default_zone,
            preview: PreviewView::default(),
            differences: Vec::new(),
            more: is_rare(&fields),
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
            next: view.next_at.map(|at| now.when(at)),
            skipping: view.schedule.skip_at.is_some() && view.schedule.skip_at == view.schedule.next_due,
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
        let rare = ["stop_timeout_seconds", "priority", "note"];
        self.more |= self.errors.iter().any(|error| rare.contains(&error.field.as_str()));
        self
    }

    /// The same form after somebody else saved: what is typed stays, beside what is stored now.
    #[must_use]
    pub fn stale(mut self, stored: &Fields) -> Self {
        let pairs = [
            ("Target", &self.f.target, &stored.target),
            ("Action", &self.f.action, &stored.action),
            ("Kind", &self.f.kind, &stored.kind),
            ("Cron", &self.f.cron, &stored.cron),
            ("Date and time", &self.f.at, &stored.at),
            ("Time zone", &self.f.timezone, &stored.timezone),
            ("Name", &self.f.name, &stored.name),
            ("If it was missed", &self.f.catch_up_seconds, &stored.catch_up_seconds),
            ("Stop grace", &self.f.stop_timeout_seconds, &stored.stop_timeout_seconds),
            ("Priority", &self.f.priority, &stored.priority),
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
        || !fields.note.is_empty()
}

impl PreviewView {
    fn sample() -> Self {
        let now = Now::sample();
        Self {
            meaning: "At 23:00, Monday through Friday".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            fires: (0..10)
                .map(|day| Fire {
                    local: format!("Fri {} Nov 2026, 23:00 CET", 20 + day),
                    when: now.plus(10_080 + day * 86_400),
                })
                .collect(),
            warnings: vec![
                "Stop at 23:00 meets “Restart wiki” on 29 Nov 23:00; the restart goes first.".to_owned(),
            ],
            notes: vec!["28 Mar 2027: 02:30 does not exist that day; it fires at 03:00.".to_owned()],
            faults: vec![],
        }
    }
}

impl Sampled for ScheduleForm {
    fn samples() -> Vec<Self> {
        let option = |value: &str, label: &str, chosen| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen,
        };
        let groups = vec![
            Group {
                label: "Stacks".to_owned(),
                options: vec![option("stack/1", "media", true), option("stack/2", "wiki", false)],
            },
            Group {
                label: "Containers of media".to_owned(),
                options: vec![option("container/1", "media-db-1", false)],
            },
        ];
        let shell = Shell { here: "schedules", ..Shell::sample() };
        let fields = Fields { cron: "0 23 * * 1-5".to_owned(), ..Fields::new("stack/1".to_owned()) };
        let form = Self {
            preview: PreviewView::sample(),
            ..Self::new(shell, fields.clone(), groups, "Europe/Berlin".to_owned())
        };
        let stored = Self {
            heading: "Nights".to_owned(),
            id: Some("0199c1d2-0000-7000-8000-000000000000".to_owned()),
            next: Some(Now::sample().plus(10_080)),
            runs: RunLine::samples(),
            f: Fields {
                name: "Nights".to_owned(),
                note: "Asked for by the team".to_owned(),
                rev: "3".to_owned(),
                ..fields.clone()
            },
            more: true,
            ..form.clone()
        };
        let refused = Self {
            f: Fields { cron: "61 23 * * *".to_owned(), kind: "cron".to_owned(), ..fields.clone() },
            preview: PreviewView::refused(&[FieldError::new("cron", "minute: 61 is too large; use 0 to 59")]),
            ..form.clone()
        }
        .refused(vec![
            FieldError::new("target_id", "there is no stack `meida`; did you mean `media`?"),
            FieldError::new("cron", "minute: 61 is too large; use 0 to 59"),
            FieldError::new("priority", "use a whole number from -1000 to 1000"),
        ]);
        vec![
            stored.clone().stale(&Fields {
                cron: "0 22 * * 1-5".to_owned(),
                rev: "4".to_owned(),
                ..stored.f.clone()
            }),
            Self {
                skipping: true,
                enabled: false,
                read_only: Some("It comes from a label on the container and is changed there.".to_owned()),
                can_copy: true,
                ..stored.clone()
            },
            Self {
                f: Fields { kind: "once".to_owned(), at: "2026-12-24T18:00".to_owned(), ..fields },
                ..form.clone()
            },
            refused,
            stored,
            form,
        ]
    }
}
