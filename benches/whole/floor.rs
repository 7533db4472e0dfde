//! Serves the pages without a login, to measure what a login costs: the same handlers and data, without the layers
//! that authenticate the user. Every request is treated as the first admin's, so this is part of no release.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use docknap::app::{Actor, users};
use docknap::clock::Clock;
use docknap::config::{Config, FirstAdmin};
use docknap::lifecycle;
use docknap::web::auth::{Identity, Login};
use docknap::web::{Web, pages, serve as connections};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use super::http::{NAME, PASSWORD};
use super::program::Setup;

/// The argument that makes this program serve.
pub const WORD: &str = "serve-without-login";

/// As `setup`, but served by this program.
pub fn setup(setup: Setup) -> io::Result<Setup> {
    Ok(Setup { binary: std::env::current_exe()?, arguments: vec![WORD.to_owned()], ..setup })
}

/// Settings from the environment variables that [`Setup`] sets.
pub fn config() -> Config {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    Config {
        listen: variable("DOCKNAP_LISTEN").parse().expect("an address"),
        data_dir: variable("DOCKNAP_DATA_DIR").into(),
        docker_host: variable("DOCKER_HOST"),
        timezone: Some(variable("TZ")),
        log: variable("DOCKNAP_LOG"),
        ..Config::default()
    }
}

/// The first account, with the name and password that [`Setup`] sets.
pub fn admin() -> FirstAdmin {
    FirstAdmin { name: NAME.to_owned(), password: PASSWORD.to_owned().into() }
}

/// Serves until the process is killed.
pub fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let config = config();
        docknap::telemetry::init(&config);
        let listener = tokio::net::TcpListener::bind(config.listen).await.expect("the port is free");
        let clock = Clock::system();
        let app = lifecycle::open_services(config, clock.clone()).await.expect("the services open");
        let stop = CancellationToken::new();
        for host in app.hosts.all() {
            tokio::spawn(Arc::clone(&host).watch(stop.clone()));
        }
        let listed = users::list(&app, &Actor::cli()).await.expect("the accounts can be read");
        let admin = listed.into_iter().next().expect("there is an account").user;
        let identity = Identity::new(admin, Login::Session(String::new()), None);
        let web = Web::new(app, false);
        let router = pages::routes(&web)
            .into_parts()
            .0
            .layer(from_fn(move |mut request: Request, next: Next| {
                request.extensions_mut().insert(identity.clone());
                async move { next.run(request).await }
            }))
            .route("/healthz", axum::routing::get(async || "ok\n"))
            .layer(CompressionLayer::new())
            .with_state(web);
        connections::serve(listener, router, clock, Vec::new(), stop).await;
    });
    ExitCode::SUCCESS
}
