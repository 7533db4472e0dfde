//! A file of the disk as a response, read in pieces while it is sent.

use std::fs::File;
use std::io::{self, Read as _};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::app::backup::copies::Download;

/// The size of a piece in bytes.
const PIECE: u64 = 64 * 1024;

/// The file as an attachment.
pub fn answer(download: Download) -> Response {
    let Download { file, name, bytes } = download;
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let pieces = stream::try_unfold(file, async |file| {
        let (file, piece) =
            tokio::task::spawn_blocking(move || read(file)).await.map_err(io::Error::other)??;
        Ok::<_, io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    });
    (head, Body::from_stream(pieces)).into_response()
}

/// The next piece; empty at the end.
fn read(mut file: File) -> io::Result<(File, Vec<u8>)> {
    let mut piece = Vec::new();
    file.by_ref().take(PIECE).read_to_end(&mut piece)?;
    Ok((file, piece))
}
