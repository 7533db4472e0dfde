//! Does Docker answer: one tick for each call DockNap makes, and the cure where one is missing.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use crate::app::Result;
use crate::app::docker_check::{self, Call, Checked, Outcome, Purpose};
use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::pages::html;
use crate::web::shell::Shell;

/// One call.
#[derive(Clone, Debug)]
pub struct CallRow {
    /// `List containers`
    pub words: &'static str,
    /// Method and path.
    pub call: &'static str,
    /// `data-state`: gives the colour.
    pub state: &'static str,
    pub icon: &'static str,
    /// How it went, in a word.
    pub word: &'static str,
    /// What stands in the way.
    pub fault: String,
}

impl CallRow {
    fn new(call: &Call) -> Self {
        let (state, icon, word) = match (&call.outcome, call.purpose) {
            (Outcome::Through, _) => ("succeeded", "circle-check", "Works"),
            (Outcome::NotTried, _) => ("gone", "hourglass", "Not tried"),
            (Outcome::Refused(_), Purpose::Extra) => ("missed", "circle-slash", "Does without"),
            (Outcome::Refused(_), _) => ("failed", "circle-x", "Refused"),
        };
        let fault = match &call.outcome {
            Outcome::Refused(reason) => reason.clone(),
            Outcome::Through | Outcome::NotTried => String::new(),
        };
        Self { words: call.words, call: call.call, state, icon, word, fault }
    }
}

/// Calls for one purpose.
#[derive(Clone, Debug)]
pub struct Group {
    /// `To look`
    pub title: &'static str,
    /// What it takes to know.
    pub hint: &'static str,
    /// The calls.
    pub rows: Vec<CallRow>,
}

/// Does Docker answer.
#[derive(Template, Clone, Debug)]
#[template(path = "welcome/docker.html", blocks = ["checks"])]
pub struct WelcomeDocker {
    pub shell: Shell,
    /// Of four.
    pub step: usize,
    /// Everything works that naps need.
    pub ready: bool,
    /// Why nothing could be tried, with what to do.
    pub away: String,
    /// Where the Engine is.
    pub address: String,
    /// Its version.
    pub engine: String,
    /// What to set on a proxy that keeps calls back.
    pub proxy_settings: Vec<&'static str>,
    /// The calls.
    pub groups: Vec<Group>,
}

impl WelcomeDocker {
    /// What the check found.
    pub fn new(shell: Shell, checked: &Checked) -> Self {
        let group = |purpose, title, hint| Group {
            title,
            hint,
            rows: checked.calls.iter().filter(|call| call.purpose == purpose).map(CallRow::new).collect(),
        };
        Self {
            shell,
            step: 3,
            ready: checked.is_ready(),
            away: checked.away.clone().unwrap_or_default(),
            address: checked.address.clone(),
            engine: checked.engine.clone(),
            proxy_settings: checked.proxy_settings(),
            groups: vec![
                group(Purpose::Look, "To look", "Nothing works without these."),
                group(
                    Purpose::Act,
                    "To nap and wake",
                    "Tried on a container that does not exist, so nothing is touched.",
                ),
                group(Purpose::Extra, "Extras", "Without them DockNap shows a little less."),
            ],
        }
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Admin>,
    htmx: Htmx,
    shell: Shell,
) -> Result<Html<String>> {
    let checked = Box::pin(docker_check::check(&web.app, &caller.actor)).await?;
    let page = WelcomeDocker::new(shell, &checked);
    if htmx.partial { html(&page.as_checks()) } else { html(&page) }
}
