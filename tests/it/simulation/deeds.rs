//! The random events of a month: actions of users, changes by others in Docker, and failures.

use std::time::Duration;

use docknap::app::execute::{self, Request};
use docknap::app::hosts::{self, HostDraft, SchedulesOfHost};
use docknap::app::nap::{self, NapRequest};
use docknap::app::{App, calendars, locks, overrides, schedules};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::host::HostSource;
use docknap::domain::ids::{HostId, OverrideId, RunId, ScheduleId};
use docknap::domain::run::Trigger;
use docknap::domain::schedule::{Schedule, Source};
use docknap::domain::target::{Target, TargetType};
use docknap::sim::{DaemonEnd, Endpoint, Fault};

use super::chance::{self, CONTAINERS, NAS, STACKS, UNTOUCHED};
use super::judge::Judge;
use super::story::Story;
use crate::support::bench::person;

/// Largest number of schedules at a time.
const MOST_SCHEDULES: usize = 7;
/// Dates of the calendar; each simulated month contains at least one.
const DATES: [&str; 8] = [
    "2027-03-14",
    "2027-03-28",
    "2027-04-04",
    "2027-10-03",
    "2027-10-31",
    "2027-11-07",
    "2027-12-25",
    "2027-06-17",
];

impl Story {
    /// Creates the first schedules and a calendar.
    pub fn begin(&mut self) {
        let draft = CalendarDraft {
            name: "Days off".to_owned(),
            dates: DATES.map(str::to_owned).to_vec(),
            ..CalendarDraft::default()
        };
        self.request("a calendar".to_owned(), async move |app: App| {
            calendars::create(&app, &person(), &draft).await
        });
        self.judge.host_changed(&self.machine);
        if self.dice.once_in(2) {
            self.add_host();
        }
        for _ in 0..2 + self.dice.roll(4) {
            self.schedule();
        }
    }

    /// Makes one random event happen.
    pub fn random_event(&mut self) {
        let roll = self.dice.roll(100);
        let name = match roll {
            0..=17 => self.docker_cli(),
            18..=21 | 94..=96 => self.change_host(),
            22..=24 => self.process_exit(),
            25..=26 => self.recreate(),
            27..=40 => self.submit_action(),
            41..=46 => self.change_override(),
            47..=55 => self.change_schedule(),
            56..=57 => self.change_calendar(),
            58..=60 => self.lock(),
            61..=66 => self.daemon_down(),
            67..=75 => self.call_faults(),
            76..=80 => self.stop_docknap(),
            81..=93 => self.crash(),
            97 => {
                self.machine.sim.break_streams();
                self.log_line("the streams of events break");
                "streams break"
            }
            _ => self.cancel_or_retry(),
        };
        *self.tally.deeds.entry(name).or_default() += 1;
        self.step_finely();
    }

    fn container(&mut self) -> String {
        if self.dice.once_in(12) {
            return self.dice.choose(&UNTOUCHED.each_ref().map(|name| *name)).to_owned();
        }
        self.dice.choose(&CONTAINERS).to_owned()
    }

    /// Somebody uses the docker CLI.
    fn docker_cli(&mut self) -> &'static str {
        let name = self.container();
        if self.daemon_up_at.is_some() {
            return "nothing";
        }
        let verb = self
            .dice
            .choose(&["start", "start", "start", "stop", "stop", "pause", "unpause", "restart", "kill"]);
        let before = self.machine.sim.state(&name);
        let near = Judge::is_near(&self.machine, &name);
        let sim = &self.machine.sim;
        let done = match verb {
            "start" => sim.start(&name),
            "stop" => sim.stop(&name),
            "pause" => sim.pause(&name),
            "unpause" => sim.unpause(&name),
            "restart" => sim.restart(&name),
            _ => sim.kill(&name),
        };
        self.log_line(format!("outside: docker {verb} {name} ({before}): {done:?}"));
        match verb {
            "stop" | "kill" | "pause" if done.is_ok() && before != "exited" && before != "created" => {
                // A nap whose container is stopped while DockNap is not running stays a nap.
                let unseen = before == "paused" && self.machine.app().is_none();
                self.judge.stopped_by_others(&self.machine, &name, !near && !unseen);
            }
            "start" | "unpause" | "restart" if done.is_ok() => self.judge.started_by_others(&name),
            _ => {}
        }
        if near {
            self.judge.excuse(&name, "others did something while a step of ours was near");
        }
        if verb == "kill" {
            self.judge.excuse(&name, "killed by others: an end is nobody's wish");
        }
        "somebody else"
    }

    fn process_exit(&mut self) -> &'static str {
        let name = self.dice.choose(&CONTAINERS).to_owned();
        if self.machine.sim.state(&name) != "running" || self.daemon_up_at.is_some() {
            return "nothing";
        }
        let code = i64::from(!self.dice.once_in(2));
        let near = Judge::is_near(&self.machine, &name);
        self.machine.sim.exit(&name, code);
        let back = self.machine.sim.state(&name) != "exited";
        self.judge.stopped_by_others(&self.machine, &name, !near && !back);
        self.log_line(format!("the process of {name} ends with {code}"));
        "a process ends"
    }

    fn recreate(&mut self) -> &'static str {
        let name =
            self.dice.choose(&["shop-api-1", "shop-web-1", "lab-box-1", "media-ui-1", "mail"]).to_owned();
        if self.daemon_up_at.is_some() {
            return "nothing";
        }
        self.machine.sim.recreate(&name);
        self.judge.started_by_others(&name);
        if Judge::is_near(&self.machine, &name) || self.machine.app().is_none() {
            self.judge.excuse(&name, "re-created while a step of ours was near, or unseen");
        }
        self.log_line(format!("outside: compose re-creates {name}"));
        "re-created"
    }

    fn target(&mut self) -> (Target, &'static str, String) {
        if self.machine.stored_nas().is_some() && self.dice.once_in(6) {
            return (Target::stack(HostId::from(NAS), "shop"), "stack", "shop".to_owned());
        }
        if self.dice.once_in(3) {
            let name = self.dice.choose(&CONTAINERS).to_owned();
            let identity = self.machine.app().and_then(|app| {
                let inventory = app.hosts.first().expect("a host").inventory();
                inventory.by_name(&name).map(|found| found.target())
            });
            if let Some(target) = identity {
                return (target, "container", name);
            }
        }
        let name = self.dice.choose(&STACKS);
        (Target::stack(HostId::local(), name), "stack", name.to_owned())
    }

    /// A user or an API token submits an action.
    fn submit_action(&mut self) -> &'static str {
        let (target, _, name) = self.target();
        let until = self.dice.choose(&["", "", "90m", "20h"]).to_owned();
        let asked = NapRequest { until: Some(until.clone()), ..NapRequest::default() };
        let verb =
            self.dice.choose(&["nap", "wake", "nap", "wake", "start", "stop", "restart", "pause", "unpause"]);
        self.request(format!("button: {verb} {name} {until}"), async move |app: App| match verb {
            "nap" => nap::nap(&app, &person(), &target, &asked, Trigger::Manual).await,
            "wake" => nap::wake(&app, &person(), &target, &asked, Trigger::Manual).await,
            verb => {
                let action: Action = verb.parse().expect("one of the five");
                execute::submit(&app, &person(), Request::now(action, target, Trigger::Manual)).await
            }
        });
        "a button"
    }

    /// An override or a hold is created or ended.
    fn change_override(&mut self) -> &'static str {
        if self.dice.once_in(3) {
            let open = self.machine.read_db(async |db| db::overrides::open(db).await.expect("they read"));
            if open.is_empty() {
                return "nothing";
            }
            let index = usize::try_from(self.dice.roll(open.len() as u64)).expect("small");
            let (id, name): (OverrideId, String) = (open[index].id.clone(), open[index].target_name.clone());
            self.request(format!("the override of {name} is ended"), async move |app: App| {
                overrides::finish(&app, &person(), &id).await
            });
            return "an override ends";
        }
        let (target, kind, name) = self.target();
        let (kind, name) = match self.dice.roll(6) {
            0 => ("all", String::new()),
            1 => ("host", String::new()),
            _ => (kind, name),
        };
        let state = self.dice.choose(&["awake", "asleep", "hold"]);
        let until = self.dice.choose(&["45m", "7h", "20h", "2d"]);
        let draft = overrides::Draft {
            host: (kind != "all").then(|| target.host.to_string()),
            target_type: Some(kind.to_owned()),
            target_id: Some(name.clone()),
            state: Some(state.to_owned()),
            until: Some(until.to_owned()),
            reason: Some("demo".to_owned()),
        };
        self.request(format!("override: {kind} {name} {state} for {until}"), async move |app: App| {
            overrides::create(&app, &person(), &draft).await
        });
        "an override"
    }

    fn stored_schedules(&self) -> Vec<Schedule> {
        self.machine.read_db(async |db| {
            let wanted = db::schedules::ScheduleSelection { limit: 100, ..Default::default() };
            db::schedules::list(db, &wanted).await.expect("they read")
        })
    }

    fn calendar(&self) -> Option<String> {
        self.machine.read_db(async |db| {
            let all = db::calendars::list(db, None, 10).await.expect("they read");
            all.first().map(|calendar| calendar.id.to_string())
        })
    }

    /// Creates a schedule.
    fn schedule(&mut self) {
        let calendar = self.calendar();
        let now = self.machine.clock.now();
        let nas = self.machine.stored_nas().is_some();
        let draft = chance::draft(&mut self.dice, calendar.as_deref(), now, nas);
        let what = format!("schedule: {}", summary(&draft));
        self.request(what, async move |app: App| {
            schedules::create(&app, &person(), &draft, Source::Api).await.map(|saved| saved.view.schedule.id)
        });
        self.eras.update(&self.machine);
    }

    fn change_schedule(&mut self) -> &'static str {
        let stored = self.stored_schedules();
        if stored.is_empty() || (stored.len() < MOST_SCHEDULES && self.dice.once_in(3)) {
            self.schedule();
            return "a schedule is saved";
        }
        let index = usize::try_from(self.dice.roll(stored.len() as u64)).expect("small");
        let schedule = &stored[index];
        let id: ScheduleId = schedule.id.clone();
        let title = format!("{} ({})", schedule.title(), id.as_str());
        let name = match self.dice.roll(8) {
            0 | 1 => {
                let calendar = self.calendar();
                let now = self.machine.clock.now();
                let nas = self.machine.stored_nas().is_some();
                let draft = chance::draft(&mut self.dice, calendar.as_deref(), now, nas);
                self.request(format!("edit {title}: {}", summary(&draft)), async move |app: App| {
                    schedules::update(&app, &person(), &id, &draft, None).await.map(|_| ())
                });
                "a schedule is edited"
            }
            2 => {
                self.request(format!("delete {title}"), async move |app: App| {
                    schedules::delete(&app, &person(), &id, None).await
                });
                "a schedule is deleted"
            }
            3 | 4 => {
                let on = !schedule.spec.enabled;
                self.request(
                    format!("switch {title} {}", if on { "on" } else { "off" }),
                    async move |app: App| {
                        if on {
                            schedules::enable(&app, &person(), &id).await.map(|_| ())
                        } else {
                            schedules::disable(&app, &person(), &id).await.map(|_| ())
                        }
                    },
                );
                "a schedule is switched"
            }
            5 | 6 => {
                let skips = schedule.skip_at.is_none();
                self.request(format!("skip {title}: {skips}"), async move |app: App| {
                    if skips {
                        schedules::skip_next(&app, &person(), &id).await.map(|_| ())
                    } else {
                        schedules::unskip_next(&app, &person(), &id).await.map(|_| ())
                    }
                });
                "a schedule skips"
            }
            _ => {
                let edge = schedule.is_window().then(|| self.dice.choose(&["sleep", "wake"]).to_owned());
                self.request(format!("run {title} now: {edge:?}"), async move |app: App| {
                    schedules::run_now(&app, &person(), &id, Trigger::Manual, edge.as_deref()).await
                });
                "a schedule is run now"
            }
        };
        self.eras.update(&self.machine);
        name
    }

    fn change_calendar(&mut self) -> &'static str {
        let found =
            self.machine.read_db(async |db| db::calendars::list(db, None, 10).await.expect("they read"));
        let Some(calendar) = found.into_iter().next() else { return "nothing" };
        let dates = DATES.iter().filter(|_| !self.dice.once_in(3)).map(|date| (*date).to_owned()).collect();
        let today = self.machine.clock.now() + Duration::from_secs(3600 * self.dice.roll(72));
        let draft = CalendarDraft {
            name: "Days off".to_owned(),
            dates,
            ranges: vec![(
                today.strftime("%Y-%m-%d").to_string(),
                (today + Duration::from_secs(30 * 3600)).strftime("%Y-%m-%d").to_string(),
            )],
            ..CalendarDraft::default()
        };
        self.request(format!("the calendar changes: {:?}", draft.ranges), async move |app: App| {
            calendars::update(&app, &person(), &calendar.id, &draft, None).await.map(|_| ())
        });
        self.eras.update(&self.machine);
        "a calendar changes"
    }

    /// A user locks or unlocks a container.
    fn lock(&mut self) -> &'static str {
        if self.is_open() || self.daemon_up_at.is_some() {
            return "nothing";
        }
        if let Some(name) = self.judge.locked.keys().next().cloned() {
            let locked = name.clone();
            let done = self.request(format!("unlock {name}"), async move |app: App| {
                locks::unlock(&app, &person(), &HostId::local(), TargetType::Container, &locked).await
            });
            // If DockNap died meanwhile, it is unknown whether the lock is removed; a locked container is not checked
            // any further.
            self.judge.locked.remove(&name);
            let _ = done;
            return "unlocked";
        }
        let name = self.dice.choose(&CONTAINERS).to_owned();
        let locked = name.clone();
        let done = self.request(format!("lock {name}"), async move |app: App| {
            locks::lock(&app, &person(), &HostId::local(), TargetType::Container, &locked, "demo").await
        });
        if done.is_some() {
            self.judge.locked.insert(name, self.machine.clock.now());
        }
        "locked"
    }

    /// The Engine goes down for a while.
    fn daemon_down(&mut self) -> &'static str {
        if self.daemon_up_at.is_some() {
            return "nothing";
        }
        let end = if self.dice.once_in(2) { DaemonEnd::Graceful } else { DaemonEnd::Crash };
        let seconds = match self.dice.roll(3) {
            0 => 2 + self.dice.roll(10),
            1 => 60 + self.dice.roll(900),
            _ => 900 + self.dice.roll(3 * 3600),
        };
        self.machine.sim.daemon_down(end);
        self.daemon_up_at = Some(self.machine.clock.now() + Duration::from_secs(seconds));
        self.log_line(format!("the Engine goes down ({end:?}) for {seconds} s"));
        "the Engine goes down"
    }

    /// The host `nas` is added, enabled, disabled or deleted, or its Engine is away for a while.
    fn change_host(&mut self) -> &'static str {
        let id = HostId::from(NAS);
        let name = match self.machine.stored_nas() {
            None => {
                self.add_host();
                "a host is added"
            }
            Some(host) => match self.dice.roll(6) {
                0 | 1 => {
                    let enabled = !host.enabled;
                    self.request(format!("nas is enabled: {enabled}"), async move |app: App| {
                        hosts::set_enabled(&app, &person(), &id, enabled).await
                    });
                    "a host is switched"
                }
                2 => {
                    let what = match self.dice.roll(3) {
                        0 => SchedulesOfHost::MoveTo(HostId::local()),
                        _ => SchedulesOfHost::Delete,
                    };
                    self.request(
                        format!("nas is deleted, its schedules: {what:?}"),
                        async move |app: App| hosts::delete(&app, &person(), &id, Some(&what), None).await,
                    );
                    "a host is deleted"
                }
                3 => {
                    let times = 1 + u32::try_from(self.dice.roll(12)).expect("small");
                    self.machine.nas.fault(Fault::hang().times(times));
                    self.log_line(format!("trouble: {times} calls to nas hang"));
                    "a host hangs"
                }
                _ if self.nas_up_at.is_some() => "nothing",
                _ => {
                    let seconds = 20 + self.dice.roll(3 * 3600);
                    let end = if self.dice.once_in(2) { DaemonEnd::Graceful } else { DaemonEnd::Crash };
                    self.machine.nas.daemon_down(end);
                    self.nas_up_at = Some(self.machine.clock.now() + Duration::from_secs(seconds));
                    self.log_line(format!("the Engine of nas goes down ({end:?}) for {seconds} s"));
                    "the Engine of a host goes down"
                }
            },
        };
        self.judge.host_changed(&self.machine);
        self.eras.update(&self.machine);
        name
    }

    fn add_host(&mut self) {
        let draft = HostDraft {
            id: Some(NAS.to_owned()),
            name: Some("NAS".to_owned()),
            endpoint: Some(self.machine.nas.docker_host()),
            ..HostDraft::default()
        };
        self.request("nas is added".to_owned(), async move |app: App| {
            hosts::create(&app, &person(), &draft, HostSource::Ui).await
        });
        self.judge.host_changed(&self.machine);
    }

    /// One or two calls to an endpoint of the Engine will fail.
    fn call_faults(&mut self) -> &'static str {
        let name = self.dice.choose(&CONTAINERS);
        let endpoint = *self.dice.choose(&[
            &Endpoint::Start,
            &Endpoint::Stop,
            &Endpoint::Start,
            &Endpoint::Stop,
            &Endpoint::Restart,
            &Endpoint::Pause,
            &Endpoint::Unpause,
            &Endpoint::Inspect,
        ]);
        let (what, fault) = match self.dice.roll(7) {
            0 => ("500", Fault::status(500, "demo")),
            1 => ("503", Fault::status(503, "demo")),
            2 => ("hangs", Fault::hang()),
            3 => ("cut off before", Fault::drop_before()),
            4 => ("cut off after", Fault::drop_after_commit()),
            5 => ("takes 4 s", Fault::delay(Duration::from_secs(4))),
            _ => ("proxy says no", Fault::proxy_forbids()),
        };
        let times = 1 + u32::try_from(self.dice.roll(2)).expect("small");
        self.machine.sim.fault(fault.on(endpoint).container(name).times(times));
        self.log_line(format!("trouble: {endpoint:?} of {name} {what}, {times} times"));
        "calls go wrong"
    }

    /// DockNap is stopped in an orderly way and started again later.
    fn stop_docknap(&mut self) -> &'static str {
        if self.machine.app().is_none() {
            return "nothing";
        }
        self.log_line("DockNap is stopped");
        self.machine.terminate();
        let seconds = 5 + self.dice.roll(8 * 3600);
        self.went_down(seconds);
        "DockNap is stopped"
    }

    /// DockNap is killed now or at one of its next fault points.
    fn crash(&mut self) -> &'static str {
        if self.machine.app().is_none() {
            return "nothing";
        }
        if self.dice.once_in(4) {
            self.log_line("DockNap is killed");
            self.machine.kill();
            let seconds = 1 + self.dice.roll(8 * 3600);
            self.went_down(seconds);
            return "DockNap is killed";
        }
        let nth = 1 + self.dice.roll(24);
        self.machine.arm(nth);
        self.log_line(format!("DockNap will die at the {nth}. point from now"));
        "DockNap will die"
    }

    /// A user cancels the newest run, or retries it if it has ended.
    fn cancel_or_retry(&mut self) -> &'static str {
        let newest = self.machine.read_db(async |db| {
            db::history::list(db, db::history::RunSelection::default(), None, 1).await.expect("they read")
        });
        let Some(run) = newest.into_iter().next() else { return "nothing" };
        let id: RunId = run.id.clone();
        if run.state.is_terminal() {
            self.request(format!("retry {} of {}", run.action, run.target_name), async move |app: App| {
                execute::retry(&app, &person(), &id).await.map(|_| ())
            });
        } else {
            self.request(format!("call off {} of {}", run.action, run.target_name), async move |app: App| {
                execute::cancel(&app, &person(), &id).await
            });
        }
        "called off or repeated"
    }
}

/// The fields of a draft that are set, for the log.
fn summary(draft: &schedules::Draft) -> String {
    let fields = [
        &draft.host,
        &draft.target_id,
        &draft.window,
        &draft.cron,
        &draft.at,
        &draft.action,
        &draft.timezone,
        &draft.policy,
        &draft.mode,
        &draft.wake,
        &draft.calendar_effect,
        &draft.catch_up_seconds,
        &draft.priority,
    ];
    let mut text: Vec<&str> = fields.into_iter().flatten().map(String::as_str).collect();
    if draft.enabled == Some(false) {
        text.push("off");
    }
    if draft.from_next {
        text.push("from the next");
    }
    text.join(", ")
}
