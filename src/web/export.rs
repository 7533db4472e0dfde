//! A list as a file: CSV for spreadsheets, JSON for programs. Read page by page, so that it takes the memory of one.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;

use crate::app::Result;
use crate::app::paging::{MAX_LIMIT, Page, Paged};

/// Rows of a file, at most; the pages that offer one say so.
pub const MOST: usize = 50_000;

/// The two kinds of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values (RFC 4180), with a line of names.
    Csv,
    /// `{"items":[…],"complete":true}`
    Json,
}

/// How a list is written.
pub struct File<T> {
    /// Which kind.
    pub form: Form,
    /// Begins the file's name: `runs`.
    pub name: &'static str,
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// The cells of a row, for CSV.
    pub cells: fn(&T) -> Vec<String>,
    /// A row as JSON.
    pub json: fn(T) -> serde_json::Value,
}

impl<T: Send + 'static> File<T> {
    /// The file of all pages that `page` answers, from the first on.
    ///
    /// # Errors
    /// Where the first page cannot be read. A fault after that breaks the file off, which is how whoever fetches it is
    /// told.
    pub async fn answer<F, Fut>(self, now: Timestamp, mut page: F) -> Result<Response>
    where
        F: FnMut(Page) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Paged<T>>> + Send + 'static,
    {
        let first = page(Page { limit: MAX_LIMIT, cursor: None }).await?;
        let (kind, ending) = match self.form {
            Form::Csv => ("text/csv; charset=utf-8", "csv"),
            Form::Json => ("application/json", "json"),
        };
        let name =
            format!("attachment; filename=\"docknap-{}-{}.{ending}\"", self.name, now.strftime("%Y-%m-%d"));
        let chunks = stream::try_unfold(Some((first, 0_usize)), move |state| {
            let (made, next) = match state {
                None => (None, None),
                Some((paged, written)) => {
                    let cursor = paged.next_cursor.clone();
                    let (chunk, written) = self.chunk(paged, written);
                    let ended = cursor.is_none() || written >= MOST;
                    (Some(self.closed(chunk, ended, cursor.is_none())), (!ended).then_some((cursor, written)))
                }
            };
            let next = next.map(|(cursor, written)| (page(Page { limit: MAX_LIMIT, cursor }), written));
            async move {
                let Some(chunk) = made else { return Ok::<_, crate::app::Error>(None) };
                let next = match next {
                    Some((page, written)) => Some((page.await?, written)),
                    None => None,
                };
                Ok(Some((Bytes::from(chunk), next)))
            }
        });
        let mut response = (StatusCode::OK, Body::from_stream(chunks)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(name) = HeaderValue::from_str(&name) {
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
        }
        Ok(response)
    }

    /// The text of one page, after `written` rows.
    fn chunk(&self, paged: Paged<T>, mut written: usize) -> (String, usize) {
        let mut text = String::new();
        if written == 0 {
            match self.form {
                Form::Csv => text.push_str(&line(self.columns.iter().map(|name| (*name).to_owned()))),
                Form::Json => text.push_str("{\"items\":["),
            }
        }
        for row in paged.items.into_iter().take(MOST - written.min(MOST)) {
            match self.form {
                Form::Csv => text.push_str(&line((self.cells)(&row))),
                Form::Json => {
                    text.push_str(if written == 0 { "\n" } else { ",\n" });
                    text.push_str(&(self.json)(row).to_string());
                }
            }
            written += 1;
        }
        (text, written)
    }

    fn closed(&self, mut text: String, ended: bool, complete: bool) -> String {
        if ended && self.form == Form::Json {
            let _ = write!(text, "\n],\"complete\":{complete}}}\n");
        }
        text
    }
}

/// A line of CSV.
fn line(cells: impl IntoIterator<Item = String>) -> String {
    let mut text = cells.into_iter().map(|text| cell(&text)).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}

/// A cell of CSV. What a spreadsheet would take for a formula gets an apostrophe in front: it is shown as text.
fn cell(text: &str) -> String {
    let formula = text.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n', '\t', ';']) || formula {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// An instant in a cell; empty where there is none.
pub fn instant(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, written) in [
            ("media", "media"),
            ("=1+1", "\"'=1+1\""),
            ("+49", "\"'+49\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            (" =1", "\"' =1\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }
}
