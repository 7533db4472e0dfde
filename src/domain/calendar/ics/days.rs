//! The days that the events of a file fall on.

use std::collections::{BTreeMap, BTreeSet};

use ical::recur::expand::IcalRecurExpand;
use ical::recur::{IcalRecurDateTime, IcalRecurFreq, IcalRecurRule};
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, ToSpan};

use super::property::{civil, recur};
use super::{DAY, Event, Expansion, Ics, IcsError, Moment, Refusal, Rule};
use crate::domain::calendar::MAX_DATES;

/// What one expansion may cost, in days looked at times parts of the rule to compare with: some tenths of a second. A
/// holiday that repeats every year costs some 2,500 of it, so there is room for a thousand of them.
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

/// The events that stand in for occurrences of another.
#[derive(Default)]
struct Others<'a> {
    /// For these of its days.
    on: BTreeSet<Date>,
    /// From these on.
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

/// The days found so far, and what finding more may cost.
struct Days {
    first: Date,
    last: Date,
    budget: i64,
    out: Expansion,
}

impl Days {
    /// Whether there is as much left; says so where not.
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
        // Looked for before anything is added: an event is left out as a whole.
        let mut fall = |rules: &[Rule]| -> Option<Vec<DateTime>> {
            let mut all = Vec::new();
            for rule in rules {
                let falls = self.bounded(event, rule, start, length)?;
                all.extend(falls.map_while(civil));
            }
            Some(all)
        };
        let (Some(unless), Some(falls)) = (fall(&event.exceptions), fall(&event.rules)) else { return };
        removed.extend(unless.into_iter().map(DateTime::date));
        let added = event.added.iter().map(|moment| event.on_clock(moment, start));
        for at in std::iter::once(start.at).chain(added).chain(falls) {
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

    /// Adds an occurrence that goes by what `later` says of one before it and all that follow.
    fn add_later(&mut self, event: &Event, start: &Moment, at: DateTime, later: &Event) {
        // A series of its own takes the place of the rest.
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
        let shown = |at: DateTime| event.shown(&Moment { at, ..start.clone() });
        let end = at.checked_add(SignedDuration::from_secs((length - 1).max(0)));
        let last = end.map_or(Date::MAX, |end| shown(end).date()).min(self.last);
        let mut date = shown(at).date().max(self.first);
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

    /// The occurrences of a rule that can touch the days wanted; `None` where looking for them costs too much.
    fn bounded(
        &mut self,
        event: &Event,
        rule: &Rule,
        start: &Moment,
        length: i64,
    ) -> Option<impl Iterator<Item = IcalRecurDateTime> + use<>> {
        let Rule { mut rule, until } = rule.clone();
        let end = recur(self.last.at(23, 59, 59, 0));
        rule.until = Some(until.map_or(end, |until| recur(event.last(&until, start)).min(end)));
        // What began before the first day and lasts into it counts too.
        let reach = self.first.at(0, 0, 0, 0).checked_sub(length.seconds()).map_or(Date::MIN, DateTime::date);
        // Counting begins at the start, however long ago that was.
        let from = if rule.count.is_some() { recur(start.at) } else { closer(&rule, start.at, reach) };
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
        // A period of its own for every day costs more than a day of a long one.
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

/// A start from which the rule falls on the same days from `reach` on: as many whole intervals later as fit. A day that
/// its month lacks stays as it is, since a start lends its day to the rule.
pub(super) fn closer(rule: &IcalRecurRule, start: DateTime, reach: Date) -> IcalRecurDateTime {
    let interval = i64::from(rule.interval);
    let whole = |distance: i64| distance.max(0) / interval * interval;
    // A month or a year begins before the day in it: one interval less.
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
