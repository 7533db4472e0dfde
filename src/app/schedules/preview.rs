//! What a schedule would do, told before it is saved.

use jiff::Timestamp;

use super::super::{Actor, App, Error, Result, zone};
use super::check::{self, Draft, Faults};
use super::{lint, view};
use crate::domain::conflict::Fires;
use crate::domain::cron::Cron;
use crate::domain::permission::Permission;
use crate::domain::schedule::{ScheduleSpec, When};

/// Instants shown.
const SHOWN: usize = 10;
/// Clock changes told at most, and how far ahead they are looked for, in days.
const NOTES: usize = 4;
const NOTES_WITHIN_DAYS: u32 = 400;

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
/// [`Error::Invalid`] where its time fields are wrong. A target that is missing or wrong only leaves out what is said
/// about it, so that a form can be previewed before it is complete.
pub async fn preview(app: &App, actor: &Actor, draft: &Draft) -> Result<Preview> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let default = zone::default_zone(app).await?;
    let mut faults = Faults::default();
    let timing = check::timing(draft, &default, None, now, &mut faults);
    faults.finish()?;
    // Without a fault there is a timing.
    let timing = timing.ok_or_else(|| Error::field("cron", "say when"))?;
    let fires = Fires::of(&timing.when, &timing.zone.zone);
    let mut warnings = timing.warnings;
    if let Some(spec) = aim(app, draft, &timing.when, timing.timezone.as_ref(), &mut warnings) {
        warnings.extend(lint::clashes(app, &spec, draft.id.as_ref(), &default, now).await?);
    }
    let mut dst_notes = timing.dst_notes;
    if let When::Cron(text) = &timing.when
        && let Ok(cron) = Cron::parse(text)
    {
        let notes = cron.dst_notes(now, &timing.zone.zone, NOTES_WITHIN_DAYS);
        dst_notes.extend(notes.into_iter().take(NOTES).map(|note| note.to_string()));
    }
    Ok(Preview {
        meaning: view::meaning(&timing.when, &timing.zone),
        next: fires.iter().flat_map(|fires| fires.iter(now)).take(SHOWN).collect(),
        warnings,
        dst_notes,
        zone: timing.zone.name,
    })
}

/// The schedule a draft describes, as far as the check against others needs it; `None` where target or action are not
/// there yet. What is wrong with them becomes a warning.
fn aim(
    app: &App,
    draft: &Draft,
    when: &When,
    timezone: Option<&String>,
    warnings: &mut Vec<String>,
) -> Option<ScheduleSpec> {
    let named = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.trim().is_empty());
    if !named(&draft.target_type) || !named(&draft.target_id) {
        return None;
    }
    let action = draft.action.as_deref().and_then(|word| word.trim().parse().ok());
    let mut faults = Faults::default();
    let found = check::target(app, draft, action, None, &mut faults);
    warnings.extend(faults.0.into_iter().map(|fault| {
        let mut sentence = fault.message;
        if let Some(first) = sentence.get(..1) {
            let upper = first.to_uppercase();
            sentence.replace_range(..1, &upper);
        }
        sentence + "."
    }));
    let found = found?;
    warnings.extend(found.warnings);
    Some(ScheduleSpec {
        name: String::new(),
        target: found.target,
        target_name: found.name,
        action: action?,
        when: when.clone(),
        timezone: timezone.cloned(),
        enabled: true,
        catch_up_seconds: 0,
        priority: draft.priority.as_deref().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        stop_timeout_seconds: None,
        note: String::new(),
    })
}
