//! The sleep report: how long each target slept per week, and how much memory, CPU and energy that saved. The database
//! stores every sleep with its start and end.
//!
//! A run that puts containers to sleep starts their sleeps (`execute::run`), and a run that wakes them ends the sleeps.
//! Containers that are woken, removed or re-created without DockNap are found here: after each Docker event, the open
//! sleeps are compared with the inventory.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::{Actor, App, Result, settings, targets};
use crate::db;
use crate::docker::Host;
use crate::domain::group::Area;
use crate::domain::ids::HostId;
use crate::domain::nap::Sleep;
use crate::domain::permission::Permission;
use crate::domain::report::{self, Amount, Prices, Week};
use crate::domain::target::{Subject, Target};
use crate::domain::text::chain;

/// First and longest wait before a retry after an error.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Ends the sleeps of containers that are awake, each time [`App`]'s `sleeps` is woken. Never returns.
pub async fn keep(app: App) {
    let mut wait = BACK_OFF.0;
    loop {
        app.sleeps.woken().await;
        while let Err(error) = settle(&app).await {
            tracing::error!(error = %chain(&error), "what is awake again cannot be stored; trying again");
            app.clock.sleep(wait).await;
            wait = (wait * 2).min(BACK_OFF.1);
        }
        wait = BACK_OFF.0;
    }
}

/// Ends the open sleeps of containers that are awake, on every connected host, and returns their number.
pub async fn settle(app: &App) -> Result<usize> {
    let mut ended = 0;
    for host in app.hosts.all() {
        ended += settle_host(app, &host).await?;
    }
    Ok(ended)
}

async fn settle_host(app: &App, host: &Host) -> Result<usize> {
    // Read before the inventory, so that a container that falls asleep in between is not in this list.
    let open = db::sleeps::open(&app.db, host.id()).await?;
    let inventory = host.inventory();
    if open.is_empty() || !inventory.is_connected() {
        return Ok(0);
    }
    let now = app.clock.now();
    let awake: Vec<_> = open
        .iter()
        .filter_map(|sleep| {
            let ended = sleep.ended(&inventory, now, |at| host.by_us(at), |at| host.by_engine(at));
            Some((sleep, ended?))
        })
        .collect();
    if awake.is_empty() {
        return Ok(0);
    }
    let mut tx = app.db.begin().await?;
    for (sleep, at) in &awake {
        // Only this sleep is ended: a run may have started another one since.
        db::sleeps::end_stay(&mut tx, sleep, *at).await?;
    }
    tx.commit().await?;
    Ok(awake.len())
}

/// Time napped this week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Napped {
    /// Total seconds of all stacks and of containers without a stack.
    pub total_seconds: i64,
    /// Seconds of each target, longest first.
    pub each: Vec<(Target, i64)>,
}

impl Napped {
    /// Seconds of one target; 0 where it did not nap.
    pub fn of(&self, target: &Target) -> i64 {
        self.each.iter().find(|(one, _)| one == target).map_or(0, |(_, seconds)| *seconds)
    }
}

/// The time each target napped this week, until now. `first` is the first day of the
/// week.
pub async fn week(app: &App, actor: &Actor, area: &Area, zone: &TimeZone, first: Weekday) -> Result<Napped> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let span = Week::holding(now, zone, first).span(zone);
    let sleeps = sleeps(app, area, span).await?;
    let mut each: Vec<(Target, i64)> = report::account(&sleeps, span, now)
        .into_iter()
        .map(|(target, amount)| (target, amount.asleep_ms / 1000))
        .collect();
    each.sort_by_key(|(_, seconds)| std::cmp::Reverse(*seconds));
    Ok(Napped { total_seconds: each.iter().map(|(_, seconds)| seconds).sum(), each })
}

/// A row of the report: a stack, or a container without a stack.
#[derive(Clone, Debug)]
pub struct Row {
    pub target: Target,
    pub name: String,
    /// The target's key; `None` where it no longer exists.
    pub key: Option<String>,
    /// Time asleep and savings.
    pub amount: Amount,
}

/// The report of one week.
#[derive(Clone, Debug)]
pub struct Report {
    pub week: Week,
    /// First instant of the week and of the next week.
    pub span: (Timestamp, Timestamp),
    pub now: Timestamp,
    /// Longest asleep first.
    pub rows: Vec<Row>,
    /// Sum of all rows.
    pub total: Amount,
    /// The weeks up to this one, oldest first, each with its sum.
    pub trend: Vec<(Week, Amount)>,
    /// Watts and prices for the energy figures.
    pub prices: Prices,
}

impl Report {
    /// Whether the week is in progress.
    pub fn is_current(&self) -> bool {
        self.span.0 <= self.now && self.now < self.span.1
    }

    /// Milliseconds of the week that have passed.
    pub fn elapsed_ms(&self) -> i64 {
        self.now.min(self.span.1).as_millisecond() - self.span.0.as_millisecond()
    }
}

/// Number of weeks in the trend.
const TREND: i64 = 8;

/// The naps that overlap a time range, of the containers in a part of everything.
async fn sleeps(app: &App, area: &Area, span: (Timestamp, Timestamp)) -> Result<Vec<Sleep>> {
    let mut sleeps = db::sleeps::between(&app.db, span.0, span.1).await?;
    sleeps.retain(|sleep| area.holds(&Target::container(sleep.host.clone(), sleep.identity.clone())));
    Ok(sleeps)
}

/// The report of `week`; of the current week where it is `None`. `first` is the first day of the week.
pub async fn of_week(
    app: &App,
    actor: &Actor,
    area: &Area,
    week: Option<Week>,
    zone: &TimeZone,
    first: Weekday,
) -> Result<Report> {
    actor.require(Permission::View)?;
    let now = app.clock.now();
    let week = week.map_or_else(|| Week::holding(now, zone, first), |week| week.beginning(first));
    let weeks: Vec<Week> = (1 - TREND..=0).map(|later| week.later(later)).collect();
    let span = week.span(zone);
    let sleeps = sleeps(app, area, (weeks[0].span(zone).0, span.1)).await?;
    let sum = |amounts: BTreeMap<Target, Amount>| {
        amounts.into_values().fold(Amount::default(), |mut total, amount| {
            total += amount;
            total
        })
    };
    let trend: Vec<(Week, Amount)> =
        weeks.into_iter().map(|week| (week, sum(report::account(&sleeps, week.span(zone), now)))).collect();
    let mut rows: Vec<Row> = report::account(&sleeps, span, now)
        .into_iter()
        .map(|(target, amount)| row(app, target, amount))
        .collect();
    rows.sort_by(|a, b| (b.amount.asleep_ms, &a.name).cmp(&(a.amount.asleep_ms, &b.name)));
    let total = trend.last().map(|(_, amount)| *amount).unwrap_or_default();
    Ok(Report { week, span, now, rows, total, trend, prices: settings::prices(app).await? })
}

fn row(app: &App, target: Target, amount: Amount) -> Row {
    let inventory = app.hosts.get(&target.host).map(|host| host.inventory());
    let key = inventory.and_then(|inventory| match &target.subject {
        Subject::Stack(name) | Subject::Services { stack: name, .. } => {
            inventory.stack(name).map(|stack| stack.key.clone())
        }
        Subject::Container(identity) => inventory.by_identity(identity).map(|one| one.key()),
        Subject::Host | Subject::Group(_) => None,
    });
    Row { name: targets::name(app, &target), key, target, amount }
}

impl Row {
    /// An example row for template tests.
    pub fn sample(name: &str, amount: Amount) -> Self {
        let target = Target::stack(HostId::local(), name);
        Self { name: name.to_owned(), key: Some("0123456789abcdef".to_owned()), target, amount }
    }
}

impl Report {
    /// An example report of the week of `now` for template tests.
    pub fn sample(now: Timestamp, zone: &TimeZone, rows: Vec<Row>, prices: Prices) -> Self {
        let week = Week::holding(now, zone, Weekday::Monday);
        let total = rows.iter().fold(Amount::default(), |mut total, row| {
            total += row.amount;
            total
        });
        let trend = (1 - TREND..=0).map(|later| (week.later(later), total)).collect();
        Self { week, span: week.span(zone), now, rows, total, trend, prices }
    }
}
