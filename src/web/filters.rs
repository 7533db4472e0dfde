//! The filters of the Askama templates, which turn domain values into text, such as `{{ one.until|when(shell) }}` and
//! `{{ one.target_name|name }}`.

#![expect(clippy::inline_always, reason = "what `filter_fn` makes of a function says so")]

use std::fmt::Write as _;

use askama::filters::{Html, Safe, escape};
use askama::{PrimitiveType, Result, Values, filter_fn};
use jiff::Timestamp;
use jiff::civil::Date;

use super::pages::runs::words;
use super::shell::Shell;
use super::view::{self, Badge, When};
use crate::domain::action::Action;
use crate::domain::audit::AuditRow;
use crate::domain::device::Device;
use crate::domain::overrides::Override;
use crate::domain::run::Run;
use crate::domain::target::Target;
use crate::domain::text;

/// An instant as an argument of a filter. Askama passes a field by reference, and the result of a method by value.
pub trait Instant {
    fn instant(&self) -> Timestamp;
}

impl Instant for Timestamp {
    fn instant(&self) -> Timestamp {
        *self
    }
}

impl<T: Instant> Instant for &T {
    fn instant(&self) -> Timestamp {
        (*self).instant()
    }
}

/// An instant in each text form, in the reader's time zone.
#[filter_fn]
pub fn when(at: impl Instant, _: &dyn Values, shell: &Shell) -> Result<When> {
    Ok(shell.now.when(at.instant()))
}

/// A name that a user chose, with control characters escaped.
#[filter_fn]
pub fn name(text: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(view::shown_name(text.as_ref()))
}

/// A sentence with its times of day rewritten to the reader's clock format.
#[filter_fn]
pub fn clocked(sentence: impl AsRef<str>, _: &dyn Values, shell: &Shell) -> Result<String> {
    Ok(shell.now.words(sentence.as_ref()))
}

/// A state with its icon, colour and word.
#[filter_fn]
pub fn badge<T: Copy + Into<Badge>>(state: &T, _: &dyn Values) -> Result<Badge> {
    Ok((*state).into())
}

/// A date relative to the reader's today: `today`, `tomorrow`, `in 28 days`.
#[filter_fn]
pub fn away(date: &Date, _: &dyn Values, shell: &Shell) -> Result<String> {
    let (now, today) = (&shell.now, shell.now.today());
    Ok(match date.to_zoned(now.zone.clone()) {
        _ if *date == today => "today".to_owned(),
        _ if today.tomorrow().is_ok_and(|tomorrow| tomorrow == *date) => "tomorrow".to_owned(),
        Ok(at) => now.when(at.timestamp()).relative,
        Err(_) => String::new(),
    })
}

/// The device that a `User-Agent` header describes: `Firefox on Linux`, and whether it is a phone.
#[filter_fn]
pub fn device(agent: &Option<String>, _: &dyn Values) -> Result<Device> {
    Ok(crate::domain::device::device(agent.as_deref().unwrap_or_default()))
}

/// The name of the icon of an action.
#[filter_fn]
pub fn action_icon(action: &Action, _: &dyn Values) -> Result<&'static str> {
    Ok(view::action_icon(*action))
}

/// Milliseconds as `0.4 s`, `1 min 20 s`.
#[filter_fn]
pub fn duration(milliseconds: impl PrimitiveType<Value = i64>, _: &dyn Values) -> Result<String> {
    Ok(view::duration(milliseconds.get()))
}

/// Whole seconds as a user types them: `1 h`, `90 min`.
#[filter_fn]
pub fn span(seconds: impl PrimitiveType<Value = i64>, _: &dyn Values) -> Result<String> {
    Ok(view::span(seconds.get()))
}

/// Whole seconds as hours and minutes: `12 h 30 min`.
#[filter_fn]
pub fn hours(seconds: impl PrimitiveType<Value = i64>, _: &dyn Values) -> Result<String> {
    let seconds = seconds.get();
    Ok(format!("{} h {} min", seconds / 3600, seconds % 3600 / 60))
}

/// A sentence with a capital first letter.
#[filter_fn]
pub fn capital(sentence: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(text::capital(sentence.as_ref()))
}

/// A number with its noun: `1 run`, `4 runs`.
#[filter_fn]
pub fn count(
    number: impl PrimitiveType<Value: TryInto<usize>>,
    _: &dyn Values,
    noun: &str,
) -> Result<String> {
    Ok(view::count(number.get().try_into().unwrap_or(usize::MAX), noun))
}

/// The event of an audit row in words: `changed the schedule`.
#[filter_fn]
pub fn deed(event: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(view::events::deed(event.as_ref()))
}

/// The path of the page of the object of an audit row; `None` if the object has none.
#[filter_fn]
pub fn object_page(row: &AuditRow, _: &dyn Values, shell: &Shell) -> Result<Option<String>> {
    Ok(view::events::page(row, |host| shell.has_host(host)))
}

/// The reach of an override in words: a name, or `Everything`.
#[filter_fn]
pub fn reached(one: &Override, _: &dyn Values) -> Result<String> {
    Ok(view::reached(one))
}

/// The reason of an override and its author.
#[filter_fn]
pub fn why_made(one: &Override, _: &dyn Values, shell: &Shell) -> Result<String> {
    Ok(view::why_made(one, &shell.now))
}

/// An exit code with its explanation.
#[filter_fn]
pub fn exit_code(code: impl PrimitiveType<Value = i64>, _: &dyn Values) -> Result<String> {
    Ok(view::exit_code(code.get()))
}

/// The path of the page of a target.
#[filter_fn]
pub fn page(target: &Target, _: &dyn Values) -> Result<String> {
    Ok(view::target_page(target))
}

/// The title of a run, action and target: `Stop media`.
#[filter_fn]
pub fn title_of_run(run: &Run, _: &dyn Values) -> Result<String> {
    Ok(words::title(run))
}

/// The trigger of a run and its author: `by schedule Nights`, `by hand, anna`.
#[filter_fn]
pub fn cause(run: &Run, _: &dyn Values) -> Result<String> {
    Ok(words::cause(run))
}

/// The reason of a run or a step, without the parts meant for programs, and with its times of day in the reader's clock
/// format.
#[filter_fn]
pub fn reason(text: impl AsRef<str>, _: &dyn Values, shell: &Shell) -> Result<String> {
    Ok(words::reason(text.as_ref(), &shell.now))
}

/// A sentence as HTML in which text between backticks becomes `<code>`. A backtick without a partner stays as it is.
#[filter_fn]
pub fn inline_code(sentence: impl AsRef<str>, _: &dyn Values) -> Result<Safe<String>> {
    let sentence = sentence.as_ref();
    let paired = sentence.matches('`').count() % 2 == 0;
    let mut out = String::with_capacity(sentence.len() + 16);
    for (at, part) in sentence.split('`').enumerate() {
        let text = escape(part, Html)?;
        match (paired, at % 2) {
            (true, 1) if !part.is_empty() => write!(out, "<code>{text}</code>")?,
            (false, _) if at > 0 => write!(out, "`{text}")?,
            _ => write!(out, "{text}")?,
        }
    }
    Ok(Safe(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_backticks_becomes_code() {
        let rendered = |text: &str| {
            let filter = inline_code::default();
            filter.execute(text, &askama::NO_VALUES).expect("text").0
        };
        assert_eq!(rendered("run `docker ps <b>`, then"), "run <code>docker ps &#60;b&#62;</code>, then");
        assert_eq!(rendered("`a` or `"), "`a` or `");
        assert_eq!(rendered(""), "");
    }
}
