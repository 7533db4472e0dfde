//! New ids in the form of `UUIDv7`: they sort by creation time, also within one millisecond.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Builder;

/// Generator of ids, random or reproducible from a seed for simulations.
#[derive(Clone, Debug)]
pub struct IdSource(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Time of the last id in milliseconds. Together with the counter, ids of one millisecond stay in order.
    last_ms: u64,
    counter: u16,
    random: Random,
}

/// Random bytes per id.
const BYTES: usize = 10;
/// Number of ids whose random bytes are fetched from the operating system at once.
const AT_ONCE: usize = 64;

#[derive(Debug)]
enum Random {
    /// Random bytes of the operating system that were fetched in advance.
    System(Vec<[u8; BYTES]>),
    /// State of a pseudo-random generator.
    Seeded(u64),
}

impl IdSource {
    /// Ids that nobody can guess.
    pub fn random() -> Self {
        Self::with(Random::System(Vec::new()))
    }

    /// The same sequence of ids for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::with(Random::Seeded(seed))
    }

    fn with(random: Random) -> Self {
        Self(Arc::new(Mutex::new(State { last_ms: 0, counter: 0, random })))
    }

    /// A new id of the wanted type for an object created at `now`. Later calls return ids that sort after earlier ones,
    /// also when the clock is set back.
    pub fn next<T: From<String>>(&self, now: Timestamp) -> T {
        let mut state = self.0.lock();
        let ms = u64::try_from(now.as_millisecond()).unwrap_or(0).max(state.last_ms);
        if ms > state.last_ms {
            state.last_ms = ms;
            state.counter = 0;
        } else if state.counter == 0x0fff {
            // 4,096 ids in one millisecond: the next millisecond is used.
            state.last_ms += 1;
            state.counter = 0;
        } else {
            state.counter += 1;
        }
        let mut random = state.random.next();
        // The twelve bits after the version hold the counter.
        random[0] = u8::try_from(state.counter >> 8).unwrap_or(0x0f);
        random[1] = u8::try_from(state.counter & 0xff).unwrap_or(0xff);
        T::from(Builder::from_unix_timestamp_millis(state.last_ms, &random).into_uuid().to_string())
    }
}

impl Random {
    fn next(&mut self) -> [u8; BYTES] {
        match self {
            Self::System(fetched) => fetched.pop().unwrap_or_else(|| {
                fetched.resize(AT_ONCE, [0; BYTES]);
                if getrandom::fill(fetched.as_flattened_mut()).is_err() {
                    // Secrecy is not needed here, only uniqueness, which time and counter already guarantee within one
                    // process.
                    tracing::warn!("the operating system gave no random numbers for an id");
                    fetched.clear();
                }
                fetched.pop().unwrap_or_default()
            }),
            Self::Seeded(seed) => {
                // The splitmix64 algorithm.
                let mut bytes = [0; BYTES];
                for chunk in bytes.chunks_mut(8) {
                    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mut z = *seed;
                    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    z ^= z >> 31;
                    chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
                }
                bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_one_millisecond_sort_in_the_order_they_were_made() {
        let ids = IdSource::random();
        let made: Vec<String> = (0..10_000).map(|_| ids.next(Timestamp::UNIX_EPOCH)).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        // The bytes after time and counter differ as well.
        let random: HashSet<&str> = made.iter().map(|id| &id[19..]).collect();
        assert_eq!(random.len(), made.len());
    }

    #[test]
    fn a_seed_gives_the_same_ids_again() {
        let [a, b] = [IdSource::seeded(7), IdSource::seeded(7)];
        assert_eq!(a.next::<String>(Timestamp::UNIX_EPOCH), b.next::<String>(Timestamp::UNIX_EPOCH));
    }
}
