//! What a restart of the daemon revives: the matrix of semantics §6.

use docknap::sim::{DaemonEnd, Restart};

use super::bench::{Bench, Program, Spec};

/// Restart policies, with the first letter of their containers.
const POLICIES: [(&str, Restart); 4] =
    [("n", Restart::No), ("a", Restart::Always), ("f", Restart::OnFailure(0)), ("u", Restart::UnlessStopped)];

pub async fn restart_policies(mut bench: Bench, end: DaemonEnd) {
    for (letter, restart) in POLICIES {
        let runs = Spec { restart, ..Spec::new(Program::Ends(0)) };
        for name in ["runs", "stopped", "paused"] {
            let name = format!("{name}-{letter}");
            bench.create(&name, runs.clone()).await;
            assert_eq!(bench.does(&name, "start").await, 204);
        }
        bench.does(&format!("stopped-{letter}"), "stop").await;
        bench.does(&format!("paused-{letter}"), "pause").await;
        bench.create(&format!("created-{letter}"), runs).await;
        let stubborn = Spec { restart, stop_timeout: Some(1), ..Spec::new(Program::Ignores) };
        bench.create(&format!("killed-{letter}"), stubborn).await;
        bench.does(&format!("killed-{letter}"), "start").await;
    }
    bench.create("once", Spec { auto_remove: true, ..Spec::new(Program::Ends(0)) }).await;
    bench.does("once", "start").await;
    bench.create("never", Spec { auto_remove: true, ..Spec::new(Program::Ends(0)) }).await;
    bench.restart_daemon(end).await;

    let mut seen = Vec::new();
    for kind in ["runs", "killed", "paused", "stopped", "created"] {
        let mut row = vec![format!("{kind:8}")];
        for (letter, _) in POLICIES {
            row.push(bench.state(&format!("{kind}-{letter}")).await);
        }
        seen.push(row.join(" | "));
    }
    // no | always | on-failure | unless-stopped
    let expected = match end {
        DaemonEnd::Graceful => [
            "runs     | exited 0 | running 0 | exited 0 | running 0",
            "killed   | exited 137 | running 0 | running 0 | running 0",
            "paused   | exited 0 | running 0 | exited 0 | running 0",
            "stopped  | exited 0 | running 0 | exited 0 | exited 0",
            "created  | created 0 | created 0 | created 0 | created 0",
        ],
        DaemonEnd::Crash => [
            "runs     | exited 0 | running 0 | exited 0 | exited 0",
            "killed   | exited 137 | running 0 | running 0 | exited 137",
            "paused   | exited 0 | running 0 | exited 0 | exited 0",
            "stopped  | exited 0 | running 0 | exited 0 | exited 0",
            "created  | created 0 | created 0 | created 0 | created 0",
        ],
    };
    assert_eq!(seen, expected);

    // Nothing of before is kept. After a crash the ends that the start itself made are told as if by somebody's hand.
    let told = bench.kept().await;
    let of = |name: &str| -> Vec<&str> {
        told.iter().filter(|(_, of)| of == name).map(|(action, _)| action.as_str()).collect()
    };
    let ended = if end == DaemonEnd::Crash { &["kill", "die", "stop"][..] } else { &[] };
    assert_eq!(of("runs-n"), ended, "{told:?}");
    assert_eq!(of("runs-a"), [ended, &["start"]].concat(), "{told:?}");
    assert_eq!(of("created-a"), [] as [&str; 0]);
    assert_eq!(bench.does("once", "start").await, 404);
    assert_eq!(bench.does("never", "start").await, 404);
}
