//! The words of the pages, as filters of the templates: `{{ one.until|when(shell) }}`, `{{ one.target_name|name }}`.

use std::borrow::Borrow;
use std::fmt::Write as _;

use askama::filters::{Html, Safe, escape};
use askama::{Result, Values, filter_fn};
use jiff::Timestamp;
use jiff::civil::Date;

use super::shell::Shell;
use super::view::{self, Badge, When};
use crate::domain::action::Action;
use crate::domain::device::Device;

/// An instant as the reader sees it, in each of its forms.
#[filter_fn]
pub fn when(at: &Timestamp, _: &dyn Values, shell: &Shell) -> Result<When> {
    Ok(shell.now.when(*at))
}

/// A name that somebody else chose, harmless to look at.
#[filter_fn]
pub fn name(text: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(view::shown_name(text.as_ref()))
}

/// A sentence made elsewhere, with its times as the reader writes them.
#[filter_fn]
pub fn clocked(sentence: impl AsRef<str>, _: &dyn Values, shell: &Shell) -> Result<String> {
    Ok(shell.now.words(sentence.as_ref()))
}

/// A state with its icon, colour and word.
#[filter_fn]
pub fn badge<T: Copy + Into<Badge>>(state: &T, _: &dyn Values) -> Result<Badge> {
    Ok((*state).into())
}

/// A count and its noun: `4 days`.
#[filter_fn]
pub fn count(number: impl Borrow<usize>, _: &dyn Values, noun: &str) -> Result<String> {
    Ok(view::count(*number.borrow(), noun))
}

/// A date from where the reader is: `today`, `tomorrow`, `in 28 days`.
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

/// What a browser says of itself: `Firefox on Linux`, and whether it is a phone.
#[filter_fn]
pub fn device(agent: &Option<String>, _: &dyn Values) -> Result<Device> {
    Ok(crate::domain::device::device(agent.as_deref().unwrap_or_default()))
}

/// The symbol of an action.
#[filter_fn]
pub fn action_icon(action: &Action, _: &dyn Values) -> Result<&'static str> {
    Ok(view::action_icon(*action))
}

/// Milliseconds as `0.4 s`, `1 min 20 s`.
#[filter_fn]
pub fn duration(milliseconds: &i64, _: &dyn Values) -> Result<String> {
    Ok(view::duration(*milliseconds))
}

/// Whole seconds as a person sets them: `1 h`, `90 min`.
#[filter_fn]
pub fn span(seconds: &i64, _: &dyn Values) -> Result<String> {
    Ok(view::span(*seconds))
}

/// A sentence in which backticks mark what is to be typed, or was, with that as code. A backtick without its other half
/// is a letter like any other.
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
    fn what_is_to_be_typed_is_told_from_the_sentence() {
        let told = |text: &str| {
            let filter = inline_code::default();
            filter.execute(text, &askama::NO_VALUES).expect("text").0
        };
        assert_eq!(told("run `docker ps <b>`, then"), "run <code>docker ps &#60;b&#62;</code>, then");
        assert_eq!(told("`a` or `"), "`a` or `");
        assert_eq!(told(""), "");
    }
}
