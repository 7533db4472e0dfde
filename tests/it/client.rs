//! The API as programs of others see it: its description, judged by a validator, and a client that a generator makes
//! from it. `DOCKNAP_TEST_PYTHON` names a Python with both; `scripts/test` makes one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::site::{ADMIN, PASSWORD, Sample, Site};

const BILLING: Sample = Sample { project: "billing-stack", file: "examples/billing-stack/compose.yaml" };
const DESCRIPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/api/openapi.json");

fn python() -> Command {
    let python = std::env::var("DOCKNAP_TEST_PYTHON").expect(
        "DOCKNAP_TEST_PYTHON names no Python with tests/client/requirements.txt; scripts/test makes one",
    );
    Command::new(python)
}

/// Runs it to its end, and answers what it printed.
fn output(mut command: Command) -> String {
    let output = command.output().expect("Python starts");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

#[test]
fn the_description_is_valid() {
    let mut command = python();
    command.args(["-m", "openapi_spec_validator", DESCRIPTION]);
    assert!(output(command).contains("OK"));
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_answer_says_what_it_means() {
    let text = std::fs::read(DESCRIPTION).expect("reads");
    let description: Value = serde_json::from_slice(&text).expect("JSON");
    let mut names = BTreeSet::new();
    for (path, calls) in description["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            let name = call["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            assert!(name.contains('_') || name == "simulate", "{name} says what is done to what");
            let answers = call["responses"].as_object().expect("answers");
            assert!(answers.contains_key("default"), "{method} {path}");
            for (status, answer) in answers {
                let place = format!("{method} {path} {status}");
                assert!(!answer["description"].as_str().unwrap_or_default().is_empty(), "{place}");
                let kinds = answer["content"].as_object().into_iter().flatten();
                for (kind, content) in kinds {
                    let is_problem = content["schema"]["$ref"] == "#/components/schemas/Problem";
                    assert_eq!(is_problem, !status.starts_with('2'), "{place}");
                    assert_eq!(is_problem, kind == "application/problem+json", "{place}");
                }
            }
        }
    }
    assert!(names.len() > 45, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_client_does_the_main_job_and_every_answer_is_as_described() {
    let site = Site::new(BILLING).await;
    site.until_stack("running").await;
    let mut command = python();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/main_job.py");
    command.arg(script).args([site.address(), ADMIN, PASSWORD, BILLING.project]);
    let told = tokio::task::spawn_blocking(|| output(command)).await.expect("it ends");
    assert!(told.contains("are as described"), "{told}");
    site.finish().await;
}
