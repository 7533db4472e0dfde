//! Pagination of lists. The cursor is the last id of the previous page, so that every page costs the same.

use super::{Error, Result};

/// Rows per page by default.
pub const DEFAULT_LIMIT: u32 = 50;
/// Maximum number of rows per page.
pub const MAX_LIMIT: u32 = 200;
/// Maximum length of a cursor in bytes; every id is shorter.
const MAX_CURSOR: usize = 64;

/// Request for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Number of rows, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// `next_cursor` of the previous page; `None` = the first page.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, cursor: None }
    }
}

impl Page {
    /// Parses the values of a query string; an empty text counts as missing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `limit` or `cursor`.
    pub fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self> {
        let limit = match limit.filter(|text| !text.is_empty()) {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Error::field("limit", format!("use a number from 1 to {MAX_LIMIT}")))?,
        };
        let cursor = cursor.filter(|text| !text.is_empty()).map(str::to_owned);
        if cursor.as_deref().is_some_and(|text| {
            text.len() > MAX_CURSOR || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }) {
            return Err(Error::field("cursor", "use the next_cursor of an earlier answer"));
        }
        Ok(Self { limit, cursor })
    }

    /// Number of rows to read: one more than the page holds, to find out whether there is a next page.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Makes a page of at most `fetch()` rows; `id` returns the id that the list is sorted by.
    pub(crate) fn cut<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> String) -> Paged<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(id) } else { None };
        Paged { items: rows, next_cursor }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// The same page with every item converted.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Paged<U> {
        Paged { items: self.items.into_iter().map(each).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_there_is_a_next_one() {
        let page = Page { limit: 2, cursor: None };
        assert_eq!(page.cut(vec![3, 2, 1], ToString::to_string).next_cursor, Some("2".to_owned()));
        assert_eq!(page.cut(vec![2, 1], ToString::to_string).next_cursor, None);
    }

    #[test]
    fn limits_and_cursors_of_strangers_are_refused() {
        for limit in ["0", "201", "-1", "x", "99999999999"] {
            assert!(Page::parse(Some(limit), None).is_err(), "{limit}");
        }
        for cursor in ["%", "a b", &"a".repeat(65)] {
            assert!(Page::parse(None, Some(cursor)).is_err(), "{cursor}");
        }
        assert_eq!(Page::parse(Some(""), Some("")).expect("empty is none"), Page::default());
    }
}
