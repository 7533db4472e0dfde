//! Expands the events of a calendar file to days: recurrence rules, exceptions, and events that replace occurrences of
//! others. The cost of one expansion is limited by [`BUDGET`].

use std::collections::{BTreeMap, BTreeSet};

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq, IcalRecurRule};
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, ToSpan};

use super::property::{civil, recur};
use super::{DAY, Event, Expansion, Ics, IcsError, Moment, Refusal, Rule};
use crate::domain::calendar::MAX_DATES;

/// The maximum cost of one expansion: the number of days to search times the parts of the rule to compare with. The
/// limit corresponds to some tenths of a second. A yearly holiday costs about 2,500, so the budget allows a thousand of
/// them.
const BUDGET: i64 = 3_000_000;

impl Ics {
    /// The days of every event from `first` to `last`.
    pub fn days(&self, (first, last): (Date, Date)) -> Expansion {
        let mut instead: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.instead_of.is_some() && !event.uid.is_empty()) {
            instead.entry(&event.uid).or_default().push(event);
        }
        let out = Expansion { left: self.left.clone(), ..Expansion::default() };
        let mut found = Days { first, last, budget: BUDGET, out };
        for event in self.events.iter().filter(|event| !event.cancelled) {
            let others = instead.get(event.uid.as_str()).filter(|_| event.instead_of.is_none());
            let others = others.map_or(&[][..], Vec::as_slice);
            if !found.spend(1 + i64::try_from(others.len()).unwrap_or(i64::MAX)) {
                break;
            }
            found.add_event(event, &Others::of(event, others));
        }
        found.out.left.told.sort_by_key(IcsError::line);
        found.out
    }
}

/// The events that replace occurrences of another event.
#[derive(Default)]
struct Others<'a> {
    /// The days of the replaced occurrences.
    on: BTreeSet<Date>,
    /// The events that replace all occurrences from a day on, by that day.
    from: BTreeMap<Date, &'a Event>,
}

impl<'a> Others<'a> {
    fn of(event: &Event, others: &[&'a Event]) -> Self {
        let mut all = Self::default();
        let Some(start) = &event.start else { return all };
        for other in others {
            let Some(original) = &other.instead_of else { continue };
            let date = event.on_clock(original, start).date();
            all.on.insert(date);
            if other.and_future {
                all.from.insert(date, other);
            }
        }
        all
    }
}

/// The state of an expansion from `first` to `last`.
struct Days {
    first: Date,
    last: Date,
    /// The remaining cost.
    budget: i64,
    out: Expansion,
}

impl Days {
    /// Subtracts a cost from the budget. Returns `false` and sets the refusal if the budget does not suffice.
    fn spend(&mut self, cost: i64) -> bool {
        self.budget = self.budget.saturating_sub(cost);
        if self.budget < 0 {
            self.out.refusal.get_or_insert(Refusal::TooCostly);
        }
        self.out.refusal.is_none()
    }

    fn add_event(&mut self, event: &Event, others: &Others<'_>) {
        let Some(start) = &event.start else { return };
        let length = event.length(start);
        let day_of = |moment: &Moment| event.on_clock(moment, start).date();
        let mut removed = BTreeSet::from_iter(event.removed.iter().map(day_of));
        // Find all occurrences before adding any, so that an event is either added or left out as a whole.
        let mut expand = |rules: &[Rule]| -> Option<Vec<DateTime>> {
            let mut all = Vec::new();
            for rule in rules {
                let occurrences = self.occurrences(event, rule, start, length)?;
                all.extend(occurrences.map_while(civil));
            }
            Some(all)
        };
        let (Some(excluded), Some(occurrences)) = (expand(&event.exceptions), expand(&event.rules)) else {
            return;
        };
        removed.extend(excluded.into_iter().map(DateTime::date));
        let added = event.added.iter().map(|moment| event.on_clock(moment, start));
        for at in std::iter::once(start.at).chain(added).chain(occurrences) {
            let date = at.date();
            if removed.contains(&date) || others.on.contains(&date) {
                continue;
            }
            match others.from.range(..=date).next_back() {
                Some((_, later)) => self.add_later(event, start, at, later),
                None => self.add(event, start, at, length),
            }
            if self.out.refusal.is_some() {
                return;
            }
        }
    }

    /// Adds an occurrence at `at` that `later` replaces with `THISANDFUTURE`: moved by as much as `later` moves its own
    /// occurrence, and with the duration of `later`.
    fn add_later(&mut self, event: &Event, start: &Moment, at: DateTime, later: &Event) {
        // If `later` is a series of its own, its occurrences are added with that event.
        if later.cancelled || !later.rules.is_empty() || !later.added.is_empty() {
            return;
        }
        if let (Some(new), Some(old)) = (&later.start, &later.instead_of) {
            let moved = event.on_clock(new, start).duration_since(event.on_clock(old, start));
            self.add(later, start, at.saturating_add(moved), later.length(new));
        }
    }

    /// Adds the days of one occurrence.
    fn add(&mut self, event: &Event, start: &Moment, at: DateTime, length: i64) {
        let local = |at: DateTime| event.on_home_clock(&Moment { at, ..start.clone() });
        let end = at.checked_add(SignedDuration::from_secs((length - 1).max(0)));
        let last = end.map_or(Date::MAX, |end| local(end).date()).min(self.last);
        let mut date = local(at).date().max(self.first);
        while date <= last && self.spend(1) {
            self.out.days.entry(date).or_insert_with(|| event.summary.clone());
            if self.out.days.len() > MAX_DATES {
                self.out.days.pop_last();
                self.out.refusal = Some(Refusal::TooMany);
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
    }

    /// The occurrences of a rule that can overlap the days from `first` to `last`; `None` if finding them costs too
    /// much.
    fn occurrences(
        &mut self,
        event: &Event,
        rule: &Rule,
        start: &Moment,
        length: i64,
    ) -> Option<impl Iterator<Item = IcalRecurDateTime> + use<>> {
        let Rule { mut rule, until } = rule.clone();
        let end = recur(self.last.at(23, 59, 59, 0));
        rule.until = Some(until.map_or(end, |until| recur(event.last(&until, start)).min(end)));
        // An occurrence that starts before the first day can last into it.
        let reach = self.first.at(0, 0, 0, 0).checked_sub(length.seconds()).map_or(Date::MIN, DateTime::date);
        // A rule with a count must be expanded from its start.
        let from = if rule.count.is_some() { recur(start.at) } else { later_start(&rule, start.at, reach) };
        let days = (end.seconds() - from.seconds()).max(0) / DAY + 1;
        let parts = [
            rule.by_month.len(),
            rule.by_month_day.len(),
            rule.by_week_no.len(),
            rule.by_year_day.len(),
            rule.by_day.len(),
            rule.by_set_pos.len(),
            rule.by_hour.len().max(1) * rule.by_minute.len().max(1) * rule.by_second.len().max(1),
        ];
        let parts = i64::try_from(parts.iter().sum::<usize>()).unwrap_or(i64::MAX);
        // For a daily rule every day is a period of its own, which costs more per day than long periods.
        let periods = if rule.freq == IcalRecurFreq::Daily { 3 } else { 0 };
        let cost = days.saturating_mul(parts.saturating_add(periods));
        if cost > BUDGET {
            self.out.left.add(IcsError::TooLong(event.line));
            return None;
        }
        let reach = recur(reach.at(0, 0, 0, 0));
        self.spend(cost).then(|| IcalRecurExpand::new(rule, from).skip_while(move |at| *at < reach))
    }
}

/// A later start from which the rule has the same occurrences from `reach` on: `start` moved by as many whole intervals
/// as fit. The day of the month stays the same even if the month does not have that day, because the rule takes the day
/// from its start.
pub(super) fn later_start(rule: &IcalRecurRule, start: DateTime, reach: Date) -> IcalRecurDateTime {
    let interval = i64::from(rule.interval);
    let whole = |distance: i64| distance.max(0) / interval * interval;
    // For months and years, one interval less, because the occurrence can be before `reach` in its month or
    // year.
    let part = |distance: i64| whole(distance - interval);
    let years = i64::from(reach.year()) - i64::from(start.year());
    let months = years * 12 + i64::from(reach.month()) - i64::from(start.month());
    let at = recur(start);
    match rule.freq {
        IcalRecurFreq::Monthly => {
            let month = i64::from(start.year()) * 12 + i64::from(start.month()) - 1 + part(months);
            let year = i32::try_from(month.div_euclid(12)).unwrap_or(at.year);
            let month = u8::try_from(month.rem_euclid(12) + 1).unwrap_or(at.month);
            IcalRecurDateTime { year, month, ..at }
        }
        IcalRecurFreq::Yearly => {
            let year = i32::try_from(i64::from(start.year()) + part(years)).unwrap_or(at.year);
            IcalRecurDateTime { year, ..at }
        }
        freq => {
            let period = if freq == IcalRecurFreq::Weekly { 7 } else { 1 };
            let days = reach.since(start.date()).map_or(0, |span| i64::from(span.get_days()));
            let skipped = days.max(0) / (interval * period) * (interval * period);
            IcalRecurDateTime::from_seconds(at.seconds() + skipped * DAY)
        }
    }
}
