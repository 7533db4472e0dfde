//! Cursors of lists in the API: the last id of the previous page, with a check value for the list. A cursor of another
//! list is rejected, instead of being used for a wrong page.

use sha2::{Digest, Sha256};

use crate::domain::text::hex;

/// The number of digits of the check value.
const CHECK: usize = 8;

/// The cursor after an id of `list`.
pub fn make(list: &str, id: &str) -> String {
    format!("{id}-{}", check(list, id))
}

/// The id in a cursor of `list`; `None` where it is not a cursor of this list.
pub fn read(list: &str, cursor: &str) -> Option<String> {
    let (id, given) = cursor.rsplit_once('-')?;
    (given == check(list, id)).then(|| id.to_owned())
}

/// The check value is no secret: it detects mistakes. A forged cursor shows only rows that the caller may see anyway.
fn check(list: &str, id: &str) -> String {
    let mut digest = hex(&Sha256::digest(format!("{list} {id}")));
    digest.truncate(CHECK);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_alone() {
        let cursor = make("runs", "0199c1d2-0000-7000-8000-000000000000");
        assert_eq!(read("runs", &cursor).as_deref(), Some("0199c1d2-0000-7000-8000-000000000000"));
        assert_eq!(read("audit", &cursor), None);
        for none in ["", "-", "x", "0199c1d2-0000-7000-8000-000000000000", "%", "é-é", &cursor[1..]] {
            assert_eq!(read("runs", none), None, "{none}");
        }
    }
}
