//! Lists as downloadable files: CSV for spreadsheets, JSON for programs. The
//! rows are read page by page and streamed, so a file needs the memory of one page only.

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;

use crate::app::paging::{MAX_LIMIT, Page, Paged};
use crate::app::{Error, Result};
use crate::domain::time::to_text;

/// The maximum number of rows in a file; the pages that offer a file show this number.
pub const MOST: usize = 50_000;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values (RFC 4180), with a header line.
    Csv,
    /// `{"items":[…],"complete":true}`
    Json,
}

impl Form {
    const ALL: [(Self, &str, &str); 2] =
        [(Self::Csv, "csv", "text/csv; charset=utf-8"), (Self::Json, "json", "application/json")];

    fn kind(self) -> (&'static str, &'static str) {
        let found = Self::ALL.into_iter().find(|(form, ..)| *form == self);
        found.map_or(("", ""), |(_, ending, kind)| (ending, kind))
    }
}

/// The format by the extension of the path: `/runs.json`.
impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let ending = parts.uri.path().rsplit_once('.').map_or("", |(_, ending)| ending);
        let found = Self::ALL.into_iter().find(|(_, known, _)| *known == ending);
        found.map(|(form, ..)| form).ok_or_else(|| Error::not_found("page", parts.uri.path()))
    }
}

/// The description of a file: its format, name and columns.
pub struct File<T> {
    /// The format.
    pub form: Form,
    /// The first part of the file name: `runs`.
    pub name: &'static str,
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// Makes the cells of a row, for CSV.
    pub cells: fn(&T) -> Vec<String>,
    /// Makes the JSON of a row, for JSON.
    pub json: fn(T) -> serde_json::Value,
}

impl<T: Send + 'static> File<T> {
    /// The response with the rows of all pages that `page` returns, from the first page on.
    ///
    /// # Errors
    /// If the first page cannot be read. A later error aborts the response, so that the client sees an incomplete
    /// transfer.
    pub async fn answer<F, Fut>(self, now: Timestamp, mut page: F) -> Result<Response>
    where
        F: FnMut(Page) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Paged<T>>> + Send + 'static,
    {
        let first = page(Page { limit: MAX_LIMIT, cursor: None }).await?;
        let (ending, kind) = self.form.kind();
        let name =
            format!("attachment; filename=\"docknap-{}-{}.{ending}\"", self.name, now.strftime("%Y-%m-%d"));
        let start = (Some(first), 0, self, page);
        let chunks = stream::try_unfold(start, async |(paged, written, file, mut page)| {
            let Some(paged): Option<Paged<T>> = paged else { return Ok::<_, Error>(None) };
            let cursor = paged.next_cursor.clone();
            let (mut chunk, written) = file.chunk(paged, written);
            let next = if cursor.is_none() || written >= MOST {
                chunk.push_str(&file.end(cursor.is_none()));
                None
            } else {
                Some(page(Page { limit: MAX_LIMIT, cursor }).await?)
            };
            Ok(Some((Bytes::from(chunk), (next, written, file, page))))
        });
        let head = [(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)];
        Ok((head, Body::from_stream(chunks)).into_response())
    }

    /// The text of one page, after `written` rows of earlier pages; returns the new number of rows.
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

    fn end(&self, complete: bool) -> String {
        if self.form == Form::Json { format!("\n],\"complete\":{complete}}}\n") } else { String::new() }
    }
}

/// A line of CSV.
fn line(cells: impl IntoIterator<Item = String>) -> String {
    let mut text = cells.into_iter().map(|text| cell(&text)).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}

/// A cell of CSV. A text that a spreadsheet would take for a formula gets a leading apostrophe, so that it is shown as
/// text.
fn cell(text: &str) -> String {
    let formula = text.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n', '\t', ';']) || formula {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// The text of an instant; empty for `None`.
pub fn instant(at: Option<Timestamp>) -> String {
    at.map(to_text).unwrap_or_default()
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
