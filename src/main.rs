//! The `docknap` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_files_private();
    tame_allocator();
    // One provider for every TLS connection, so that none is chosen by accident. It can only be there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    docknap::cli::run(std::env::args_os().collect())
}

/// The database holds password hashes: what this program makes is its owner's alone.
fn keep_files_private() {
    #[expect(unsafe_code, reason = "a C call that takes a number and cannot fail")]
    // SAFETY: umask changes one number of this process; no other thread exists yet.
    unsafe {
        libc::umask(0o077);
    }
}

/// Keeps glibc from holding on to each 19 MiB block of a password hash, and from an arena per thread: it came to 88 MB
/// after five logins. Three arenas, since the first threads that ask have one each, and those are this one and the
/// runtime's two: where these two share one they wait for each other, and answer half as many pages. What a page took
/// and gave back is kept for the next. Before the first thread, since later arenas would stay.
#[cfg(target_env = "gnu")]
fn tame_allocator() {
    #[expect(unsafe_code, reason = "a C call that takes two numbers and touches no memory of ours")]
    // SAFETY: mallopt is called before any other thread exists, with parameters glibc documents.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_ARENA_MAX, 3);
    }
}

#[cfg(not(target_env = "gnu"))]
fn tame_allocator() {}
