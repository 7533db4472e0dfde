//! Statements of many rows: what a batch stores is a handful of round trips, not one for each row.

/// Rows of one statement: few sizes, so that few statements are kept prepared, and those are small.
const SIZES: [usize; 3] = [32, 8, 1];

/// Cuts rows into pieces of [`SIZES`], in their order.
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// Runs a statement around `VALUES` of many rows inside a transaction, and answers the rows it returns:
/// `values_tx!(tx, "INSERT INTO t (a, b) ", rows, |row| (row.a, row.b), " RETURNING a" => (String,))`.
macro_rules! values_tx {
    ($tx:expr, $before:expr, $rows:expr, |$row:ident| ($($bind:expr),+ $(,)?), $after:expr => $answer:ty) => {{
        let mut answers: Vec<$answer> = Vec::new();
        for piece in $crate::db::many::pieces($rows) {
            // Not `$n`: SQLite looks each of those up by its name, among all the others.
            answers.extend(match $tx {
                $crate::db::Tx::Sqlite(tx) => {
                    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new($before);
                    query.push_values(piece, |mut tuple, $row| { $(tuple.push_bind($bind);)+ });
                    query.push($after).build_query_as::<$answer>().fetch_all(&mut **tx).await?
                }
                $crate::db::Tx::Pg(tx) => {
                    let mut query = sqlx::QueryBuilder::<sqlx::Postgres>::new($before);
                    query.push_values(piece, |mut tuple, $row| { $(tuple.push_bind($bind);)+ });
                    query.push($after).build_query_as::<$answer>().fetch_all(&mut **tx).await?
                }
            });
        }
        answers
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
            assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
            assert!(pieces(&rows).all(|piece| SIZES.contains(&piece.len())));
        }
        assert_eq!(pieces(&[(); 500]).count(), 15 + 2 + 4);
    }
}
