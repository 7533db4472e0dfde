//! Cases of start, stop, restart, pause, unpause and of ends by themselves.

use docknap::sim::Restart;

use super::bench::{Bench, Program, Spec};
use crate::support::engine;

pub async fn every_call_in_every_state(bench: &mut Bench) {
    let id = bench.create("a", Spec::new(Program::Ends(0))).await;
    assert_eq!(bench.state("a").await, "created 0");
    assert_eq!(bench.status_text("a").await, "Created");
    assert_eq!(bench.post("a", "stop").await, (304, String::new()));
    assert_eq!(bench.post("a", "pause").await, (409, format!("Container {id} is not running")));
    assert_eq!(bench.post("a", "unpause").await, (500, format!("Container {id} is not paused")));
    assert_eq!(bench.post("a", "start").await, (204, String::new()));
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.status_text("a").await, "Up");
    assert_eq!(bench.does("a", "start").await, 304);
    assert_eq!(bench.post("a", "unpause").await, (500, format!("Container {id} is not paused")));
    assert_eq!(bench.history().await, ["create a", "start a"]);

    assert_eq!(bench.does("a", "pause").await, 204);
    assert_eq!(bench.state("a").await, "paused 0");
    assert_eq!(bench.status_text("a").await, "Up (Paused)");
    assert_eq!(bench.post("a", "pause").await, (409, format!("Container {id} is already paused")));
    let refused = (409, "cannot start a paused container, try unpause instead".to_owned());
    assert_eq!(bench.post("a", "start").await, refused);
    assert_eq!(bench.does("a", "unpause").await, 204);
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.history().await, ["pause a", "unpause a"]);

    assert_eq!(bench.does("a", "stop").await, 204);
    assert_eq!(bench.state("a").await, "exited 0");
    assert_eq!(bench.status_text("a").await, "Exited (0) ago");
    assert_eq!(bench.does("a", "stop").await, 304);
    assert_eq!(bench.does("a", "pause").await, 409);
    assert_eq!(bench.does("a", "unpause").await, 500);
    assert_eq!(bench.history().await, ["kill 15 a", "die 0 a", "stop a"]);

    assert_eq!(bench.does("a", "restart").await, 204, "a restart starts what is stopped");
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.history().await, ["start a", "restart a"]);
    let bad = bench.post("a", "stop?t=soon").await;
    assert_eq!(bad, (500, "strconv.Atoi: parsing \"soon\": invalid syntax".to_owned()));
    assert_eq!(bench.state("a").await, "running 0");
}

pub async fn stop_of_a_paused_container_works(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    bench.does("a", "start").await;
    bench.does("a", "pause").await;
    bench.history().await;
    assert_eq!(bench.does("a", "stop").await, 204);
    assert_eq!(bench.state("a").await, "exited 0");
    assert_eq!(bench.history().await, ["kill 15 a", "unpause a", "die 0 a", "stop a"]);

    bench.create("b", Spec::new(Program::Ignores)).await;
    bench.does("b", "start").await;
    bench.does("b", "pause").await;
    bench.history().await;
    assert_eq!(bench.does("b", "stop?t=1").await, 204);
    assert_eq!(bench.state("b").await, "exited 137");
    assert_eq!(bench.history().await, ["kill 15 b", "unpause b", "kill 9 b", "die 137 b", "stop b"]);
}

pub async fn restart_of_a_paused_container_works(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    bench.does("a", "start").await;
    bench.does("a", "pause").await;
    bench.history().await;
    assert_eq!(bench.does("a", "restart").await, 204);
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(
        bench.history().await,
        ["kill 15 a", "unpause a", "die 0 a", "stop a", "start a", "restart a"]
    );
}

pub async fn sigterm_ignored_ends_with_137(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ignores)).await;
    for grace in [1, 0] {
        assert_eq!(bench.does("a", "start").await, 204);
        assert_eq!(bench.state("a").await, "running 0");
        bench.history().await;
        assert_eq!(bench.does("a", &format!("stop?t={grace}")).await, 204);
        assert_eq!(bench.state("a").await, "exited 137");
        assert_eq!(bench.status_text("a").await, "Exited (137) ago");
        assert_eq!(bench.history().await, ["kill 15 a", "kill 9 a", "die 137 a", "stop a"]);
    }
}

pub async fn own_grace_is_used_without_t(bench: &mut Bench) {
    bench.create("a", Spec { stop_timeout: Some(1), ..Spec::new(Program::Ends(4)) }).await;
    bench.does("a", "start").await;
    assert_eq!(bench.does("a", "stop").await, 204);
    assert_eq!(bench.state("a").await, "exited 137");
    bench.does("a", "start").await;
    bench.history().await;
    assert_eq!(bench.does("a", "stop?t=20").await, 204);
    assert_eq!(bench.state("a").await, "exited 0");
    assert_eq!(bench.history().await, ["kill 15 a", "die 0 a", "stop a"]);
}

pub async fn restart_of_a_running_container(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    bench.does("a", "start").await;
    bench.history().await;
    assert_eq!(bench.does("a", "restart").await, 204);
    assert_eq!(bench.state("a").await, "running 0");
    let seen = bench.history().await;
    assert_eq!(seen, ["kill 15 a", "die 0 a", "stop a", "start a", "restart a"]);
    bench.create("b", Spec::new(Program::Ignores)).await;
    bench.does("b", "start").await;
    bench.history().await;
    assert_eq!(bench.does("b", "restart?t=1").await, 204);
    let seen = bench.history().await;
    assert_eq!(seen, ["kill 15 b", "kill 9 b", "die 137 b", "stop b", "start b", "restart b"]);
}

pub async fn a_start_the_runtime_refuses(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Missing)).await;
    let (status, message) = bench.post("a", "start").await;
    assert_eq!(status, 400);
    assert!(message.contains("no such file or directory"), "{message}");
    assert_eq!(bench.state("a").await, "created 127");
    let error = bench.inspect("a").await.state.and_then(|state| state.error);
    assert_eq!(error.as_deref(), Some(message.as_str()));
    let (status, again) = bench.post("a", "restart").await;
    assert_eq!((status, again), (500, format!("Cannot restart container {}: {message}", bench.name("a"))));
    assert_eq!(bench.history().await, ["create a"]);
}

pub async fn a_start_that_exits_at_once(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Exits(0, 3))).await;
    assert_eq!(bench.does("a", "start").await, 204, "204 is not success");
    assert_eq!(bench.until("die 3 a").await, ["create a", "start a", "die 3 a"]);
    assert_eq!(bench.state("a").await, "exited 3");
}

pub async fn an_end_after_a_second(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Exits(1, 4))).await;
    assert_eq!(bench.does("a", "start").await, 204);
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.until("die 4 a").await, ["create a", "start a", "die 4 a"]);
    assert_eq!(bench.state("a").await, "exited 4");
    assert_eq!(bench.does("a", "stop").await, 304);
}

pub async fn a_crash_loop_says_304(bench: &mut Bench) {
    let id = bench.create("a", Spec { restart: Restart::Always, ..Spec::new(Program::Exits(0, 5)) }).await;
    assert_eq!(bench.does("a", "start").await, 204);
    for _ in 0..4 {
        bench.until("die 5 a").await;
    }
    // The next restart is 800 ms away.
    assert_eq!(bench.state("a").await, "restarting 5");
    assert_eq!(bench.status_text("a").await, "Restarting (5) ago");
    assert_eq!(bench.does("a", "start").await, 304);
    let pause = (409, format!("Container {id} is restarting, wait until the container is running"));
    assert_eq!(bench.post("a", "pause").await, pause);
    assert_eq!(bench.does("a", "unpause").await, 500);
    assert_eq!(bench.inspect("a").await.restart_count, Some(4));
    assert_eq!(bench.does("a", "stop").await, 204);
    assert_eq!(bench.state("a").await, "exited 5");
    assert_eq!(bench.history().await, ["stop a"]);
    assert_eq!(bench.does("a", "start").await, 204);
    assert_eq!(bench.until("die 5 a").await, ["start a", "die 5 a"]);
    assert_eq!(bench.inspect("a").await.restart_count, Some(1), "a start counts anew");
}

pub async fn on_failure_gives_up(bench: &mut Bench) {
    bench.create("a", Spec { restart: Restart::OnFailure(2), ..Spec::new(Program::Exits(0, 5)) }).await;
    bench.does("a", "start").await;
    for _ in 0..3 {
        bench.until("die 5 a").await;
    }
    assert_eq!(bench.state("a").await, "exited 5");
    assert_eq!(bench.inspect("a").await.restart_count, Some(2));
}

pub async fn a_one_shot_is_not_restarted(bench: &mut Bench) {
    bench.create("a", Spec { restart: Restart::OnFailure(0), ..Spec::new(Program::Exits(1, 0)) }).await;
    bench.does("a", "start").await;
    bench.until("die 0 a").await;
    assert_eq!(bench.state("a").await, "exited 0");
    assert_eq!(bench.status_text("a").await, "Exited (0) ago");
}

pub async fn a_stop_outlives_its_caller(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(2))).await;
    bench.does("a", "start").await;
    let path = format!("/containers/{}/stop?t=30", bench.name("a"));
    let caller = engine::send(&bench.socket, "POST", &path).await;
    assert_eq!(bench.until("kill 15 a").await, ["create a", "start a", "kill 15 a"]);
    drop(caller);
    assert_eq!(bench.does("a", "start").await, 304);
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.until("stop a").await, ["die 0 a", "stop a"]);
    assert_eq!(bench.state("a").await, "exited 0");
}

pub async fn two_stops_at_once(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(2))).await;
    bench.does("a", "start").await;
    let path = format!("/containers/{}/stop?t=30", bench.name("a"));
    let first = tokio::spawn({
        let socket = bench.socket.clone();
        async move { engine::call(&socket, "POST", &path).await.status }
    });
    bench.until("kill 15 a").await;
    assert_eq!(bench.does("a", "stop?t=30").await, 204);
    assert_eq!(first.await.expect("the task ends"), 204);
    assert_eq!(bench.history().await, ["kill 15 a", "die 0 a", "stop a", "stop a"]);
}

pub async fn a_restart_outlives_its_caller(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(1))).await;
    bench.does("a", "start").await;
    let path = format!("/containers/{}/restart?t=30", bench.name("a"));
    let caller = engine::send(&bench.socket, "POST", &path).await;
    bench.until("kill 15 a").await;
    drop(caller);
    assert_eq!(bench.until("restart a").await, ["die 0 a", "stop a", "start a", "restart a"]);
    assert_eq!(bench.state("a").await, "running 0");
}

pub async fn a_pause_within_the_grace(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(2))).await;
    bench.does("a", "start").await;
    let path = format!("/containers/{}/stop?t=30", bench.name("a"));
    let caller = engine::send(&bench.socket, "POST", &path).await;
    bench.until("kill 15 a").await;
    assert_eq!(bench.does("a", "pause").await, 204);
    assert_eq!(bench.does("a", "unpause").await, 204);
    assert_eq!(bench.until("stop a").await, ["pause a", "unpause a", "die 0 a", "stop a"]);
    drop(caller);
}

pub async fn a_kill_is_not_undone_by_the_policy(bench: &mut Bench) {
    bench.create("a", Spec { restart: Restart::Always, ..Spec::new(Program::Ends(0)) }).await;
    bench.does("a", "start").await;
    bench.history().await;
    bench.kill("a").await;
    bench.until("die 137 a").await;
    assert_eq!(bench.state("a").await, "exited 137");
}

pub async fn an_end_by_itself_is_undone_by_the_policy(bench: &mut Bench) {
    for (name, restart) in
        [("a", Restart::Always), ("u", Restart::UnlessStopped), ("f", Restart::OnFailure(0))]
    {
        bench.create(name, Spec { restart, ..Spec::new(Program::Exits(1, 6)) }).await;
        bench.does(name, "start").await;
        bench.until(&format!("start {name}")).await;
        let seen = bench.until(&format!("start {name}")).await;
        assert_eq!(seen, [format!("die 6 {name}"), format!("start {name}")]);
        assert_eq!(bench.does(name, "stop?t=0").await, 204);
        assert!(bench.state(name).await.starts_with("exited"));
        bench.history().await;
    }
}

pub async fn auto_remove(bench: &mut Bench) {
    bench.create("a", Spec { auto_remove: true, ..Spec::new(Program::Ends(0)) }).await;
    bench.does("a", "start").await;
    assert_eq!(bench.does("a", "restart").await, 204);
    assert_eq!(bench.state("a").await, "running 0");
    bench.history().await;
    assert_eq!(bench.does("a", "stop").await, 204);
    // The real Engine removes in the background: `stop` and `destroy` may change places.
    let mut seen = bench.history().await;
    if seen.len() == 3 {
        seen.extend(bench.until("destroy a").await);
    }
    seen[2..].sort_by(|a, b| b.cmp(a));
    assert_eq!(seen, ["kill 15 a", "die 0 a", "stop a", "destroy a"]);
    assert_eq!(bench.does("a", "start").await, 404);
}
