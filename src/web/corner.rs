//! Toast messages in the corner of the page, for requests by which htmx fetches part of a page.

use askama::Template;
use axum::response::Html;

use super::error;
use super::shell::Shell;
use super::toast::Toast;
use crate::app::Result;

/// The HTML of one toast.
#[derive(Template)]
#[template(path = "components/toast.html")]
pub struct Corner<'a> {
    pub shell: &'a Shell,
    /// The title, a few words; may be empty.
    pub title: &'a str,
    pub toast: &'a Toast,
    /// The id of the request, for the reader to quote when asking for help.
    pub request_id: Option<&'a str>,
    /// Seconds until a retry makes sense.
    pub retry_after: Option<u64>,
    /// Whether htmx puts the toast into the corner, independent of the target of the response.
    pub apart: bool,
}

impl<'a> Corner<'a> {
    pub fn new(shell: &'a Shell, toast: &'a Toast) -> Self {
        Self { shell, title: "", toast, request_id: None, retry_after: None, apart: false }
    }
}

impl Toast {
    /// The response to htmx: part of a page, and this toast in the corner.
    pub fn beside(self, shell: &Shell, part: &impl Template) -> Result<Html<String>> {
        let part = part.render().map_err(error::internal)?;
        Ok(Html(part + self.alone(shell)?.0.as_str()))
    }

    /// The response to htmx: only this toast in the corner.
    pub fn alone(self, shell: &Shell) -> Result<Html<String>> {
        let part = Corner { apart: true, ..Corner::new(shell, &self) };
        Ok(Html(part.render().map_err(error::internal)?))
    }
}
