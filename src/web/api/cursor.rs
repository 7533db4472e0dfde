//! Where the next page of a list begins, as programs get it: the last id before, with the list it was given out for, so
//! that what is no cursor of this list is told rather than answered with some page.

use sha2::{Digest, Sha256};

use crate::domain::text::hex;

/// Digits of the check.
const CHECK: usize = 8;

/// The cursor that follows an id of `list`.
pub fn make(list: &str, id: &str) -> String {
    format!("{id}-{}", check(list, id))
}

/// The id in a cursor of `list`; `None` where it is none.
pub fn read(list: &str, cursor: &str) -> Option<String> {
    let (id, given) = cursor.rsplit_once('-')?;
    (given == check(list, id)).then(|| id.to_owned())
}

/// No secret: it tells a mistake, not an attack, which would only see what it may see anyway.
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
