//! What the program relies on of a Docker Engine, as cases that run against the simulated Engine and a real one: if
//! both pass, the simulated one may stand in for it (semantics §6).

mod bench;
mod cases;
mod daemon;
mod life;
mod podman;

/// Makes two tests of a case: `simulated::<case>` and `real::<case>`.
macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod simulated {
            $(
                #[tokio::test]
                async fn $case() {
                    let mut bench = super::bench::Bench::simulated(stringify!($case)).await;
                    super::$module::$case(&mut bench).await;
                }
            )*
        }
        mod real {
            $(
                #[tokio::test]
                async fn $case() {
                    let mut bench = super::bench::Bench::real(stringify!($case)).await;
                    super::$module::$case(&mut bench).await;
                    bench.clear().await;
                }
            )*
        }
    };
}

contract! {
    life::every_call_in_every_state,
    life::stop_of_a_paused_container_works,
    life::restart_of_a_paused_container_works,
    life::sigterm_ignored_ends_with_137,
    life::own_grace_is_used_without_t,
    life::restart_of_a_running_container,
    life::a_start_the_runtime_refuses,
    life::a_start_that_exits_at_once,
    life::an_end_after_a_second,
    life::a_crash_loop_says_304,
    life::on_failure_gives_up,
    life::a_one_shot_is_not_restarted,
    life::a_stop_outlives_its_caller,
    life::two_stops_at_once,
    life::a_restart_outlives_its_caller,
    life::a_pause_within_the_grace,
    life::a_kill_is_not_undone_by_the_policy,
    life::an_end_by_itself_is_undone_by_the_policy,
    life::auto_remove,
    cases::health_is_stale_when_nothing_runs,
    cases::never_healthy,
    cases::a_shared_network,
    cases::shared_namespaces,
    cases::look_up_by_name_id_and_prefix,
    cases::unknown_containers,
    cases::a_rename,
    cases::output,
    cases::output_of_a_terminal,
    cases::the_list,
    cases::fields_of_inspect,
    cases::fields_of_an_event,
    cases::events_since_and_until,
    cases::one_sample,
    cases::how_busy_it_is,
    cases::versions,
}

mod daemon_restarts {
    use docknap::sim::DaemonEnd;

    use super::bench::Bench;
    use super::daemon::restart_policies;

    #[tokio::test]
    async fn simulated_graceful() {
        restart_policies(Bench::simulated("graceful").await, DaemonEnd::Graceful).await;
    }

    #[tokio::test]
    async fn simulated_crash() {
        restart_policies(Bench::simulated("crash").await, DaemonEnd::Crash).await;
    }

    #[tokio::test]
    async fn real_graceful() {
        restart_policies(Bench::own("graceful").await, DaemonEnd::Graceful).await;
    }

    #[tokio::test]
    async fn real_crash() {
        restart_policies(Bench::own("crash").await, DaemonEnd::Crash).await;
    }
}
