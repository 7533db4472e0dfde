//! What a seed determines: the containers, the schedules and the start of the month. [`Dice`] is the random number
//! generator.

use std::time::Duration;

use docknap::app::schedules::Draft;
use docknap::sim::{ContainerSpec, Restart, World};

/// A pseudorandom number generator (xorshift64*); the same seed gives the same numbers.
pub struct Dice(u64);

impl Dice {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number from 0 to `below` - 1.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }

    /// True with a probability of one in `of`.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.roll(of) == 0
    }

    /// A random element of `choices`.
    pub fn choose<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let index = self.roll(choices.len() as u64);
        choices[usize::try_from(index).expect("a small number")]
    }
}

/// Instants at which a month may begin. Most months contain a change of clocks in one of [`ZONES`].
pub const STARTS: [&str; 7] = [
    // Berlin and London on 28 March.
    "2027-03-10T09:13:00Z",
    // Berlin and London on 31 October, New York on 7 November.
    "2027-10-15T09:13:00Z",
    // New York on 14 March.
    "2027-03-01T22:41:00Z",
    // Lord Howe, half an hour, on 4 April.
    "2027-03-20T03:07:00Z",
    // Lord Howe back on 3 October.
    "2027-09-25T18:31:00Z",
    // The turn of the year.
    "2027-12-20T12:00:30Z",
    "2027-06-01T00:00:00Z",
];
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/London"];

/// Stacks that may be scheduled or acted on.
pub const STACKS: [&str; 4] = ["shop", "lab", "media", "house"];
/// Containers that may be scheduled or acted on.
pub const CONTAINERS: [&str; 12] = [
    "shop-db-1",
    "shop-api-1",
    "shop-web-1",
    "shop-tool-1",
    "lab-box-1",
    "lab-job-1",
    "media-vpn-1",
    "media-torrent-1",
    "media-ui-1",
    "house-light-1",
    "cache",
    "mail",
];
/// The host beside `local`. It has a stack `shop` too, with other services.
pub const NAS: &str = "nas";
/// The containers there.
pub const NAS_CONTAINERS: [&str; 3] = ["shop-disk-1", "shop-feed-1", "shop-seed-1"];
/// Containers that DockNap must never change: a protected one, a one-off, a hook, and a protected one without a
/// stack.
pub const UNTOUCHED: [&str; 4] = ["house-safe-1", "house-once-run-e72b11306db6", "house-hook-1", "vault"];

/// Adds random options to a container.
fn with_random_options(dice: &mut Dice, spec: ContainerSpec) -> ContainerSpec {
    let spec = match dice.roll(8) {
        0 | 1 => spec.restart(Restart::Always),
        2 | 3 => spec.restart(Restart::UnlessStopped),
        4 => spec.restart(Restart::OnFailure(3)),
        _ => spec,
    };
    let spec = match dice.roll(8) {
        0 => spec.stops_after(Duration::from_secs(4), 0),
        1 => spec.ignores_sigterm(),
        2 => spec.stops_after(Duration::from_secs(12), 0).stop_timeout(20),
        3 => spec.stops_after(Duration::from_millis(300), 143),
        _ => spec,
    };
    let spec = match dice.roll(8) {
        0 => spec.healthy_after(Duration::from_secs(5)),
        1 => spec.healthy_after(Duration::from_secs(40)),
        2 if dice.once_in(2) => spec.never_healthy(),
        _ => spec,
    };
    if dice.once_in(6) { spec.stopped() } else { spec }
}

/// Creates the containers of a seed.
pub fn world(dice: &mut Dice) -> World {
    let on = |dice: &mut Dice, of: &str| {
        let condition = dice.choose(&["", ":service_started", ":service_healthy:true", ":service_healthy"]);
        format!("{of}{condition}")
    };
    let mut described = World::new();
    described = described.stack("shop", |s| {
        let (api_on, web_on) = (on(dice, "db"), on(dice, "api"));
        let s = s
            .service("db", |c| with_random_options(dice, c))
            .service("api", |c| with_random_options(dice, c).depends_on(api_on))
            .service("web", |c| with_random_options(dice, c).depends_on(web_on));
        let s = s.service("tool", |c| c.exited(143));
        if dice.once_in(2) { s.service("migrate", |c| c.depends_on("db").exited(0)) } else { s }
    });
    described = described.stack("lab", |s| {
        let job = Duration::from_secs(20 + 60 * dice.roll(3));
        let s = s.service("box", |c| with_random_options(dice, c));
        s.service("job", |c| c.exits(job, 0).exited(0))
    });
    described = described.stack("media", |s| {
        s.service("vpn", |c| with_random_options(dice, c))
            .service("torrent", |c| with_random_options(dice, c).network_of("media-vpn-1"))
            .service("ui", |c| with_random_options(dice, c).depends_on("torrent"))
    });
    described = described.stack("house", |s| {
        s.service("light", |c| with_random_options(dice, c))
            .service("safe", ContainerSpec::protect)
            .service("once", ContainerSpec::oneoff)
            .service("hook", |c| c.label("com.docker.compose.hook", "post_start"))
    });
    described
        .container("cache", |c| with_random_options(dice, c))
        .container("mail", |c| with_random_options(dice, c))
        .container("vault", ContainerSpec::protect)
}

/// Creates the containers of the host `nas`.
pub fn nas_world(dice: &mut Dice) -> World {
    World::new().stack("shop", |s| {
        s.service("disk", |c| with_random_options(dice, c))
            .service("feed", |c| with_random_options(dice, c).depends_on("disk"))
            .service("seed", |c| with_random_options(dice, c))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every field of a draft may be left out")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A random schedule. A one-off schedule fires within three weeks of `now`. `calendar` is a calendar's id, and `nas`
/// whether that host is there.
pub fn draft(dice: &mut Dice, calendar: Option<&str>, now: jiff::Timestamp, nas: bool) -> Draft {
    let host = if nas && dice.once_in(3) { NAS } else { "local" };
    let (kind, target) = if host == NAS {
        if dice.once_in(3) { ("container", dice.choose(&NAS_CONTAINERS)) } else { ("stack", "shop") }
    } else if dice.once_in(3) {
        ("container", dice.choose(&["shop-web-1", "shop-db-1", "media-vpn-1", "cache", "mail", "lab-job-1"]))
    } else {
        ("stack", dice.choose(&["shop", "shop", "lab", "media", "house"]))
    };
    let mut draft = Draft {
        host: some(host),
        target_type: some(kind),
        target_id: some(target),
        timezone: some(dice.choose(&ZONES)),
        enabled: Some(!dice.once_in(12)),
        catch_up_seconds: dice.once_in(3).then(|| dice.choose(&["0", "300", "86400"]).to_owned()),
        ..Draft::default()
    };
    match dice.roll(7) {
        0..=2 => {
            draft.window = some(dice.choose(&[
                "sleep 23:00-07:00",
                "sleep Mon-Fri 22:00-06:00; Sat 00:00-24:00",
                "awake Mon-Fri 07:00-20:00",
                "sleep 02:30-05:00",
                "sleep 01:45-02:15",
                "awake 08:00-23:00",
                "sleep Fri 20:00 - Mon 06:00",
                "sleep Mon 12:00 - Mon 13:00; Thu 12:00 - Thu 13:00",
                "awake Wed 10:00-16:00",
            ]));
            draft.policy = some(dice.choose(&["respect", "respect", "enforce", "observe"]));
            draft.mode = some(dice.choose(&["stop", "stop", "pause"]));
            draft.wake = some(dice.choose(&["restore", "restore", "all"]));
            draft.from_next = dice.once_in(4);
            if let Some(calendar) = calendar.filter(|_| dice.once_in(3)) {
                draft.calendar_id = some(calendar);
                draft.calendar_effect = some(dice.choose(&["awake", "asleep", "as:Sun"]));
            }
        }
        3 => {
            let at = now + Duration::from_secs(60 * (30 + dice.roll(20 * 24 * 60)));
            draft.at = Some(at.strftime("%Y-%m-%dT%H:%MZ").to_string());
            draft.action = some(dice.choose(&["start", "stop", "restart", "pause", "unpause"]));
        }
        _ => {
            draft.cron = some(dice.choose(&[
                "0 23 * * *",
                "0 7 * * *",
                "0 12 * * 1-5",
                "30 2 * * *",
                "15 1,2,3 * * SUN",
                "0 */8 * * *",
                "15 13 * * SAT,SUN",
                "@weekly",
                "0 0 1,15 * *",
            ]));
            draft.action =
                some(dice.choose(&["start", "stop", "restart", "start", "stop", "pause", "unpause"]));
            draft.priority = some(dice.choose(&["0", "0", "5"]));
            if let Some(calendar) = calendar.filter(|_| dice.once_in(3)) {
                draft.calendar_id = some(calendar);
                draft.calendar_effect = some("skip");
            }
        }
    }
    if draft.stop_timeout_seconds.is_none() && dice.once_in(6) {
        draft.stop_timeout_seconds = some(dice.choose(&["1", "15"]));
    }
    draft
}
