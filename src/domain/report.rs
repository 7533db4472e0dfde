//! The weekly report: how long stacks and containers napped, and how much memory, CPU, energy and money that saved.
//!
//! [`account`] sums naps per stack or container and has no side effects. A stack is asleep while any of its containers
//! is, so its hours are the union of their naps; memory and CPU are summed over containers.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::nap::{NapKind, Sleep};
use super::target::{ContainerIdentity, Target};
use super::time::resolve;

const MS_PER_HOUR: f64 = 3_600_000.0;
const BYTES_PER_GIB: f64 = 1_073_741_824.0;

/// A week, identified by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week(Date);

impl Week {
    /// The week that contains an instant in a zone, if weeks begin on weekday `first`.
    pub fn holding(at: Timestamp, zone: &TimeZone, first: Weekday) -> Self {
        let day = at.to_zoned(zone.clone()).date();
        let past = day.weekday().since(first);
        Self(day.checked_sub(i64::from(past).days()).unwrap_or(day))
    }

    /// Parses an ISO week such as `2026-W48`; `None` if the text is invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, week) = text.trim().split_once("-W").or_else(|| text.trim().split_once("-w"))?;
        let is =
            |text: &str, digits| text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
        if !is(year, 4) || !is(week, 2) {
            return None;
        }
        let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
        Some(Self(week.date()))
    }

    /// The ISO week that contains most of this week, as text such as `2026-W48`.
    pub fn text(self) -> String {
        let middle = self.0.checked_add(3.days()).unwrap_or(self.0).iso_week_date();
        format!("{:04}-W{:02}", middle.year(), middle.week())
    }

    /// The number of that ISO week, such as 48.
    pub fn number(self) -> i8 {
        self.0.checked_add(3.days()).unwrap_or(self.0).iso_week_date().week()
    }

    /// The corresponding week if weeks begin on weekday `first`.
    #[must_use]
    pub fn beginning(self, first: Weekday) -> Self {
        let middle = self.0.checked_add(3.days()).unwrap_or(self.0);
        let past = middle.weekday().since(first);
        Self(middle.checked_sub(i64::from(past).days()).unwrap_or(self.0))
    }

    pub fn first_day(self) -> Date {
        self.0
    }

    pub fn last_day(self) -> Date {
        self.0.checked_add(6.days()).unwrap_or(self.0)
    }

    /// The week that is `weeks` weeks later; earlier if the number is negative.
    #[must_use]
    pub fn later(self, weeks: i64) -> Self {
        Self(self.0.checked_add(weeks.weeks()).unwrap_or(self.0))
    }

    /// The first instant of the week and of the next week in a zone. A week with a clock change has 167 or 169 hours in
    /// most zones.
    pub fn span(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let start = |day: Date| resolve(day.at(0, 0, 0, 0), zone).unwrap_or(Timestamp::MAX);
        (start(self.0), start(self.later(1).0))
    }
}

/// The sums of one stack or container. The products are kept in their original units, so that rounding happens only
/// once, at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// The milliseconds asleep; for a stack, those in which any of its containers was asleep.
    pub asleep_ms: i64,
    /// The milliseconds asleep, summed over containers.
    pub container_ms: i64,
    /// The number of naps, each of one container.
    pub naps: u64,
    /// The number of naps by pause, which free no memory.
    pub pauses: u64,
    /// The number of naps by stop with a memory measurement from before the nap.
    pub sampled: u64,
    /// The memory freed, in bytes times milliseconds, of the naps with a measurement.
    pub memory: u128,
    /// The CPU freed, in thousandths of a core times milliseconds, of the naps with a measurement.
    pub cpu: u128,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.asleep_ms += other.asleep_ms;
        self.container_ms += other.container_ms;
        self.naps += other.naps;
        self.pauses += other.pauses;
        self.sampled += other.sampled;
        self.memory += other.memory;
        self.cpu += other.cpu;
    }
}

impl Amount {
    /// The hours asleep.
    #[expect(clippy::cast_precision_loss, reason = "a share of a second is of no interest here")]
    pub fn hours(&self) -> f64 {
        self.asleep_ms as f64 / MS_PER_HOUR
    }

    /// The memory freed, in GiB times hours; `None` if nothing was measured.
    #[expect(clippy::cast_precision_loss, reason = "a few bytes are of no interest here")]
    pub fn gib_hours(&self) -> Option<f64> {
        // A pause frees no memory, so naps by pause alone need no measurement.
        (self.sampled > 0 || (self.naps > 0 && self.naps == self.pauses))
            .then(|| self.memory as f64 / BYTES_PER_GIB / MS_PER_HOUR)
    }

    /// The CPU freed, in cores times hours; `None` if nothing was measured.
    #[expect(clippy::cast_precision_loss, reason = "a few cycles are of no interest here")]
    pub fn core_hours(&self) -> Option<f64> {
        (self.sampled > 0).then(|| self.cpu as f64 / 1000.0 / MS_PER_HOUR)
    }

    /// The number of naps by stop, which should all have a measurement.
    pub fn stops(&self) -> u64 {
        self.naps - self.pauses
    }
}

/// Sums the naps in [`from`, `until`) for each stack, or for each container without a stack. An open nap lasts until
/// `now`. A nap that extends beyond the range is cut, so that the sums of adjacent ranges add up.
pub fn account(
    sleeps: &[Sleep],
    (from, until): (Timestamp, Timestamp),
    now: Timestamp,
) -> BTreeMap<Target, Amount> {
    let mut amounts: BTreeMap<Target, Amount> = BTreeMap::new();
    let mut spans: BTreeMap<Target, Vec<(i64, i64)>> = BTreeMap::new();
    for sleep in sleeps {
        let start = sleep.from.max(from).as_millisecond();
        let end = sleep.until.unwrap_or(now).min(now).min(until).as_millisecond();
        let Some(ms) = end.checked_sub(start).filter(|ms| *ms > 0) else { continue };
        let owner = owner(sleep);
        spans.entry(owner.clone()).or_default().push((start, end));
        let times = |used: Option<i64>| {
            u128::try_from(used.unwrap_or(0)).unwrap_or(0) * u128::try_from(ms).unwrap_or(0)
        };
        let stopped = sleep.kind == NapKind::Stop;
        *amounts.entry(owner).or_default() += Amount {
            asleep_ms: 0,
            container_ms: ms,
            naps: 1,
            pauses: u64::from(!stopped),
            sampled: u64::from(stopped && sleep.sample.memory_bytes.is_some()),
            memory: if stopped { times(sleep.sample.memory_bytes) } else { 0 },
            cpu: times(sleep.sample.cpu_millicores),
        };
    }
    for (owner, spans) in spans {
        amounts.entry(owner).or_default().asleep_ms = union(spans);
    }
    amounts
}

/// The target to which a nap is counted: the stack or, without a stack, the container.
pub fn owner(sleep: &Sleep) -> Target {
    match &sleep.identity {
        ContainerIdentity::Service { project, .. } => Target::stack(sleep.host.clone(), project.clone()),
        ContainerIdentity::Name(_) => Target::container(sleep.host.clone(), sleep.identity.clone()),
    }
}

/// The total time that the ranges cover, where overlaps count once.
fn union(mut spans: Vec<(i64, i64)>) -> i64 {
    spans.sort_unstable();
    let mut covered = 0;
    let mut reached = i64::MIN;
    for (start, end) in spans {
        covered += (end - start.max(reached)).max(0);
        reached = reached.max(end);
    }
    covered
}

/// The settings for energy and cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// The power of one core at full load, in watts.
    pub watts_per_core: Option<f64>,
    /// The power of one GiB of memory in use, in watts.
    pub watts_per_gib: Option<f64>,
    /// The price of one kWh.
    pub price_per_kwh: Option<f64>,
    /// The currency of the price.
    pub currency: String,
}

impl Prices {
    /// The energy saved, in kWh; `None` if no power is set or nothing was measured.
    pub fn kwh(&self, amount: &Amount) -> Option<f64> {
        let of = |watts: Option<f64>, hours: Option<f64>| Some(watts? * hours? / 1000.0);
        let (cpu, memory) =
            (of(self.watts_per_core, amount.core_hours()), of(self.watts_per_gib, amount.gib_hours()));
        cpu.into_iter().chain(memory).reduce(|a, b| a + b)
    }

    /// The cost of that energy; `None` if the energy is unknown or no price is set.
    pub fn money(&self, amount: &Amount) -> Option<f64> {
        Some(self.kwh(amount)? * self.price_per_kwh?)
    }

    /// Whether a power is set, without which the energy is unknown.
    pub fn has_watts(&self) -> bool {
        self.watts_per_core.is_some() || self.watts_per_gib.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{HostId, RunId};
    use crate::domain::nap::Sample;
    use crate::domain::time::zone;

    const HOUR: i64 = 3_600_000;
    const GIB: i64 = 1 << 30;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("an instant")
    }

    fn sleep(stack: &str, service: &str, from: i64, until: Option<i64>) -> Sleep {
        Sleep {
            host: HostId::local(),
            identity: ContainerIdentity::Service {
                project: stack.to_owned(),
                service: service.to_owned(),
                number: 1,
            },
            kind: NapKind::Stop,
            run_id: RunId::from("r"),
            from: at(from),
            until: until.map(at),
            sample: Sample { memory_bytes: Some(GIB), cpu_millicores: Some(500) },
        }
    }

    fn amount_of(amounts: &BTreeMap<Target, Amount>, stack: &str) -> Amount {
        amounts.get(&Target::stack(HostId::local(), stack)).copied().unwrap_or_default()
    }

    #[test]
    fn a_stack_sleeps_while_any_of_its_containers_does() {
        let sleeps = [
            sleep("media", "web", 0, Some(4 * HOUR)),
            sleep("media", "db", 2 * HOUR, Some(6 * HOUR)),
            sleep("media", "jobs", 8 * HOUR, None),
            sleep("shop", "web", 0, Some(HOUR)),
        ];
        let amounts = account(&sleeps, (at(0), at(100 * HOUR)), at(10 * HOUR));
        let media = amount_of(&amounts, "media");
        assert_eq!((media.asleep_ms, media.container_ms), (8 * HOUR, 10 * HOUR));
        assert_eq!((media.naps, media.stops(), media.sampled), (3, 3, 3));
        assert_eq!((media.gib_hours(), media.core_hours()), (Some(10.0), Some(5.0)));
        assert_eq!(amount_of(&amounts, "shop").asleep_ms, HOUR);
    }

    #[test]
    fn values_that_were_not_measured_are_not_invented() {
        let unseen = Sleep { sample: Sample::default(), ..sleep("media", "web", 0, Some(HOUR)) };
        let paused = Sleep { kind: NapKind::Pause, ..unseen.clone() };
        let span = (at(0), at(10 * HOUR));
        let only = amount_of(&account(std::slice::from_ref(&unseen), span, at(HOUR)), "media");
        assert_eq!((only.gib_hours(), only.core_hours(), only.sampled, only.stops()), (None, None, 0, 1));
        let both = [unseen, sleep("media", "db", 0, Some(HOUR))];
        let some = amount_of(&account(&both, span, at(HOUR)), "media");
        assert_eq!((some.gib_hours(), some.sampled, some.stops()), (Some(1.0), 1, 2));
        let frozen = amount_of(&account(&[paused], span, at(HOUR)), "media");
        assert_eq!((frozen.gib_hours(), frozen.core_hours(), frozen.stops()), (Some(0.0), None, 0));
    }

    #[test]
    fn a_container_without_a_stack_stands_for_itself() {
        let loose = ContainerIdentity::Name("pihole".to_owned());
        let alone = Sleep { identity: loose.clone(), ..sleep("", "", 0, Some(HOUR)) };
        let amounts = account(&[alone], (at(0), at(HOUR)), at(HOUR));
        assert_eq!(amounts.keys().collect::<Vec<_>>(), [&Target::container(HostId::local(), loose)]);
    }

    #[test]
    fn weeks_are_named_as_calendars_do() {
        for (text, first) in
            [("2026-W48", "2026-11-23"), ("2026-W53", "2026-12-28"), ("2025-W01", "2024-12-30")]
        {
            let week = Week::parse(text).expect(text);
            assert_eq!((week.text().as_str(), week.first_day().to_string().as_str()), (text, first));
        }
        for text in ["", "2026", "2026-W54", "2026-W00", "2025-W53", "26-W1", "2026-W1", "2026-W+1", "x-W01"]
        {
            assert_eq!(Week::parse(text), None, "{text}");
        }
        let week = Week::parse("2026-W48").expect("a week");
        let sunday = week.beginning(Weekday::Sunday);
        assert_eq!(
            (sunday.text().as_str(), sunday.first_day().to_string().as_str()),
            ("2026-W48", "2026-11-22")
        );
        assert_eq!(
            (week.later(-1).text().as_str(), week.last_day().to_string().as_str()),
            ("2026-W47", "2026-11-29")
        );
    }

    #[test]
    fn a_week_in_which_the_clock_changes_is_an_hour_longer_or_shorter() {
        let berlin = zone("Europe/Berlin").expect("a zone");
        let hours = |text| {
            let (from, until) = Week::parse(text).expect("a week").span(&berlin);
            until.duration_since(from).as_hours()
        };
        assert_eq!([hours("2026-W13"), hours("2026-W43"), hours("2026-W48")], [167, 169, 168]);
        // A nap over the whole week has the real number of hours.
        let (from, until) = Week::parse("2026-W43").expect("a week").span(&berlin);
        let all = sleep("media", "web", from.as_millisecond() - HOUR, None);
        let amount =
            amount_of(&account(&[all], (from, until), until + std::time::Duration::from_secs(99)), "media");
        assert_eq!(amount.asleep_ms, 169 * HOUR);
    }

    #[test]
    fn energy_is_computed_only_from_known_values() {
        let amount = amount_of(
            &account(&[sleep("m", "w", 0, Some(10 * HOUR))], (at(0), at(10 * HOUR)), at(10 * HOUR)),
            "m",
        );
        let prices = Prices {
            watts_per_core: Some(10.0),
            watts_per_gib: None,
            price_per_kwh: None,
            ..Prices::default()
        };
        assert_eq!((prices.kwh(&amount), prices.money(&amount)), (Some(0.05), None));
        let prices = Prices { watts_per_gib: Some(5.0), price_per_kwh: Some(2.0), ..prices };
        assert_eq!((prices.kwh(&amount), prices.money(&amount)), (Some(0.1), Some(0.2)));
        assert_eq!(Prices::default().kwh(&amount), None);
        assert_eq!(prices.kwh(&Amount::default()), None);
    }

    fn stays() -> impl Strategy<Value = Vec<Sleep>> {
        let stay =
            (0..3_usize, 0..3_usize, 0..2000_i64, prop::option::weighted(0.9, 0..600_i64), any::<bool>());
        prop::collection::vec(stay, 0..20).prop_map(|stays| {
            let names = ["a", "b", "c"];
            let make = |(stack, service, from, long, seen): (usize, usize, i64, Option<i64>, bool)| {
                let minutes = 60_000;
                let made = sleep(
                    names[stack],
                    names[service],
                    from * minutes,
                    long.map(|long| (from + long) * minutes),
                );
                if seen { made } else { Sleep { sample: Sample::default(), ..made } }
            };
            stays.into_iter().map(make).collect()
        })
    }

    proptest! {
        #[test]
        fn weeks_add_up_to_the_whole(stays in stays(), border in 0..2600_i64, now in 0..3000_i64) {
            let (end, border, now) = (at(2600 * 60_000), at(border * 60_000), at(now * 60_000));
            let whole = account(&stays, (at(0), end), now);
            let mut parts = account(&stays, (at(0), border), now);
            for (target, amount) in account(&stays, (border, end), now) {
                *parts.entry(target).or_default() += amount;
            }
            for (target, whole) in &whole {
                let part = parts.get(target).copied().unwrap_or_default();
                prop_assert_eq!(
                    (whole.asleep_ms, whole.container_ms, whole.memory, whole.cpu),
                    (part.asleep_ms, part.container_ms, part.memory, part.cpu)
                );
                prop_assert!(part.naps >= whole.naps);
            }
            prop_assert_eq!(whole.len(), parts.len());
        }

        #[test]
        fn a_stack_sleeps_as_long_as_a_clock_would_count(stays in stays(), now in 0..3000_i64) {
            let (span, now) = ((at(300 * 60_000), at(1900 * 60_000)), at(now * 60_000));
            let amounts = account(&stays, span, now);
            for name in ["a", "b", "c"] {
                let owner = Target::stack(HostId::local(), name);
                // Count the minutes one by one.
                let counted = (300..1900_i64)
                    .map(|minute| at(minute * 60_000))
                    .filter(|minute| *minute < now)
                    .filter(|minute| {
                        let asleep = |one: &Sleep| one.from <= *minute && one.until.is_none_or(|until| *minute < until);
                        stays.iter().any(|one| super::owner(one) == owner && asleep(one))
                    })
                    .count();
                let amount = amount_of(&amounts, name);
                prop_assert_eq!(amount.asleep_ms, i64::try_from(counted).unwrap_or(0) * 60_000);
                prop_assert!(amount.container_ms >= amount.asleep_ms);
                prop_assert!(amount.sampled <= amount.stops());
            }
        }
    }
}
