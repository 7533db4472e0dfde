//! A start for which something is missing that is not the container: Docker's own words say what.

use docknap::domain::action::Action;
use docknap::domain::run::{RunState, StepState};
use docknap::sim::{ContainerSpec, Endpoint, Fault, World};

use crate::support::bench::Bench;
use crate::support::site::{PATIENCE, Sample, Site};
use crate::support::wait;

const DEVICE: &str = "error gathering device information while adding custom device \"/dev/ttyUSB0\": \
                      no such file or directory";

#[tokio::test]
async fn a_device_that_is_missing_is_told_in_dockers_words_whatever_the_status() {
    for status in [400, 404, 409, 500] {
        let world = World::new().stack("home", |s| {
            s.service("zigbee", ContainerSpec::stopped).service("panel", |c| c.stopped().depends_on("zigbee"))
        });
        let bench = Bench::new("2027-03-02T12:00:00Z", world).await;
        bench.sim.fault(Fault::status(status, DEVICE).on(Endpoint::Start).container("home-zigbee-1"));
        let (run, steps) = bench.carry_out(Action::Start, Bench::stack("home")).await;
        let error = steps[0].error.as_deref().unwrap_or_default();
        assert!(error.contains(DEVICE) && !error.contains("gone"), "{status}: {error}");
        assert_eq!((steps[0].state, steps[1].state), (StepState::Failed, StepState::Skipped), "{status}");
        assert_eq!(run.state, RunState::Failed, "{status}: {run:?}");
        // Once it is plugged in, the next start does.
        bench.sim.clear_faults();
        let (run, _) = bench.carry_out(Action::Start, Bench::stack("home")).await;
        assert_eq!(run.state, RunState::Succeeded, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_missing_is_told_in_dockers_words_on_a_real_engine() {
    let site = Site::new(Sample { project: "device", file: "tests/samples/tunnel.yaml" }).await;
    let options = ["create", "--name", "no-device", "--device", "/dev/docknap-none"];
    site.docker(&[&options[..], &["docknap-test/busybox:1", "sleep", "100"]].concat());
    site.known("no-device").await;
    wait::until("it is seen", PATIENCE, async || site.shown("no-device").await["state"] == "created").await;
    let run = site.act("/api/containers/local/no-device/start").await;
    assert_eq!(run["state"], "failed", "{run:#}");
    let error = run["steps"][0]["error"].as_str().unwrap_or_default();
    assert!(error.contains("/dev/docknap-none") && !error.contains("gone"), "{error}");
    site.docker(&["rm", "--force", "no-device"]);
    site.finish().await;
}
