//! The query string of a list page: the current filters, links with changed filters, and the errors of invalid ones.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time};

use super::form::Typed;
use super::shell::Shell;
use super::view::{Now, shown_name};
use crate::app::paging::Page;
use crate::app::suggest::suggest;
use crate::app::{Error, FieldError, Result};
use crate::domain::group::{Area, InGroup};
use crate::domain::ids::{GroupId, HostId};
use crate::domain::text::shorten;
use crate::domain::time;

/// The query string of a list page.
pub struct ListQuery {
    /// The path of the list, below the base path.
    path: &'static str,
    /// The names of the filter fields, in the order of the query string.
    fields: &'static [&'static str],
    typed: Typed,
    pub errors: Vec<FieldError>,
}

impl ListQuery {
    pub fn new(path: &'static str, fields: &'static [&'static str], typed: Typed) -> Self {
        Self { path, fields, typed, errors: Vec::new() }
    }

    /// The value of a field as typed; empty if the field is missing.
    pub fn get(&self, field: &str) -> &str {
        self.typed.get(field)
    }

    /// The trimmed value of a field; `None` if it is empty.
    pub fn text(&self, field: &str) -> Option<String> {
        self.typed.filled(field).map(|text| text.trim().to_owned())
    }

    /// The error message of a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// The query string, such as `?state=failed`, with some fields changed and without empty ones. The cursor is only
    /// in it if `changed` contains one.
    pub fn query(&self, changed: &[(&str, &str)]) -> String {
        let change = |name: &str| changed.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
        let others = changed.iter().map(|(field, _)| *field).filter(|field| !self.fields.contains(field));
        let names = self.fields.iter().copied().chain(others);
        let pairs: Vec<(&str, &str)> = names
            .map(|name| (name, change(name).unwrap_or_else(|| self.get(name))))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        match serde_urlencoded::to_string(pairs) {
            Ok(query) if !query.is_empty() => format!("?{query}"),
            _ => String::new(),
        }
    }

    /// The query string with one field changed.
    pub fn query_having(&self, field: &str, value: &str) -> String {
        self.query(&[(field, value)])
    }

    /// The URL of the first page of the list.
    pub fn start(&self) -> String {
        self.with(&[])
    }

    /// The URL of the first page of the list, with some fields changed.
    pub fn with(&self, changed: &[(&str, &str)]) -> String {
        format!("{}{}", self.path, self.query(changed))
    }

    /// The URL of the first page of the list, with one field changed.
    pub fn having(&self, field: &str, value: &str) -> String {
        self.with(&[(field, value)])
    }

    /// The URL of the list as a file with this extension.
    pub fn file(&self, ending: &str) -> String {
        format!("{}.{ending}{}", self.path, self.query(&[]))
    }

    /// The host in the field `host`; `None` for all hosts.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such host.
    pub fn host(&self, shell: &Shell) -> Result<Option<HostId>> {
        match self.past_host() {
            Some(id) if !shell.has_host(&id) => Err(Error::NotFound {
                what: "host",
                name: shorten(id.as_str()),
                near: suggest(id.as_str(), shell.hosts.iter().map(|(known, _)| known.as_str())),
            }),
            host => Ok(host),
        }
    }

    /// The host in the field `host`, which may be deleted since: runs and the audit log keep its id.
    pub fn past_host(&self) -> Option<HostId> {
        self.text("host").map(HostId)
    }

    /// The label of the host in the field `host` where it is deleted.
    pub fn deleted_host(&self, shell: &Shell) -> Option<String> {
        let id = self.past_host().filter(|id| !shell.has_host(id))?;
        Some(format!("{}, not there now", shown_name(id.as_str())))
    }

    /// The group in the field `group`; `None` for all groups.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such group.
    pub fn group(&self, shell: &Shell) -> Result<Option<InGroup>> {
        match self.past_group(shell) {
            Some(group) if shell.group(group.id.as_str()).is_none() => Err(Error::NotFound {
                what: "group",
                name: shorten(group.id.as_str()),
                near: suggest(group.id.as_str(), shell.groups().iter().map(|known| known.id.as_str())),
            }),
            group => Ok(group),
        }
    }

    /// The group in the field `group`, which may be deleted since: its runs and the audit log keep its id.
    pub fn past_group(&self, shell: &Shell) -> Option<InGroup> {
        let memberships = shell.book.as_ref().map(|book| Arc::clone(book.rules.groups()));
        Some(InGroup::new(GroupId(self.text("group")?), memberships.unwrap_or_default()))
    }

    /// The label of the group in the field `group` where there is none.
    pub fn deleted_group(&self, shell: &Shell) -> Option<String> {
        let id = self.text("group").filter(|id| shell.group(id).is_none())?;
        Some(format!("{}, not there now", shown_name(&id)))
    }

    /// The host and the group that the page is about.
    ///
    /// # Errors
    /// As [`ListQuery::host`] and [`ListQuery::group`].
    pub fn area(&self, shell: &Shell) -> Result<Area> {
        Ok(Area { host: self.host(shell)?, group: self.group(shell)? })
    }

    /// The requested page of the list, by the cursor.
    pub fn page(&self) -> Result<Page> {
        Page::parse(None, Some(self.get("cursor")))
    }

    /// Whether this is the first page, which begins with the newest row.
    pub fn is_first(&self) -> bool {
        self.get("cursor").is_empty()
    }

    /// The time range from the start of the day in `from` to the end of the day in `to`, in the reader's time zone.
    /// Invalid days are added to the errors.
    pub fn days(&mut self, now: &Now) -> (Option<Timestamp>, Option<Timestamp>) {
        let (from, to) = (self.day("from", now, false), self.day("to", now, true));
        if from.is_some_and(|from| to.is_some_and(|to| to <= from)) {
            self.errors.push(FieldError::new("to", "use the first day or a later one"));
        }
        (from, to)
    }

    /// The instant at which the day in a field begins, or ends if `over` is true.
    fn day(&mut self, field: &str, now: &Now, over: bool) -> Option<Timestamp> {
        let text = self.typed.filled(field)?.trim();
        let instant = text.parse::<Date>().ok().and_then(|day| {
            let day = if over { day.tomorrow().ok()? } else { day };
            time::resolve(day.to_datetime(Time::midnight()), &now.zone)
        });
        if instant.is_none() {
            self.errors.push(FieldError::new(field, "use a day such as 2026-11-25"));
        }
        instant
    }

    /// The active filters in words, each with its field: the value after the prefix that `words` names for the field.
    pub fn narrowed<'a>(&self, words: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        let words = words.iter().filter_map(|(field, before)| {
            Some((*field, format!("{before}{}", shown_name(self.typed.filled(field)?))))
        });
        words.collect()
    }

    /// The query itself if it has no errors, else [`Error::Invalid`]; for responses without a form that could show
    /// errors.
    pub fn checked(self) -> Result<Self> {
        if self.errors.is_empty() { Ok(self) } else { Err(Error::Invalid(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_changes_field_by_field() {
        let typed = Typed::of([("to", "2026-11-27"), ("state", "failed"), ("cursor", "abc"), ("q", "a&b")]);
        let mut list = ListQuery::new("/runs", &["state", "q", "to"], typed);
        assert_eq!(list.start(), "/runs?state=failed&q=a%26b&to=2026-11-27", "the cursor is no part of it");
        assert_eq!(list.with(&[("q", ""), ("cursor", "def")]), "/runs?state=failed&to=2026-11-27&cursor=def");
        assert_eq!(list.file("csv"), "/runs.csv?state=failed&q=a%26b&to=2026-11-27");
        assert_eq!(ListQuery::new("/runs", &["state"], Typed::default()).start(), "/runs");
        let (from, to) = list.days(&Now::sample());
        assert_eq!((from, to.map(|at| at.to_string()).as_deref()), (None, Some("2026-11-27T23:00:00Z")));
        assert!(!list.is_first() && list.errors.is_empty());
    }

    #[test]
    fn invalid_days_and_days_in_the_wrong_order_have_different_errors() {
        let days = |from: &str, to: &str| {
            let typed = Typed::of([("from", from), ("to", to)]);
            let mut list = ListQuery::new("/runs", &["from", "to"], typed);
            list.days(&Now::sample());
            list.errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(days("2026-11-27", "2026-11-27"), [""; 0]);
        assert_eq!(days("2026-11-28", "2026-11-27"), ["to"]);
        assert_eq!(days("soon", "2026-02-30"), ["from", "to"]);
    }
}
