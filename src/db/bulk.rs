//! Statements of many rows: what a batch stores is a handful of round trips, not one for each row.

use std::collections::HashSet;
use std::hash::Hash;

/// Rows of one statement: few sizes, so that few statements are kept prepared, and those are small.
const SIZES: [usize; 3] = [32, 8, 1];

/// Cuts rows into chunks of [`SIZES`], in their order. Each is made when it is asked for.
pub(super) fn chunks<T>(rows: impl IntoIterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    let (mut rows, mut rest) = (rows.into_iter(), Vec::new());
    std::iter::from_fn(move || {
        if rest.is_empty() {
            rest = rows.by_ref().take(SIZES[0]).collect();
        }
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let after = rest.split_off(size);
        Some(std::mem::replace(&mut rest, after))
    })
}

/// Which of these ids the answers leave out. Where they leave out none, as nearly always, nothing is looked up.
pub(super) fn left_out<'a, Id>(
    asked: impl ExactSizeIterator<Item = &'a Id>,
    answers: impl IntoIterator<Item = (String,)>,
) -> HashSet<Id>
where
    Id: From<String> + Clone + Eq + Hash + 'a,
{
    let answers: Vec<(String,)> = answers.into_iter().collect();
    if answers.len() == asked.len() {
        return HashSet::new();
    }
    let answers: HashSet<Id> = answers.into_iter().map(|(id,)| Id::from(id)).collect();
    asked.filter(|id| !answers.contains(*id)).cloned().collect()
}

/// Runs a statement around `VALUES` of many rows inside a transaction, and answers the rows it returns:
/// `values_tx!(tx, "WITH asked (a, b) AS (", rows, |row| (row.a, row.b), ") SELECT a FROM asked" => (String,))`.
macro_rules! values_tx {
    ($tx:expr, $before:expr, $rows:expr, |$row:ident| ($($bind:expr),+ $(,)?), $after:expr => $answer:ty) => {{
        let mut answers: Vec<$answer> = Vec::new();
        for chunk in $crate::db::bulk::chunks($rows) {
            answers.extend(match $tx {
                $crate::db::Tx::Sqlite(tx) => $crate::db::bulk::values_tx!(
                    @on sqlx::Sqlite, tx, $before, chunk, |$row| ($($bind),+), $after => $answer),
                $crate::db::Tx::Pg(tx) => $crate::db::bulk::values_tx!(
                    @on sqlx::Postgres, tx, $before, chunk, |$row| ($($bind),+), $after => $answer),
            });
        }
        answers
    }};
    (@on $engine:ty, $tx:expr, $before:expr, $chunk:expr, |$row:ident| ($($bind:expr),+), $after:expr => $answer:ty) => {{
        // Not `$n`: SQLite looks each of those up by its name, among all the others.
        let mut query = sqlx::QueryBuilder::<$engine>::new($before);
        query.push_values($chunk, |mut tuple, $row| { $(tuple.push_bind($bind);)+ });
        query.push($after);
        query.build_query_as::<$answer>().fetch_all(&mut **$tx).await?
    }};
}

pub(super) use values_tx;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_and_none_is_lost() {
        for count in [0, 1, 7, 8, 41, 500] {
            let rows: Vec<usize> = (0..count).collect();
            assert_eq!(chunks(rows.iter().copied()).flatten().collect::<Vec<_>>(), rows);
            assert!(chunks(&rows).all(|chunk| SIZES.contains(&chunk.len())));
        }
        assert_eq!(chunks([(); 500]).count(), 15 + 2 + 4);
    }
}
