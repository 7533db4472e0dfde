//! Messages in the corner, where htmx brings part of a page.

use askama::Template;
use axum::response::Html;

use super::error;
use super::shell::Shell;
use super::toast::Toast;
use crate::app::Result;

/// A message in the corner.
#[derive(Template)]
#[template(path = "components/toast.html")]
pub struct Corner<'a> {
    pub shell: &'a Shell,
    /// What happened, in a few words; may be empty.
    pub title: &'a str,
    pub toast: &'a Toast,
    /// What to quote when asking for help.
    pub request_id: Option<&'a str>,
    /// Seconds until another try makes sense.
    pub retry_after: Option<u64>,
    /// It finds its own way to the corner, whatever the answer is for.
    pub apart: bool,
}

impl<'a> Corner<'a> {
    pub fn new(shell: &'a Shell, toast: &'a Toast) -> Self {
        Self { shell, title: "", toast, request_id: None, retry_after: None, apart: false }
    }
}

impl Toast {
    /// The answer to htmx: part of a page, and this in the corner.
    pub fn beside(self, shell: &Shell, part: &impl Template) -> Result<Html<String>> {
        let part = part.render().map_err(error::internal)?;
        Ok(Html(part + &self.alone(shell)?.0))
    }

    /// The answer to htmx: nothing but this, in the corner.
    pub fn alone(self, shell: &Shell) -> Result<Html<String>> {
        let part = Corner { apart: true, ..Corner::new(shell, &self) };
        Ok(Html(part.render().map_err(error::internal)?))
    }
}
