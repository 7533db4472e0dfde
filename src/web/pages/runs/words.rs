//! Texts about runs for people: title, cause, reasons and errors.

use crate::app::history::Past;
use crate::domain::run::{Run, RunState};
use crate::web::view::{self, Now};

/// The action and its target, as in `Stop media`.
pub fn title(run: &Run) -> String {
    format!("{} {}", run.action.label(), view::shown_name(&run.target_name))
}

/// The trigger of a run and its cause, as in `by schedule Nights` or `by hand, anna`.
pub fn cause(run: &Run) -> String {
    let made = view::trigger(run.trigger);
    match &run.schedule_name {
        Some(name) if run.actor.kind == "scheduler" => format!("{made} {name}"),
        Some(name) => format!("{made}, {} (schedule {name})", run.actor.name),
        None => format!("{made}, {}", run.actor.name),
    }
}

/// How late a run began after its instant, as in `3 min late`. `None` if it began within a minute of the instant.
pub fn late(run: &Run) -> Option<String> {
    /// The scheduler checks once per second and claims a due fire within a minute.
    const ON_TIME_MS: i64 = 60_000;
    let late = run.late_ms().filter(|late| *late >= ON_TIME_MS)?;
    Some(format!("{} late", view::span(late / 60_000 * 60)))
}

/// The usual duration, if the run took longer than usual. `None` otherwise.
pub fn slow(run: &Run, past: Option<&Past>) -> Option<String> {
    let (pace, took) = (past?.without(&run.id)?, run.duration_ms()?);
    let usual = view::duration(pace.median_ms);
    (run.state == RunState::Succeeded && pace.is_slow(took))
        .then(|| format!("slower than usual: half of the last {} took {usual} or less", pace.runs))
}

/// The reason of a run or a step, with its instants in the reader's time zone and format.
pub fn reason(text: &str, now: &Now) -> String {
    now.words(&spoken(text))
}

/// A short reason of a failed run for one line: the meaning of a Docker error in place of the error.
pub fn in_short(text: &str, now: &Now) -> String {
    let (name, error) = text.split_once(": ").unwrap_or(("", text));
    // The text becomes part of a sentence that has its own full stop.
    match plain(error).map(|meaning| meaning.trim_end_matches('.')) {
        Some(meaning) if name.is_empty() => meaning.to_owned(),
        Some(meaning) => format!("{name}: {meaning}"),
        None => reason(text, now),
    }
}

/// The reason of a run or a step without the prefixes that only programs read.
pub fn spoken(text: &str) -> String {
    /// The prefixes of reasons and their replacements for people.
    const BEGINS: [(&str, &str); 10] = [
        (
            "not_running: a restart acts on what runs",
            "it was not running, and a restart only acts on what runs",
        ),
        ("not running: a restart would start it", "it was not running, and a restart only acts on what runs"),
        ("nothing_napped: ", ""),
        ("held: ", ""),
        ("override: ", ""),
        ("over: ", "its time was over: "),
        ("uptime: ", "not up for long enough: "),
        ("duplicate: ", ""),
        ("skip: ", ""),
        ("calendar: ", ""),
    ];
    for (begin, instead) in BEGINS {
        if let Some(rest) = text.strip_prefix(begin) {
            return format!("{instead}{rest}");
        }
    }
    text.replace("not_running", "not running").replace("nothing_napped", "nothing was napping")
}

/// The meaning of a Docker error and what to do about it. `None` for an unknown error.
pub fn plain(error: &str) -> Option<&'static str> {
    /// Fragments of an error message, any of which identifies the error, and the meaning of the error.
    const KNOWN: [(&[&str], &str); 11] = [
        (
            &["no such image", "image not found", "manifest unknown"],
            "its image is not on this machine. Pull it again (docker compose pull), then retry.",
        ),
        (
            &["port is already allocated", "address already in use"],
            "another program uses a port it wants. Free that port or change it in the compose file, then retry.",
        ),
        (&["no space left"], "the disk is full. “docker system df” shows what takes the room."),
        (
            // Example of runc's message: exec: "/app": stat /app: no such file or directory.
            &["executable file not found", "exit code 127", "\": stat /"],
            "its program was not found in the image. Check its command and the version of its image.",
        ),
        (
            &["exit code 126", "permission denied"],
            "its program may not be executed. Check the permissions of its files.",
        ),
        (
            &["out of memory", "oom", "exit code 137"],
            "it was killed, perhaps for lack of memory. Give it more, or stop something else first.",
        ),
        (
            &["bind source path", "error mounting", "not a directory"],
            "a file or folder that it mounts is missing. Check its volumes, then retry.",
        ),
        (
            &["could not find network", "network not found", "no such network"],
            "a network it needs is gone. “docker compose up -d” makes it again.",
        ),
        (
            &["not allowed by the proxy", "authorization denied"],
            "the proxy in front of Docker does not allow this call. Allow it there, then retry.",
        ),
        (
            &["nobody listens on", "does not answer", "cannot be reached", "no socket at"],
            "Docker could not be reached. Once it answers again, retry.",
        ),
        (&["keeps restarting"], "its program ends right after each start. Its log says why."),
    ];
    let lower = error.to_lowercase();
    KNOWN.iter().find(|(marks, _)| marks.iter().any(|mark| lower.contains(mark))).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_shows_a_word_for_programs() {
        for (stored, shown) in [
            (
                "not_running: a restart acts on what runs",
                "it was not running, and a restart only acts on what runs",
            ),
            (
                "nothing_napped: DockNap put nothing of it to sleep, so nothing was started",
                "DockNap put nothing of it to sleep, so nothing was started",
            ),
            ("held: held as it is until 23:30: the move", "held as it is until 23:30: the move"),
            ("override: awake until 23:30", "awake until 23:30"),
            ("skip: this occurrence was dropped on purpose", "this occurrence was dropped on purpose"),
            ("calendar: its calendar drops this date", "its calendar drops this date"),
            ("busy: web at 63 % CPU", "busy: web at 63 % CPU"),
            ("media-web-1: it ended right after the start", "media-web-1: it ended right after the start"),
            ("", ""),
        ] {
            assert_eq!(spoken(stored), shown);
        }
    }

    #[test]
    fn errors_of_docker_are_told_in_plain_words() {
        let port = "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already \
                    allocated";
        assert!(plain(port).expect("known").contains("another program uses a port"));
        assert!(plain("No such image: shop:latest").expect("known").contains("Pull it again"));
        let text = in_short(
            "media-photos-1: Docker refused (400): exec: \"/nosuch\": stat /nosuch: no such file or directory",
            &Now::sample(),
        );
        assert!(text.starts_with("media-photos-1: its program was not found"), "{text}");
        assert!(!text.ends_with('.'), "{text}");
        let text = in_short("web: it ended right after the start", &Now::sample());
        assert_eq!(text, "web: it ended right after the start");
        assert!(plain("it was restarted within 3 s of its start").is_none(), "plain as it is");
    }
}
