//! Collects the measured values and prints them as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::budgets::{BUDGETS, Budget, Limit};

/// Several readings of one value, sorted.
#[derive(Clone, Debug, Default)]
pub struct Readings(Vec<f64>);

impl Readings {
    pub fn new(mut readings: Vec<f64>) -> Self {
        readings.sort_by(f64::total_cmp);
        Self(readings)
    }

    /// The reading that `percent` percent of all do not exceed.
    pub fn percentile(&self, percent: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list of some thousands"
        )]
        let place = ((self.0.len() as f64 * percent / 100.0).ceil() as usize).clamp(1, self.0.len().max(1));
        self.0.get(place - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    fn span(&self) -> Option<(f64, f64)> {
        (self.0.len() > 1).then(|| (self.0[0], self.0[self.0.len() - 1]))
    }
}

/// The result of one row.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    id: &'static str,
    what: &'static str,
    unit: &'static str,
    budget: Option<f64>,
    /// The value that is compared with the budget.
    value: f64,
    min: Option<f64>,
    max: Option<f64>,
    readings: usize,
    /// The result of another tool in the same run, as text.
    peer: Option<String>,
    /// A remark for the reader.
    note: Option<String>,
    /// Whether the value is within the budget; `None` if there is none.
    kept: Option<bool>,
}

/// All results of one run.
#[derive(Default)]
pub struct Report(BTreeMap<&'static str, Measured>);

fn budget(id: &str) -> &'static Budget {
    BUDGETS.iter().find(|budget| budget.id == id).unwrap_or_else(|| panic!("{id} is no line of the table"))
}

impl Report {
    /// Records a single reading.
    pub fn one(&mut self, id: &str, value: f64) -> &mut Self {
        self.many(id, &Readings::new(vec![value]), 50.0)
    }

    /// Records several readings; a percentile is compared with the budget.
    pub fn many(&mut self, id: &str, readings: &Readings, percentile: f64) -> &mut Self {
        let Budget { id, what, unit, limit } = *budget(id);
        let value = readings.percentile(percentile);
        let (budget, kept) = match limit {
            Limit::AtMost(most) => (Some(most), Some(value <= most)),
            Limit::AtLeast(least) => (Some(least), Some(value >= least)),
            Limit::None => (None, None),
        };
        let (min, max) = readings.span().unzip();
        let readings = readings.0.len();
        let line =
            Measured { id, what, unit, budget, value, min, max, readings, peer: None, note: None, kept };
        eprintln!("   {what}: {} {unit}{}", shown(value), if kept == Some(false) { "  MISSED" } else { "" });
        self.0.insert(id, line);
        self
    }

    /// Adds the result of another tool to a row.
    pub fn peer(&mut self, id: &'static str, peer: impl Into<String>) {
        if let Some(line) = self.0.get_mut(id) {
            line.peer = Some(peer.into());
        }
    }

    /// Adds a remark to a row.
    pub fn note(&mut self, id: &'static str, note: impl Into<String>) {
        if let Some(line) = self.0.get_mut(id) {
            line.note = Some(note.into());
        }
    }

    /// Ids of the rows without a result.
    pub fn missing(&self) -> Vec<&'static str> {
        BUDGETS.iter().map(|budget| budget.id).filter(|id| !self.0.contains_key(id)).collect()
    }

    /// Ids of the rows that exceed their budget.
    pub fn missed(&self) -> Vec<&'static str> {
        self.0.values().filter(|line| line.kept == Some(false)).map(|line| line.id).collect()
    }

    /// The results as a Markdown table.
    pub fn markdown(&self) -> String {
        let mut table =
            "| what | budget | measured | min-max | beside it | |\n|---|---|---|---|---|---|\n".to_owned();
        for Budget { id, what, unit, limit } in BUDGETS {
            let allowed = match limit {
                Limit::AtMost(most) => format!("<= {} {unit}", shown(*most)),
                Limit::AtLeast(least) => format!(">= {} {unit}", shown(*least)),
                Limit::None => "-".to_owned(),
            };
            let Some(line) = self.0.get(id) else {
                let _ = writeln!(table, "| {what} | {allowed} | not measured | | | |");
                continue;
            };
            let span = match (line.min, line.max) {
                (Some(min), Some(max)) => format!("{} - {}", shown(min), shown(max)),
                _ => String::new(),
            };
            let beside: Vec<&str> = line.peer.iter().chain(&line.note).map(String::as_str).collect();
            let verdict = match line.kept {
                Some(true) => "kept",
                Some(false) => "**missed**",
                None => "",
            };
            let _ = writeln!(
                table,
                "| {what} | {allowed} | {} {unit} | {span} | {} | {verdict} |",
                shown(line.value),
                beside.join("; ")
            );
        }
        table
    }

    /// The results as JSON.
    pub fn json(&self, machine: &BTreeMap<&'static str, String>) -> String {
        let lines: Vec<&Measured> = BUDGETS.iter().filter_map(|budget| self.0.get(budget.id)).collect();
        let whole = serde_json::json!({"machine": machine, "rows": lines});
        serde_json::to_string_pretty(&whole).unwrap_or_default()
    }
}

/// Formats a number with about three significant digits.
pub fn shown(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
