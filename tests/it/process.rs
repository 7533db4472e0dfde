//! The program as a shell sees it: commands, exit codes, what it prints, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use docknap::clock::Clock;
use docknap::sim::{Engine, World};

const PASSWORD: &str = "a walk along the harbour";

/// The program, with no setting but a data directory and a port of its own.
fn docknap(home: &Path) -> Command {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_docknap"));
    command
        .env_clear()
        .current_dir(home)
        .env("DOCKNAP_DATA_DIR", home.join("data"))
        .env("DOCKNAP_LISTEN", format!("127.0.0.1:{port}"))
        .env("DOCKER_HOST", format!("unix://{}", home.join("docker.sock").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sends a process a signal.
fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// A server that ends with the test.
struct Server {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Server {
    /// Starts it, and waits until it says where it serves.
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut server = Self { child, log, said: String::new() };
        server.wait_for("serving on http://");
        server
    }

    /// The first line with `text`, said already or still to come.
    fn wait_for(&mut self, text: &str) -> String {
        if let Some(line) = self.said.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        loop {
            let mut line = String::new();
            let count = self.log.read_line(&mut line).expect("the log is text");
            assert!(count > 0, "it ended without saying `{text}`:\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        send(&self.child, signal);
    }

    /// Its exit code and the rest of its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("the log is text");
        let code = self.child.wait().expect("it ends").code();
        (code, rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_is_healthy_and_ends_well_although_docker_is_away() {
    let home = home();
    let mut command = docknap(home.path());
    let ask = |command: &mut Command| command.output().expect("it runs").status.code();
    let mut healthcheck = {
        let mut again = Command::new(env!("CARGO_BIN_EXE_docknap"));
        again.arg("healthcheck").env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                again.env(name, value);
            }
        }
        again
    };
    assert_eq!(ask(&mut healthcheck), Some(1), "nothing serves yet");
    let server = Server::start(&mut command);
    assert_eq!(ask(&mut healthcheck), Some(0));
    for private in ["docknap.db", "secret.key", "setup-token"] {
        let mode =
            std::fs::metadata(home.path().join("data").join(private)).expect(private).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private} is its owner's alone");
    }
    let clock = Clock::system();
    let began = clock.monotonic();
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        clock.monotonic().saturating_sub(began) < Duration::from_secs(7),
        "it took {:?}",
        clock.monotonic().saturating_sub(began)
    );
    assert!(log.contains("stopped"), "{log}");
    assert_eq!(ask(&mut healthcheck), Some(1));
    assert!(!home.path().join("data/docknap.db-wal").exists(), "the log is folded in");
}

#[test]
fn the_version_names_the_time_zone_database_of_which_the_newer_wins() {
    let home = home();
    let said = |directory: &Path| {
        let output = docknap(home.path()).arg("version").env("TZDIR", directory).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let inside = said(Path::new("/nowhere"));
    let lines: Vec<&str> = inside.lines().collect();
    assert_eq!(lines[0], format!("docknap {}", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].starts_with("time zones 20"), "{inside}");
    let system = home.path().join("zoneinfo");
    std::fs::create_dir_all(system.join("America")).expect("a directory");
    std::fs::copy("/usr/share/zoneinfo/America/New_York", system.join("America/New_York")).expect("tzdata");
    for (line, shown) in [
        ("# version 2999b\n", format!("2999b, of the system ({})", system.display())),
        ("# version 1999b\n", "inside the program".to_owned()),
    ] {
        std::fs::write(system.join("tzdata.zi"), line).expect("it can be written");
        assert!(said(&system).contains(&shown), "{line}{}", said(&system));
    }
}

#[test]
fn a_second_process_on_the_same_database_is_refused() {
    let home = home();
    let server = Server::start(docknap(home.path()).arg("serve"));
    let second = docknap(home.path()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(69), "{}", stderr(&second));
    assert!(stderr(&second).contains("another DockNap serves from"), "{}", stderr(&second));
    server.signal("INT");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn every_wrong_setting_is_named_at_once_with_exit_code_78() {
    let home = home();
    let output = docknap(home.path())
        .env("TZ", "Mars/Olympus")
        .env("DOCKNAP_PASSWORD_MIN", "8")
        .args(["--parallelism", "0"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    let said = stderr(&output);
    for name in ["TZ:", "DOCKNAP_PASSWORD_MIN:", "--parallelism:"] {
        assert!(said.contains(name), "{name} is not in {said}");
    }
    assert!(!home.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_first_admin_whose_password_breaks_the_policy_is_refused_with_the_rule() {
    let home = home();
    let output = docknap(home.path())
        .env("DOCKNAP_ADMIN_USERNAME", "ada")
        .env("DOCKNAP_ADMIN_PASSWORD", "short")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("at least 15 characters"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("short\""), "{}", stderr(&output));
}

#[test]
fn a_data_directory_that_cannot_be_written_is_69_with_the_line_that_mends_it() {
    let home = home();
    std::fs::write(home.path().join("data"), "a file").expect("it can be written");
    let output = docknap(home.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let file = format!("the data directory {} cannot be used", home.path().join("data").display());
    let said = stderr(&output);
    assert!(said.contains(&file) && said.contains("A file is where a directory is needed"), "{said}");
    assert!(!said.contains("chown"), "an owner is not what is wrong: {said}");
}

#[test]
fn a_second_process_by_another_name_of_the_same_database_is_refused() {
    let home = home();
    let server = Server::start(docknap(home.path()).arg("serve"));
    let file = home.path().join("data/docknap.db");
    for name in ["symbolic", "hard"] {
        let elsewhere = home.path().join(name);
        std::fs::create_dir(&elsewhere).expect("it can be made");
        let link = elsewhere.join("docknap.db");
        match name {
            "symbolic" => std::os::unix::fs::symlink(&file, &link),
            _ => std::fs::hard_link(&file, &link),
        }
        .expect("it can be linked");
        let second = docknap(home.path()).env("DOCKNAP_DATA_DIR", &elsewhere).output().expect("it runs");
        assert_eq!(second.status.code(), Some(69), "{name}: {}", stderr(&second));
        assert!(stderr(&second).contains("another DockNap serves from"), "{name}: {}", stderr(&second));
    }
    let made = user(home.path(), &["create", "ada", "--role", "admin"], PASSWORD);
    assert_eq!(made.status.code(), Some(0), "the command line goes on: {}", stderr(&made));
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_server_that_says_nothing_is_given_up_after_ten_seconds() {
    let home = home();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it has one");
    let url = format!("postgres://nap:hunter2hunter2@{address}/nap");
    let clock = Clock::system();
    let began = clock.monotonic();
    let output = docknap(home.path()).env("DOCKNAP_DATABASE_URL", url).output().expect("it runs");
    let took = clock.monotonic().saturating_sub(began);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains(&format!("the PostgreSQL server at {address} did not answer within 10 s")),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    assert!((10..20).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn a_database_that_cannot_be_reached_is_69_and_says_why_without_the_password() {
    let home = home();
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let url = format!("postgres://nap:hunter2hunter2@127.0.0.1:{port}/nap");
    let output = docknap(home.path()).env("DOCKNAP_DATABASE_URL", url).output().expect("it runs");
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains("refused"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}

#[test]
fn a_wrong_command_line_is_2_and_a_secret_has_no_flag() {
    let home = home();
    for args in [&["--secret-key", "x"][..], &["serve", "--lisen", "x"], &["backup"], &["frobnicate"]] {
        let output = docknap(home.path()).args(args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

/// Runs `docknap user …` with a password on standard input.
fn user(home: &Path, args: &[&str], password: &str) -> Output {
    let mut child = docknap(home).arg("user").args(args).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that refuses before it reads closes its end: that is no failure of the test.
    let _ = stdin.write_all(format!("{password}\n").as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn accounts_are_kept_from_the_command_line_while_the_server_runs() {
    let home = home();
    let server = Server::start(&mut docknap(home.path()));
    let made = user(home.path(), &["create", "ada", "--role", "admin"], PASSWORD);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let twice = user(home.path(), &["create", "Ada", "--role", "viewer"], PASSWORD);
    assert_eq!(twice.status.code(), Some(1), "names differ by more than case");
    let weak = user(home.path(), &["create", "bob", "--role", "viewer"], "short");
    assert_eq!(weak.status.code(), Some(1));
    assert!(stderr(&weak).contains("at least 15 characters"), "{}", stderr(&weak));
    let role = user(home.path(), &["create", "bob", "--role", "king"], PASSWORD);
    assert_eq!(role.status.code(), Some(2));
    let reset = user(home.path(), &["reset-password", "ada"], "another walk, elsewhere");
    assert_eq!(reset.status.code(), Some(0), "{}", stderr(&reset));
    let unlocked = user(home.path(), &["unlock", "ada"], "");
    assert_eq!(unlocked.status.code(), Some(0), "{}", stderr(&unlocked));
    let unknown = user(home.path(), &["unlock", "nobody"], "");
    assert_eq!(unknown.status.code(), Some(1));
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_backup_of_the_running_server_can_be_restored_once_it_has_ended() {
    let home = home();
    let copy = home.path().join("copy.db");
    let server = Server::start(&mut docknap(home.path()));
    let kept = docknap(home.path()).arg("backup").arg(&copy).output().expect("it runs");
    assert_eq!(kept.status.code(), Some(0), "{}", stderr(&kept));
    let refused = docknap(home.path()).arg("restore").arg(&copy).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("stop it first"), "{}", stderr(&refused));
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    let restored = docknap(home.path()).arg("restore").arg(&copy).output().expect("it runs");
    assert_eq!(restored.status.code(), Some(0), "{}", stderr(&restored));
    let again = Server::start(&mut docknap(home.path()));
    again.signal("TERM");
    assert_eq!(again.end().0, Some(0));
}

#[test]
fn a_start_takes_an_accepted_backup_and_locks_the_new_file() {
    let home = home();
    let (data, copy) = (home.path().join("data"), home.path().join("copy.db"));
    let server = Server::start(&mut docknap(home.path()));
    let kept = docknap(home.path()).arg("backup").arg(&copy).output().expect("it runs");
    assert_eq!(kept.status.code(), Some(0), "{}", stderr(&kept));
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    std::fs::copy(&copy, data.join("docknap.db.next-restore")).expect("it is copied");
    let again = Server::start(&mut docknap(home.path()));
    assert!(data.join("docknap.db.before-restore").exists());
    assert!(!data.join("docknap.db.next-restore").exists());
    let refused = docknap(home.path()).arg("restore").arg(&copy).output().expect("it runs");
    assert!(stderr(&refused).contains("stop it first"), "{}", stderr(&refused));
    again.signal("TERM");
    assert_eq!(again.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_the_engine_its_settings_name() {
    let home = home();
    let world = World::new().container("web", |container| container);
    let engine =
        Engine::start(&home.path().join("docker.sock"), Clock::system(), world).await.expect("it starts");
    let mut server = Server::start(&mut docknap(home.path()));
    let line = server.wait_for("connected to Docker");
    assert!(line.contains("host=local"), "{line}");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    engine.stop().await;
}

#[test]
fn it_ends_well_where_nobody_reads_its_log_any_more() {
    let home = home();
    let mut child = docknap(home.path()).spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    assert!(log.any(|line| line.expect("the log is text").contains("serving on http://")));
    drop(log);
    send(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn the_demo_needs_nothing_prints_its_login_and_leaves_nothing() {
    let home = home();
    let temporary = home.path().join("tmp");
    std::fs::create_dir(&temporary).expect("it can be made");
    let mut command = docknap(home.path());
    command.arg("demo").env("TMPDIR", &temporary);
    let mut server = Server::start(&mut command);
    server.wait_for("connected to Docker");
    server.signal("TERM");
    let mut said = String::new();
    server.child.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    assert_eq!(server.end().0, Some(0));
    assert!(said.contains("Docker is simulated") && said.contains("first login: admin / "), "{said}");
    assert_eq!(std::fs::read_dir(&temporary).expect("it is there").count(), 0, "nothing is left");
    assert!(!home.path().join("data").exists());
}

#[test]
fn explain_answers_on_stdout_and_complains_on_stderr() {
    let home = home();
    let explain = |args: &[&str]| docknap(home.path()).arg("explain").args(args).output().expect("it runs");
    let right = explain(&["0 23 * * *", "--after", "2027-01-01T00:00:00Z", "--count", "1", "--json"]);
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));
    let json: serde_json::Value = serde_json::from_slice(&right.stdout).expect("JSON");
    assert_eq!(json["next"], serde_json::json!(["2027-01-01T23:00:00Z"]));
    let words = [
        "sleep 23:00-07:00",
        "--after",
        "2027-01-01T00:00:00Z",
        "--count",
        "1",
        "--json",
        "--timezone",
        "UTC",
    ];
    let json: serde_json::Value = serde_json::from_slice(&explain(&words).stdout).expect("JSON");
    assert_eq!(json["state"], "asleep");
    assert_eq!(json["transitions"], serde_json::json!([{"at": "2027-01-01T07:00:00Z", "state": "awake"}]));
    let wrong = explain(&["sleep 25:00-07:00"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty() && stderr(&wrong).starts_with("error: window: "), "{}", stderr(&wrong));
    let wrong = explain(&["0 25 * * *"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty() && stderr(&wrong).starts_with("error: hour: "), "{}", stderr(&wrong));
}

#[test]
fn rules_go_out_and_come_back_by_command() {
    let home = home();
    std::fs::create_dir_all(home.path().join("data")).expect("a directory");
    let ask = |args: &[&str]| {
        let output = docknap(home.path()).args(args).output().expect("it runs");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), stdout, stderr(&output))
    };
    let write = |text: &str| std::fs::write(home.path().join("rules.yaml"), text).expect("it is written");
    let (code, empty, said) = ask(&["export"]);
    assert_eq!((code, empty.lines().next()), (Some(0), Some("version: 1")), "{said}");

    write("version: 1\nlocks:\n  - {target_type: stack, target_id: media, reason: \"on purpose\"}\n");
    let (code, plan, said) = ask(&["diff", "rules.yaml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(plan.contains("create lock media\n"), "{plan}");
    assert_eq!(ask(&["import", "rules.yaml", "--dry-run"]).0, Some(0));
    assert_eq!(ask(&["export"]).1, empty, "a dry run changes nothing");
    assert_eq!(ask(&["import", "rules.yaml"]).0, Some(0));
    let (code, plan, said) = ask(&["diff", "rules.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(plan.starts_with("Nothing changes"), "{plan}");
    let (_, whole, _) = ask(&["export", "whole.yaml"]);
    let whole = (whole, std::fs::read_to_string(home.path().join("whole.yaml")).expect("it is written"));
    assert!(whole.0.is_empty() && whole.1.contains("reason: \"on purpose\""), "{whole:?}");

    write("version: 1\nlocks:\n  - {target_type: stack}\n  - {target_type: host, target_id: local}\n");
    for command in ["diff", "import"] {
        let (code, _, said) = ask(&[command, "rules.yaml"]);
        assert_eq!(code, Some(2), "{said}");
        let faults: Vec<&str> =
            said.lines().filter(|line| line.starts_with("docknap: rules.yaml: ")).collect();
        assert!(faults.len() == 2 && faults[0].contains("locks[0].target_id: line 3: "), "{said}");
    }
    let rules = home.path().join("rules");
    std::fs::create_dir(&rules).expect("a directory");
    let put = |text: &str| std::fs::write(rules.join("a.yaml"), text).expect("it is written");
    put("version: 1\nlocks:\n  - {target_type: stack, target_id: media, reason: \"on purpose\"}\n");
    let (code, plan, said) = ask(&["diff", "rules"]);
    assert_eq!(code, Some(0), "{plan}{said}");
    put("version: 1\nlocks:\n  - {target_type: stack, target_id: wiki}\n");
    assert_eq!(ask(&["diff", "rules"]).0, Some(1));
    put("version: 1\nlocks:\n  - {target_type: stack}\n");
    let (code, _, said) = ask(&["diff", "rules"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("a.yaml: locks[0].target_id: line 3: "), "{said}");

    write("0 23 * * * docker stop web\n0 3 * * * backup.sh\n");
    let (code, plan, said) = ask(&["import", "rules.yaml", "--from", "crontab", "--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        plan.contains("not understood, line 2: ") && plan.contains("create schedule Stop web\n"),
        "{plan}"
    );
    assert_eq!(ask(&["import", "none.yaml"]).0, Some(2));
}
