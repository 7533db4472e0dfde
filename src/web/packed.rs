//! Texts that lie compressed in the program, as gzip has them, so that they can be sent as they lie. `build.rs`
//! compresses them.

use std::sync::OnceLock;

use axum::body::Bytes;
use flate2::{Decompress, FlushDecompress};

/// Bytes before what is compressed, where nothing is added to them (RFC 1952) …
const HEAD: usize = 10;
/// … and after it: a sum of the text, and its length.
const TAIL: usize = 8;

/// A text in its compressed form.
pub struct Packed {
    gzip: &'static [u8],
    /// Kept once somebody has asked for it, so that many who do share it.
    plain: OnceLock<Bytes>,
}

/// The [`Packed`] text that `build.rs` made of the file of that name.
macro_rules! packed {
    ($name:literal) => {
        $crate::web::packed::Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}
pub(crate) use packed;

impl Packed {
    /// Of what gzip made without the name of a file.
    ///
    /// # Panics
    /// Where it is anything else. Of a constant the compiler says so.
    pub const fn new(gzip: &'static [u8]) -> Self {
        assert!(gzip.len() > HEAD + TAIL && gzip[3] == 0, "made by gzip, without a name");
        Self { gzip, plain: OnceLock::new() }
    }

    /// As gzip has it.
    pub fn gzip(&self) -> &'static [u8] {
        self.gzip
    }

    /// The text, for the few who do not take it compressed.
    pub fn plain(&self) -> Bytes {
        self.plain.get_or_init(|| unpack(self.gzip).into()).clone()
    }
}

fn unpack(gzip: &[u8]) -> Vec<u8> {
    let (packed, tail) = gzip[HEAD..].split_at(gzip.len() - HEAD - TAIL);
    let length = tail.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let mut plain = Vec::with_capacity(length as usize);
    // It lies in the program, so what is unpacked is what a test has unpacked.
    let _ = Decompress::new(false).decompress_vec(packed, &mut plain, FlushDecompress::Finish);
    plain
}
