//! How long what napped in a week, and what that gave back.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::app::report::{self, Report, Row};
use crate::app::{Error, Result};
use crate::domain::report::{Amount, Prices, Week};
use crate::domain::target::TargetType;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view;

/// The highest bar stands for an hour at least, in milliseconds: a few seconds are no tower.
const HOUR_MS: i64 = 3_600_000;
/// Height of the highest bar, and where it stands, in the picture's units.
const BAR: (f64, f64) = (52.0, 68.0);

pub(super) fn routes() -> Routes {
    Routes::new().get("/report", Access::VIEWER, show)
}

/// One figure of the whole week.
struct Sum {
    /// `Asleep`
    label: &'static str,
    /// `62`
    value: String,
    /// `h`
    unit: String,
    /// What must be known beside it.
    note: String,
}

/// One stack, or a container without one.
struct ReportRow {
    name: String,
    /// Its page, while it is there.
    href: Option<String>,
    /// `14 container naps, 2 of them paused`
    naps: String,
    /// Of 100.
    width: String,
    /// `62 h`
    hours: String,
    /// `37 %`
    share: String,
    /// `41 GiB·h`, or a dash.
    memory: String,
    /// `1.4 core·h`, or a dash.
    cpu: String,
    /// `0.21 kWh`, or a dash.
    energy: String,
    /// `0.07 €`, or a dash.
    money: String,
}

/// One week of the trend.
struct Bar {
    /// `2026-W48`
    week: String,
    /// `23–29 Nov`
    span: String,
    /// `W48`
    short: String,
    /// `62`
    hours: String,
    /// `41 GiB·h`, or a dash.
    memory: String,
    /// It is the week on show.
    here: bool,
    /// Where it stands, in the picture's units.
    x: usize,
    /// Its middle.
    middle: usize,
    /// Its upper edge.
    y: String,
    /// Its height.
    height: String,
    /// Where its number stands.
    above: String,
}

/// The report of one week.
#[derive(Template)]
#[template(path = "report/index.html")]
struct ReportPage<'a> {
    shell: &'a Shell,
    /// `Slept 62 h this week: 41 GiB·h of memory given back.`
    sentence: String,
    /// `23–29 Nov 2026`
    span: String,
    /// `Week 48, so far`
    label: String,
    /// The week before.
    before: String,
    /// The week after, where it has begun.
    after: Option<String>,
    /// The week is not over.
    current: bool,
    /// The figures of the whole week.
    sums: Vec<Sum>,
    /// The longest asleep first.
    rows: Vec<ReportRow>,
    /// How many were looked at, and what that means.
    note: String,
    /// Energy can be told.
    energy: bool,
    /// Money can be told.
    money: bool,
    /// What the picture shows, in words.
    trend_title: String,
    /// Eight weeks, the oldest first.
    trend: Vec<Bar>,
}

impl<'a> ReportPage<'a> {
    fn new(shell: &'a Shell, report: &Report) -> Self {
        let current = report.is_current();
        let week = report.week;
        let sentence = sentence(report, current);
        let elapsed = report.elapsed_ms().max(1);
        let highest = report.trend.iter().map(|(_, amount)| amount.asleep_ms).max().unwrap_or(0).max(HOUR_MS);
        let trend: Vec<Bar> =
            report.trend.iter().zip(0..).map(|(part, place)| bar(part, place, highest, week)).collect();
        let hours: Vec<&str> = trend.iter().map(|bar| bar.hours.as_str()).collect();
        Self {
            shell,
            sentence,
            span: span(week, true),
            label: format!("Week {}{}", week.number(), if current { ", so far" } else { "" }),
            before: week.later(-1).text(),
            after: (!current && report.span.1 <= shell.now.at).then(|| week.later(1).text()),
            current,
            sums: sums(report),
            rows: report.rows.iter().map(|row| ReportRow::new(row, &report.prices, elapsed)).collect(),
            note: note(&report.total),
            energy: report.prices.has_watts(),
            money: report.prices.has_watts() && report.prices.price_per_kwh.is_some(),
            trend_title: format!("Hours asleep in each of the last eight weeks: {}", hours.join(", ")),
            trend,
        }
    }
}

impl ReportRow {
    fn new(row: &Row, prices: &Prices, elapsed_ms: i64) -> Self {
        let amount = &row.amount;
        let share = percent(amount.asleep_ms, elapsed_ms);
        let kind = row.target.target_type();
        Self {
            name: view::shown_name(&row.name),
            href: row.key.as_ref().map(|key| match kind {
                TargetType::Stack => format!("/stacks/{key}"),
                TargetType::Container => format!("/containers/{key}"),
            }),
            naps: match (kind, amount.pauses) {
                (TargetType::Stack, 0) => naps(amount.naps),
                (TargetType::Container, 0) => format!("{}, no stack", naps(amount.naps)),
                (_, pauses) => format!("{}, {pauses} of them paused", naps(amount.naps)),
            },
            width: format!("{:.1}", share.min(100.0)),
            hours: format!("{} h", hours(amount)),
            share: format!("{share:.0} %"),
            memory: gib_hours(amount),
            cpu: amount.core_hours().map_or_else(dash, |cpu| format!("{} core·h", figure(cpu))),
            energy: prices.kwh(amount).map_or_else(dash, |kwh| format!("{} kWh", figure(kwh))),
            money: prices.money(amount).map_or_else(dash, |money| priced(money, prices)),
        }
    }
}

fn naps(count: u64) -> String {
    view::count(usize::try_from(count).unwrap_or(usize::MAX), "container nap")
}

fn dash() -> String {
    "—".to_owned()
}

fn gib_hours(amount: &Amount) -> String {
    amount.gib_hours().map_or_else(dash, |gib| format!("{} GiB·h", figure(gib)))
}

fn priced(money: f64, prices: &Prices) -> String {
    format!("{money:.2} {}", prices.currency).trim_end().to_owned()
}

/// `41`, `4.1`, `0.41`: three digits at most below a hundred.
fn figure(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        small if small < 0.005 => "<0.01".to_owned(),
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

fn hours(amount: &Amount) -> String {
    match amount.hours() {
        0.0 => "0".to_owned(),
        few if few < 0.05 => "<0.1".to_owned(),
        few if few < 9.95 => format!("{few:.1}"),
        many => format!("{many:.0}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, shown in whole percent")]
fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// `23–29 Nov 2026`, `28 Dec 2026 – 3 Jan 2027`.
fn span(week: Week, year: bool) -> String {
    let (first, last) = (week.first_day(), week.last_day());
    let end = last.strftime(if year { "%-d %b %Y" } else { "%-d %b" });
    if first.month() == last.month() {
        format!("{}–{end}", first.day())
    } else if first.year() == last.year() || !year {
        format!("{} – {end}", first.strftime("%-d %b"))
    } else {
        format!("{} – {end}", first.strftime("%-d %b %Y"))
    }
}

fn sentence(report: &Report, current: bool) -> String {
    let when = if current { "this week".to_owned() } else { format!("in week {}", report.week.number()) };
    if report.total.asleep_ms == 0 {
        return format!("Nothing slept {when}.");
    }
    let slept = format!("Slept {} h {when}", hours(&report.total));
    match report.total.gib_hours() {
        Some(gib) if gib > 0.0 => format!("{slept}: {} GiB·h of memory given back.", figure(gib)),
        _ => format!("{slept}."),
    }
}

fn sums(report: &Report) -> Vec<Sum> {
    let total = &report.total;
    let sum = |label, value: Option<f64>, unit: &str, note: &str| Sum {
        label,
        value: value.map_or_else(dash, figure),
        unit: unit.to_owned(),
        note: note.to_owned(),
    };
    let over = match report.rows.len() {
        1 => "one stack".to_owned(),
        more => format!("all {more} stacks together"),
    };
    let mut sums = vec![
        Sum { value: hours(total), ..sum("Asleep", None, "h", &over) },
        sum("Memory given back", total.gib_hours(), "GiB·h", "a GiB free for an hour is one"),
        sum("CPU given back", total.core_hours(), "core·h", "at each one’s average before"),
    ];
    if report.prices.has_watts() {
        let kwh = report.prices.kwh(total);
        let money =
            report.prices.money(total).map(|money| format!("about {}", priced(money, &report.prices)));
        sums.push(sum("Energy not used", kwh, "kWh", money.as_deref().unwrap_or("an estimate")));
    }
    sums
}

/// How many were looked at.
fn note(total: &Amount) -> String {
    let looked = match (total.stops(), total.sampled) {
        (0, _) => String::new(),
        (stops, sampled) if sampled == stops => {
            "Each container was looked at before it was stopped.".to_owned()
        }
        (stops, 0) => {
            format!(
                "None of {stops} naps could be looked at before the stop: what they gave back is not known."
            )
        }
        (stops, sampled) => {
            format!(
                "{sampled} of {stops} naps were looked at before the stop; the others count as nothing given back."
            )
        }
    };
    let paused = if total.pauses > 0 { "A pause frees CPU only, and nobody looks before it." } else { "" };
    [looked.as_str(), paused].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

fn bar((week, amount): &(Week, Amount), place: usize, highest: i64, here: Week) -> Bar {
    let height = percent(amount.asleep_ms, highest) / 100.0 * BAR.0;
    // What is not nothing can be seen.
    let height = if amount.asleep_ms > 0 { height.max(2.0) } else { 0.0 };
    let x = place * 40 + 5;
    Bar {
        week: week.text(),
        span: span(*week, false),
        short: format!("W{}", week.number()),
        hours: hours(amount),
        memory: gib_hours(amount),
        here: *week == here,
        x,
        middle: x + 15,
        y: format!("{:.1}", BAR.1 - height),
        height: format!("{height:.1}"),
        above: format!("{:.1}", BAR.1 - height - 4.0),
    }
}

/// Which week is wanted.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    week: Option<String>,
}

async fn show(page: Page<Viewer>, Query(asked): Query<Asked>) -> Result<Response> {
    let now = &page.shell.now;
    let week = match asked.week.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Some(Week::parse(text).ok_or_else(|| Error::not_found("week", text))?),
        None => None,
    };
    let first = now.habits.week_start.day();
    let report = report::of_week(&page.app, &page.actor, week, &now.zone, first).await?;
    page.render(&ReportPage::new(&page.shell, &report))
}
