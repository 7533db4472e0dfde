use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads settings from these flags, variables and files.
fn load(flags: &[(&str, &str)], env: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Loaded, Vec<Fault>> {
    let files = map(files);
    Config::load(&Given { flags: map(flags), env: map(env) }, &|path| {
        files
            .get(path.to_str().expect("the tests' paths are UTF-8"))
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    })
}

fn faults(env: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
    load(&[], env, files).expect_err("there is a fault").iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_set_gives_the_defaults_of_the_table() {
    let config = load(&[], &[], &[]).expect("the defaults are valid").config;
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.base_path(), "");
    assert_eq!(config.database_file(), Some(PathBuf::from("./data/docknap.db")));
    assert_eq!(config.docker_host, "unix:///var/run/docker.sock");
    assert_eq!((config.parallelism, config.history_days, config.audit_days), (16, 365, 0));
    assert_eq!(
        (config.session_idle, config.session_max),
        (Duration::from_hours(8), Duration::from_hours(168))
    );
    assert_eq!((config.password_min, config.hsts, config.log_format), (15, Hsts::On, LogFormat::Text));
    assert!(config.timezone.is_none() && config.admin.is_none() && config.protect.is_empty());
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let file = (
        "/data/docknap.toml",
        "listen = '1.1.1.1:1'\nparallelism = 2\nhistory_days = 3\nprotect = ['a', 'b']",
    );
    let env = [("DOCKNAP_LISTEN", "2.2.2.2:2"), ("DOCKNAP_PARALLELISM", "4")];
    let loaded = load(&[("DOCKNAP_LISTEN", "3.3.3.3:3")], &env, &[file]).expect("all are valid");
    let config = loaded.config;
    assert_eq!(config.listen.to_string(), "3.3.3.3:3");
    assert_eq!((config.parallelism, config.history_days), (4, 3));
    assert_eq!(config.protect, ["a", "b"]);
    assert_eq!(loaded.file, Some(PathBuf::from("/data/docknap.toml")));
}

#[test]
fn the_file_of_the_data_directory_goes_before_the_one_beside_the_program() {
    let files = [("/data/docknap.toml", "parallelism = 2"), ("./docknap.toml", "parallelism = 3")];
    assert_eq!(load(&[], &[], &files).expect("valid").config.parallelism, 2);
    assert_eq!(load(&[], &[], &files[1..]).expect("valid").config.parallelism, 3);
    let named = [("DOCKNAP_CONFIG", "./docknap.toml")];
    assert_eq!(load(&[], &named, &files).expect("valid").config.parallelism, 3);
}

#[test]
fn a_named_file_that_is_missing_is_a_fault() {
    let faults = faults(&[("DOCKNAP_CONFIG", "/etc/nap.toml")], &[]);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("DOCKNAP_CONFIG: /etc/nap.toml cannot be read"), "{}", faults[0]);
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let env = [
        ("DOCKNAP_LISTEN", "8080"),
        ("DOCKNAP_BASE_URL", "nas"),
        ("DOCKER_HOST", "ssh://nas"),
        ("TZ", "Mars/Olympus"),
        ("DOCKNAP_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("DOCKNAP_PASSWORD_MIN", "8"),
        ("DOCKNAP_SESSION_IDLE", "8"),
        ("DOCKNAP_HSTS", "maybe"),
        ("DOCKNAP_LOG_FORMAT", "xml"),
        ("DOCKNAP_LOG", "info,docknap=loud"),
        ("DOCKNAP_ADMIN_USERNAME", "root"),
    ];
    let faults =
        faults(&env, &[("./docknap.toml", "paralellism = 3\nhistory_days = 0\nprotect = { a = 1 }")]);
    let named: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap_or_default()).collect();
    for expected in env.iter().map(|(name, _)| *name).chain([
        "`paralellism` in ./docknap.toml",
        "`history_days` in ./docknap.toml",
        "`protect` in ./docknap.toml",
    ]) {
        assert!(named.contains(&expected), "{expected} is not among {faults:#?}");
    }
    assert_eq!(faults.len(), env.len() + 3, "{faults:#?}");
}

#[test]
fn a_file_that_is_no_toml_names_the_line_and_quotes_nothing() {
    let faults = faults(&[], &[("./docknap.toml", "listen = '1.1.1.1:1'\nsecret_key = hunter2hunter2\n")]);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("./docknap.toml line 2: "), "{}", faults[0]);
    assert!(!faults[0].contains("hunter2"), "{}", faults[0]);
}

#[test]
fn a_secret_is_read_from_a_file_without_its_line_break() {
    let env = [("DOCKNAP_ADMIN_USERNAME", "ada"), ("DOCKNAP_ADMIN_PASSWORD_FILE", "/run/secrets/p")];
    let loaded = load(&[], &env, &[("/run/secrets/p", "correct horse battery \n")]).expect("valid");
    let admin = loaded.config.admin.expect("name and password are given");
    assert_eq!((&*admin.name, admin.password.expose_secret()), ("ada", "correct horse battery "));
    let flags = [("DOCKNAP_SECRET_KEY_FILE", "/k")];
    let key = "k".repeat(32);
    let loaded = load(&flags, &[("DOCKNAP_SECRET_KEY", "x")], &[("/k", &key)]).expect("a flag goes first");
    assert_eq!(loaded.config.secret_key.expect("given").expose_secret(), key);
}

#[test]
fn a_secret_given_twice_is_refused() {
    let env = [("DOCKNAP_SECRET_KEY", "a"), ("DOCKNAP_SECRET_KEY_FILE", "/k")];
    assert_eq!(
        faults(&env, &[("/k", "b")]),
        ["DOCKNAP_SECRET_KEY: and DOCKNAP_SECRET_KEY_FILE are both set; keep one"]
    );
}

#[test]
fn a_fault_never_quotes_a_secret() {
    let env = [("DOCKNAP_SECRET_KEY", "hunter2"), ("DOCKNAP_DATABASE_URL", "mysql://u:hunter2@h/d")];
    let faults = faults(&env, &[]);
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().all(|fault| !fault.contains("hunter2")), "{faults:?}");
    let config =
        load(&[], &[("DOCKNAP_DATABASE_URL", "postgres://u:hunter2@h/d")], &[]).expect("valid").config;
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.database_file(), None);
}

#[test]
fn metrics_are_off_by_default_and_the_token_mode_needs_a_token() {
    let metrics = |env: &[(&str, &str)]| load(&[], env, &[]).expect("valid").config.metrics;
    let token = ("DOCKNAP_METRICS_TOKEN", "sixteen letters!");
    assert!(matches!(metrics(&[]), Metrics::Off) && matches!(metrics(&[token]), Metrics::Off));
    assert!(matches!(metrics(&[("DOCKNAP_METRICS", "open")]), Metrics::Open));
    let Metrics::Token(kept) = metrics(&[("DOCKNAP_METRICS", "token"), token]) else {
        panic!("the token counts")
    };
    assert_eq!(kept.expose_secret(), token.1);
    let faults_found = faults(&[("DOCKNAP_METRICS", "token")], &[]);
    assert_eq!(faults_found.len(), 1);
    assert!(faults_found[0].contains("set DOCKNAP_METRICS_TOKEN"), "{faults_found:?}");
    let faults_found =
        faults(&[("DOCKNAP_METRICS", "token"), ("DOCKNAP_METRICS_TOKEN", "fifteen letters")], &[]);
    assert_eq!(faults_found.len(), 1, "the short token alone: {faults_found:?}");
    assert!(
        faults_found[0].contains("shorter than 16") && !faults_found[0].contains("fifteen"),
        "{faults_found:?}"
    );
    assert!(faults(&[("DOCKNAP_METRICS", "on")], &[])[0].contains("DOCKNAP_METRICS"));
}

#[test]
fn unknown_variables_are_one_warning() {
    let env = [("DOCKNAP_PORT_8080_TCP", "tcp://x"), ("DOCKNAP_LISTN", "x"), ("PATH", "/bin"), ("TZ", "")];
    let loaded = load(&[], &env, &[]).expect("an unknown variable is no fault");
    assert_eq!(loaded.warnings, ["not a setting, ignored: DOCKNAP_LISTN, DOCKNAP_PORT_8080_TCP"]);
}

#[test]
fn settings_page_is_made_from_the_table() {
    let page = super::super::table::markdown();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/settings.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/settings.md is not what the table says; run it with UPDATE_DOCS=1 set");
}

#[test]
fn trailing_white_space_is_no_part_of_a_setting() {
    let texts = [
        ("DOCKNAP_LISTEN", "127.0.0.1:9"),
        ("DOCKNAP_BASE_URL", "https://nap.example.org/nap"),
        ("DOCKNAP_DATA_DIR", "/srv/nap"),
        ("DOCKNAP_DATABASE_URL", "postgres://nap:p@db/nap"),
        ("DOCKER_HOST", "tcp://proxy:2375"),
        ("DOCKER_CERT_PATH", "/certs"),
        ("TZ", "Europe/Berlin"),
        ("DOCKNAP_TRUSTED_PROXIES", "172.18.0.0/16"),
        ("DOCKNAP_PROTECT", "vpn,core"),
        ("DOCKNAP_LOG", "info"),
        ("DOCKNAP_LOG_FORMAT", "json"),
        ("DOCKNAP_PARALLELISM", "4"),
        ("DOCKNAP_SESSION_IDLE", "2h"),
        ("DOCKNAP_HSTS", "off"),
        ("DOCKNAP_METRICS", "token"),
        ("DOCKNAP_METRICS_TOKEN_FILE", "/run/secrets/m"),
    ];
    for end in ["", "\r", " ", "\t \r\n"] {
        let texts = texts.map(|(name, text)| (name, format!("{text}{end}")));
        let env: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let token = format!("0123456789abcdef{end}");
        let config = load(&[], &env, &[("/run/secrets/m", &token)]).expect("valid").config;
        assert_eq!(config.base_url.as_ref().map(|url| url.origin.as_str()), Some("https://nap.example.org"));
        assert_eq!((config.docker_host.as_str(), config.base_path()), ("tcp://proxy:2375", "/nap"));
        assert_eq!(config.data_dir, PathBuf::from("/srv/nap"));
        assert_eq!(config.docker_cert_path, Some(PathBuf::from("/certs")));
        assert_eq!((config.timezone.as_deref(), config.hsts), (Some("Europe/Berlin"), Hsts::Off));
        assert_eq!(config.protect, ["vpn", "core"]);
        assert_eq!(config.database_url.expect("given").expose_secret(), "postgres://nap:p@db/nap");
        let Metrics::Token(token) = config.metrics else { panic!("a token is asked for") };
        assert_eq!(token.expose_secret(), "0123456789abcdef", "{end:?}");
    }
}

#[test]
fn a_line_break_alone_sets_nothing_and_a_password_keeps_its_blank() {
    let env =
        [("TZ", "\r"), ("DOCKNAP_BASE_URL", " \r"), ("DOCKER_TLS_VERIFY", "\r"), ("DOCKNAP_CONFIG", "\r")];
    let config = load(&[], &env, &[]).expect("nothing is set").config;
    assert!(config.timezone.is_none() && config.base_url.is_none() && !config.docker_tls_verify);
    let env = [("DOCKNAP_ADMIN_USERNAME", "ada\r"), ("DOCKNAP_ADMIN_PASSWORD", "correct horse battery \r")];
    let admin = load(&[], &env, &[]).expect("valid").config.admin.expect("both are given");
    assert_eq!((&*admin.name, admin.password.expose_secret()), ("ada", "correct horse battery "));
    let flags = [("DOCKNAP_PARALLELISM", "3 ")];
    assert_eq!(load(&flags, &[], &[]).expect("valid").config.parallelism, 3);
    let named = [("DOCKNAP_CONFIG", "./docknap.toml\r")];
    let config = load(&[], &named, &[("./docknap.toml", "base_url = 'http://nas '")]).expect("valid").config;
    assert_eq!(config.base_url.map(|url| url.origin), Some("http://nas".to_owned()));
}
