//! Readers for response bodies of unlimited length: the event stream and container logs. Each reader limits its
//! memory; bollard's own readers buffer until a line or a frame is complete.

use std::future::poll_fn;
use std::pin::Pin;

use bollard::errors::Error;
use hyper::body::{Body, Bytes};

/// Longest event line that is read, in bytes. An event includes the labels of its container.
const MAX_LINE: usize = 1024 * 1024;
/// Bytes kept at the end of a log.
const KEPT_BYTES: usize = 64 * 1024;

/// The next chunk of a body; `None` at its end.
pub(super) async fn next_chunk<B>(body: &mut B) -> Result<Option<Bytes>, Error>
where
    B: Body<Data = Bytes, Error: Into<Error>> + Unpin,
{
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        if let Ok(data) = frame.map_err(Into::into)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads a body line by line.
pub(super) struct Lines<B> {
    body: B,
    buffer: Vec<u8>,
    /// Number of bytes at the start of `buffer` that contain no line break.
    searched: usize,
    /// Whether the current line is too long and is being dropped.
    skipping: bool,
}

impl<B> Lines<B>
where
    B: Body<Data = Bytes, Error: Into<Error>> + Unpin,
{
    pub(super) fn new(body: B) -> Self {
        Self { body, buffer: Vec::new(), searched: 0, skipping: false }
    }

    /// The next line that is not empty; `None` at the end of the body. A line that is too long is skipped: the
    /// periodic container list shows the change that it reported.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                if !std::mem::take(&mut self.skipping) && !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.buffer.len() > MAX_LINE && !self.skipping {
                tracing::warn!("an event of Docker is longer than {MAX_LINE} bytes; it is passed over");
                self.skipping = true;
            }
            if self.skipping {
                self.buffer = Vec::new();
            }
            self.searched = self.buffer.len();
            match next_chunk(&mut self.body).await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }
}

/// Keeps the last bytes of a container's log. For a container without a terminal Docker sends frames, each with a
/// header of eight bytes that gives the stream and the length; with a terminal it sends plain text.
#[derive(Default)]
pub(super) struct Output {
    head: Vec<u8>,
    is_raw: bool,
    /// Bytes of the current frame that are still to come.
    frame_left: usize,
    text: Vec<u8>,
}

impl Output {
    pub(super) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let taken = if self.is_raw {
                self.keep(data);
                data.len()
            } else if self.frame_left > 0 {
                let taken = self.frame_left.min(data.len());
                self.keep(&data[..taken]);
                self.frame_left -= taken;
                taken
            } else {
                self.head.push(data[0]);
                self.read_head();
                1
            };
            data = &data[taken..];
        }
    }

    fn read_head(&mut self) {
        match *self.head.as_slice() {
            [0..=2] | [_, 0] | [_, 0, 0] | [_, 0, 0, 0] => {}
            [_, 0, 0, 0, a, b, c, d] => {
                self.frame_left = u32::from_be_bytes([a, b, c, d]).try_into().unwrap_or(usize::MAX);
                self.head.clear();
            }
            [_, 0, 0, 0, ..] => {}
            _ => {
                self.is_raw = true;
                let head = std::mem::take(&mut self.head);
                self.keep(&head);
            }
        }
    }

    fn keep(&mut self, data: &[u8]) {
        self.text.extend_from_slice(&data[data.len().saturating_sub(KEPT_BYTES)..]);
        if self.text.len() > 2 * KEPT_BYTES {
            self.text.drain(..self.text.len() - KEPT_BYTES);
        }
    }

    /// The bytes kept so far.
    pub(super) fn end(mut self) -> Vec<u8> {
        // An incomplete header is part of the text.
        let head = std::mem::take(&mut self.head);
        self.keep(&head);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body that arrives in the given chunks.
    struct Pieces(VecDeque<Vec<u8>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk.into()))))
        }
    }

    #[tokio::test]
    async fn lines_are_put_together_and_a_line_without_end_is_skipped() {
        let mut pieces: VecDeque<Vec<u8>> =
            [&b"{\"a\":1}\n\n{\"b\""[..], b":2}\n", b"{\"long\":\""].map(<[u8]>::to_vec).into();
        pieces.extend((0..3_000).map(|_| vec![b'x'; 4_096]));
        pieces.extend([&b"\"}\n{\"c\":3}\n{\"cut"[..]].map(<[u8]>::to_vec));
        let mut lines = Lines::new(Pieces(pieces));
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.expect("lines") {
            read.push(String::from_utf8(line).expect("text"));
            assert!(lines.buffer.capacity() <= 4 * MAX_LINE, "{}", lines.buffer.capacity());
        }
        assert_eq!(read, ["{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"]);
    }

    fn read(pieces: &[&[u8]]) -> Vec<u8> {
        let mut output = Output::default();
        for chunk in pieces {
            output.push(chunk);
        }
        output.end()
    }

    #[test]
    fn frames_are_put_together_however_they_are_cut() {
        let framed = b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x06 there\x01\0\0\0\0\0\0\0";
        assert_eq!(read(&[framed]), b"hello there");
        let bytes: Vec<&[u8]> = framed.chunks(1).collect();
        assert_eq!(read(&bytes), b"hello there");
        assert_eq!(read(&[b"a terminal\n", b"\x01\0\0\0"]), b"a terminal\n\x01\0\0\0");
        assert_eq!(read(&[b"\x01x"]), b"\x01x");
        assert_eq!(read(&[b""]), b"");
    }

    #[test]
    fn of_a_frame_without_end_only_the_end_is_kept() {
        let mut output = Output::default();
        output.push(b"\x01\0\0\0\xff\xff\xff\xff");
        for _ in 0..2_000 {
            output.push(&[b'x'; 10_000]);
            assert!(output.text.capacity() <= 8 * KEPT_BYTES, "{}", output.text.capacity());
        }
        output.push(b"the end");
        assert!(output.end().ends_with(b"xthe end"));
    }
}
