//! The keys by which files name schedules: unique among the schedules of one target, made from the name, and kept when
//! the name changes.

use std::collections::{HashMap, HashSet};

use crate::app::schedules::slug_base;
use crate::app::{App, Result};
use crate::db::schedules::ScheduleSelection;
use crate::db::slugs::Known;
use crate::db::{self, Tx};
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Schedule, Source};
use crate::domain::target::Target;

/// Every schedule, oldest first, with its key and what else files know of it.
#[derive(Debug)]
pub(super) struct Keyed {
    pub schedules: Vec<(Schedule, Known)>,
    /// The keys that are not stored yet.
    unstored: Vec<(ScheduleId, String)>,
}

impl Keyed {
    pub async fn read(app: &App) -> Result<Self> {
        let all = ScheduleSelection { limit: i64::MAX, ..ScheduleSelection::default() };
        let mut schedules = db::schedules::list(&app.db, &all).await?;
        schedules.reverse();
        let mut known = db::slugs::all(&app.db).await?;
        // A file of the watched directory may use a key that a schedule of the page has.
        let (mut of_files, mut of_others) = (Taken::default(), Taken::default());
        for schedule in &schedules {
            let taken = if schedule.source == Source::File { &mut of_files } else { &mut of_others };
            if let Some(known) = known.get_mut(&schedule.id)
                && let Some(slug) = &known.slug
                && !taken.take(&schedule.spec.target, slug)
            {
                // It has come to this target, or back from its deletion; the older one keeps the key.
                known.slug = None;
            }
        }
        let mut unstored = Vec::new();
        let keyed = |schedule: Schedule| {
            let taken = if schedule.source == Source::File { &mut of_files } else { &mut of_others };
            let mut known = known.remove(&schedule.id).unwrap_or_default();
            if known.slug.is_none() {
                let slug = taken.free(&schedule.spec.target, &base(&schedule));
                unstored.push((schedule.id.clone(), slug.clone()));
                known.slug = Some(slug);
            }
            (schedule, known)
        };
        let schedules = schedules.into_iter().map(keyed).collect();
        Ok(Self { schedules, unstored })
    }

    /// Stores the keys that are not stored yet.
    pub async fn store(&self, app: &App) -> Result<()> {
        if self.unstored.is_empty() {
            return Ok(());
        }
        let mut tx = app.db.begin().await?;
        self.store_in(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn store_in(&self, tx: &mut Tx) -> Result<()> {
        for (id, slug) in &self.unstored {
            db::slugs::set(tx, id, slug).await?;
        }
        Ok(())
    }
}

/// The key of a schedule before it is numbered.
fn base(schedule: &Schedule) -> String {
    let deed = if schedule.is_window() { "sleep" } else { schedule.spec.action.as_str() };
    slug_base(&schedule.spec.name, deed)
}

/// The keys in use, by target.
#[derive(Default)]
pub(super) struct Taken(HashMap<Target, HashSet<String>>);

impl Taken {
    /// Takes a key; `false` if it was taken before.
    pub fn take(&mut self, target: &Target, slug: &str) -> bool {
        self.0.entry(target.clone()).or_default().insert(slug.to_owned())
    }

    /// The first key made from `base` that is not taken, which it takes.
    pub fn free(&mut self, target: &Target, base: &str) -> String {
        let mut slug = base.to_owned();
        let mut number = 2_u32;
        while !self.take(target, &slug) {
            slug = format!("{base}-{number}");
            number += 1;
        }
        slug
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::HostId;

    #[test]
    fn keys_are_numbered_where_two_would_be_the_same() {
        let (mut taken, target) = (Taken::default(), Target::stack(HostId::local(), "media"));
        let other = Target::stack(HostId::local(), "wiki");
        assert_eq!(taken.free(&target, "night"), "night");
        assert_eq!(taken.free(&target, "night"), "night-2");
        assert_eq!(taken.free(&target, "night"), "night-3");
        assert_eq!(taken.free(&other, "night"), "night");
        assert!(!taken.take(&other, "night"));
    }
}
