//! A window as the week editor shows it: a grid of the half hours of a week, plus the parts that do not start and end
//! on half hours. Nothing is rounded: [`Week::of`] puts each part into the grid or keeps it as it is, and
//! [`Week::window`] turns both back into a window.

use jiff::civil::Weekday;

use super::{DAY, Days, MAX_PARTS, MAX_TEXT, Part, Phase, WEEK, Window, WindowError};

/// The half hours of a day.
pub const SLOTS: usize = 48;
/// The minutes of one slot.
const SLOT: i16 = 30;

/// A set of half hours of a week. Days are counted from 0 = Monday, and slots from 0 = 00:00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid([u64; 7]);

impl Grid {
    /// Every half hour of a day.
    const WHOLE_DAY: u64 = (1 << SLOTS) - 1;

    /// The whole week.
    pub const FULL: Self = Self([Self::WHOLE_DAY; 7]);

    /// Whether the set contains a half hour; `false` outside the week.
    pub fn has(&self, day: usize, slot: usize) -> bool {
        slot < SLOTS && self.0.get(day).is_some_and(|bits| bits & (1 << slot) != 0)
    }

    /// Adds a half hour; does nothing outside the week.
    pub fn paint(&mut self, day: usize, slot: usize) {
        if let Some(bits) = self.0.get_mut(day).filter(|_| slot < SLOTS) {
            *bits |= 1 << slot;
        }
    }

    /// Copies the half hours of day `from` to the days in `to`.
    pub fn copy(&mut self, from: usize, to: impl IntoIterator<Item = usize>) {
        let Some(bits) = self.0.get(from).copied() else { return };
        for day in to {
            if let Some(other) = self.0.get_mut(day) {
                *other = bits;
            }
        }
    }

    /// Adds all half hours of a day, or removes them if the set contains all of them.
    pub fn turn(&mut self, day: usize) {
        if let Some(bits) = self.0.get_mut(day) {
            *bits = if *bits == Self::WHOLE_DAY { 0 } else { Self::WHOLE_DAY };
        }
    }

    /// The half hours that are not in the set.
    #[must_use]
    pub fn inverted(self) -> Self {
        Self(self.0.map(|bits| !bits & Self::WHOLE_DAY))
    }

    /// The parts of a window for the half hours of the set, with consecutive half hours as one part. Consecutive whole
    /// days become one part per day, so that a calendar can change one of them.
    fn parts(self) -> Vec<Part> {
        if self == Self::FULL {
            return vec![Part { days: Days::ALL, start: 0, length: DAY }];
        }
        let on = |at: usize| self.has(at / SLOTS % 7, at % SLOTS);
        let all = 7 * SLOTS;
        let mut parts: Vec<Part> = Vec::new();
        for begin in (0..all).filter(|at| on(*at) && !on((at + all - 1) % all)) {
            let slots = (begin..begin + all).take_while(|at| on(at % all)).count();
            let (start, length) = (minutes(begin % SLOTS), minutes(slots));
            let day = begin / SLOTS;
            if start == 0 && length % DAY == 0 {
                (0..slots / SLOTS).for_each(|ahead| add(&mut parts, (day + ahead) % 7, 0, DAY));
            } else {
                add(&mut parts, day, start, length);
            }
        }
        parts
    }
}

fn minutes(slots: usize) -> i16 {
    i16::try_from(slots).map_or(WEEK, |slots| slots * SLOT)
}

/// The weekday with this number, counted from 0 = Monday.
pub fn weekday(day: usize) -> Weekday {
    Weekday::Monday.wrapping_add(i64::try_from(day % 7).unwrap_or(0))
}

/// Adds an interval to `parts`. If a part with the same start and length exists, `day` is added to that part. An
/// interval longer than a day always becomes a part of its own, because such a part can have one day only.
fn add(parts: &mut Vec<Part>, day: usize, start: i16, length: i16) {
    let days = Days::only(weekday(day));
    let same = |part: &&mut Part| part.start == start && part.length == length && length <= DAY;
    match parts.iter_mut().find(same) {
        Some(part) => part.days = part.days.with(days),
        None => parts.push(Part { days, start, length }),
    }
}

/// A window as the week editor shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week {
    /// The phase of the parts in the window's text.
    pub names: Phase,
    /// The half hours asleep, without the parts in `exact`.
    pub asleep: Grid,
    /// The parts that do not start and end on half hours.
    pub exact: Vec<Part>,
}

impl Week {
    /// Converts a window: each part goes into the grid or stays as it is.
    pub fn of(window: &Window) -> Self {
        let is_even = |part: &Part| part.start % SLOT == 0 && part.length % SLOT == 0;
        let mut named = Grid::default();
        for part in window.parts.iter().filter(|part| is_even(part)) {
            for day in (0..7).filter(|day| part.days.has(weekday(*day))) {
                let slot = |minute: i16| usize::try_from(minute / SLOT).unwrap_or(0);
                let begin = day * SLOTS + slot(part.start);
                (begin..begin + slot(part.length)).for_each(|at| named.paint(at / SLOTS % 7, at % SLOTS));
            }
        }
        Self {
            names: window.names,
            asleep: invert_if_awake(window.names, named),
            exact: window.parts.iter().filter(|part| !is_even(part)).copied().collect(),
        }
    }

    /// Converts back to a window.
    ///
    /// # Errors
    /// [`WindowError`] if the window would have no part, more than [`MAX_PARTS`] parts, or a text of more than
    /// [`MAX_TEXT`] bytes.
    pub fn window(&self) -> Result<Window, WindowError> {
        let mut parts = invert_if_awake(self.names, self.asleep).parts();
        parts.extend(self.exact.iter().copied());
        if parts.is_empty() {
            return Err(WindowError(match self.names {
                Phase::Asleep => {
                    "nothing is painted: paint at least one half hour in which it sleeps".to_owned()
                }
                Phase::Awake => "it never wakes: leave at least one half hour free of sleep".to_owned(),
            }));
        }
        let window = Window { names: self.names, parts };
        let (count, length) = (window.parts.len(), window.to_string().len());
        if count > MAX_PARTS || length > MAX_TEXT {
            return Err(WindowError(format!(
                "this is too rich for one rule ({count} naps in {length} characters; {MAX_PARTS} in {MAX_TEXT} fit): \
                 join naps that lie close, or give several days the same hours"
            )));
        }
        Ok(window)
    }
}

/// Converts between the half hours that a window's text lists and the half hours asleep: the same set for a `sleep`
/// window, the inverted set for an `awake` window.
fn invert_if_awake(names: Phase, grid: Grid) -> Grid {
    if names == Phase::Asleep { grid } else { grid.inverted() }
}

impl Window {
    /// The time asleep of each day from Monday, in a week without clock changes and without a calendar: start and end
    /// of each interval as minutes of the day, in order and without overlaps.
    pub fn asleep_by_day(&self) -> [Vec<(i16, i16)>; 7] {
        let asleep = self.week(Phase::Asleep);
        std::array::from_fn(|day| asleep.of_day(day))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn week(text: &str) -> Week {
        Week::of(&Window::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
    }

    fn again(text: &str) -> String {
        week(text).window().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn a_grid_is_written_as_a_person_would_write_it() {
        for text in [
            "sleep 23:00-07:00",
            "sleep 00:00-24:00",
            "sleep Mon-Fri 23:00-07:00",
            "sleep Sat,Sun 00:00-24:00",
            "sleep Fri 20:00 - Mon 07:00",
            "awake Mon-Fri 08:00-18:00",
            "awake Sun 22:00-02:00",
            "sleep Sun 20:00 - Tue 06:00",
        ] {
            assert_eq!(again(text), text);
            assert!(week(text).exact.is_empty(), "{text}");
        }
        assert_eq!(again("sleep 22:00-24:00; 00:00-06:00"), "sleep 22:00-06:00", "neighbours are one");
        assert_eq!(again("sleep Fri 23:00-07:00; Sat 00:00-09:00"), "sleep Fri 23:00-09:00");
    }

    #[test]
    fn times_between_half_hours_are_kept_beside_the_grid() {
        let mixed = week("sleep Mon-Fri 23:10-07:00; Sat 00:00-24:00");
        assert_eq!(mixed.exact.len(), 1);
        assert!(mixed.asleep.has(5, 0) && !mixed.asleep.has(0, 47));
        assert_eq!(
            again("sleep Mon-Fri 23:10-07:00; Sat 00:00-24:00"),
            "sleep Sat 00:00-24:00; Mon-Fri 23:10-07:00"
        );
        assert_eq!(again("awake Mon-Fri 07:45-20:10"), "awake Mon-Fri 07:45-20:10");
        assert_eq!(week("awake Mon-Fri 07:45-20:10").asleep, Grid::FULL);
    }

    #[test]
    fn a_week_that_cannot_be_stored_is_an_error_with_a_reason() {
        let empty = Week { names: Phase::Asleep, asleep: Grid::default(), exact: Vec::new() };
        assert!(empty.window().expect_err("nothing").to_string().contains("nothing is painted"));
        let mut rich = empty.clone();
        for at in (0..7 * SLOTS).filter(|at| (at * 7 + at / SLOTS) % 5 < 2) {
            rich.asleep.paint(at / SLOTS, at % SLOTS);
        }
        let error = rich.window().expect_err("too rich").to_string();
        assert!(error.contains("too rich") && error.contains("join naps"), "{error}");
        let never = Week { names: Phase::Awake, asleep: Grid::FULL, exact: Vec::new() };
        assert!(never.window().expect_err("never awake").to_string().contains("never wakes"));
    }

    #[test]
    fn the_time_asleep_is_listed_day_by_day() {
        let days = Window::parse("sleep Sun 23:15-01:00; Mon 00:30-02:00").expect("a window").asleep_by_day();
        assert_eq!(days[0], [(0, 120)]);
        assert_eq!(days[6], [(1395, 1440)]);
        assert!(days[1].is_empty());
        let awake = Window::parse("awake Mon 08:00-18:00").expect("a window").asleep_by_day();
        assert_eq!((awake[0].clone(), awake[1].clone()), (vec![(0, 480), (1080, 1440)], vec![(0, 1440)]));
    }

    fn grids() -> impl Strategy<Value = Grid> {
        prop_oneof![
            proptest::array::uniform7(0_u64..=Grid::WHOLE_DAY).prop_map(Grid),
            // Grids of a few long intervals, as a person enters them.
            proptest::collection::vec((0_usize..7, 0_usize..SLOTS, 1_usize..140), 0..8).prop_map(
                |stretches| {
                    let mut grid = Grid::default();
                    for (day, slot, length) in stretches {
                        let begin = day * SLOTS + slot;
                        (begin..begin + length).for_each(|at| grid.paint(at / SLOTS % 7, at % SLOTS));
                    }
                    grid
                }
            ),
        ]
    }

    fn whole(names: Phase, asleep: Grid) -> Week {
        Week { names, asleep, exact: Vec::new() }
    }

    proptest! {
        #[test]
        fn a_grid_comes_back_the_same(grid in grids(), awake in any::<bool>()) {
            let names = if awake { Phase::Awake } else { Phase::Asleep };
            let painted = whole(names, grid);
            if let Ok(window) = painted.window() {
                let stored = Window::parse(&window.to_string()).expect("it can be stored");
                prop_assert_eq!(&stored, &window);
                prop_assert_eq!(Week::of(&stored), painted);
            }
        }

        #[test]
        fn no_minute_is_rounded(parts in proptest::collection::vec(
            ("(Mon|Tue-Thu|Fri,Sun|Sat-Mon)", 0_i16..1440, 0_i16..1440), 1..5), awake in any::<bool>())
        {
            let names = if awake { "awake" } else { "sleep" };
            let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let parts: Vec<String> = parts.into_iter()
                .map(|(days, from, to)| format!("{days} {}-{}", time(from), time(to))).collect();
            let window = Window::parse(&format!("{names} {}", parts.join("; "))).expect("a window");
            let week = Week::of(&window);
            let even = window.parts.iter().all(|part| part.start % SLOT == 0 && part.length % SLOT == 0);
            prop_assert_eq!(week.exact.is_empty(), even);
            if let Ok(again) = week.window() {
                prop_assert_eq!(again.asleep_by_day(), window.asleep_by_day());
            }
        }
    }
}
