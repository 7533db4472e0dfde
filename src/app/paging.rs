//! Lists in pages: a cursor that holds the last id of the page before, so that a page costs the same wherever it is.

use super::{Error, Result};

/// Rows of a page where nothing is said.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most rows of a page.
pub const MAX_LIMIT: u32 = 200;
/// Longer than any cursor given out, in bytes.
const MAX_CURSOR: usize = 64;

/// Which page of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many rows, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// The `next_cursor` of the page before; `None` = the first page.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, cursor: None }
    }
}

impl Page {
    /// Reads what a query string holds; an empty text is as good as none.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `limit` or `cursor`.
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

    /// How many rows to read: one more than wanted tells whether there is a next page.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Turns `fetch()` rows or fewer into a page; `id` is what the order goes by.
    pub(crate) fn cut<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> String) -> Paged<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(id) } else { None };
        Paged { items: rows, next_cursor }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// The same page of something else.
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
