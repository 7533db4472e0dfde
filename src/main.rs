//! The `docknap` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_files_private();
    limit_allocator();
    // Selects one cryptography provider for all TLS connections. An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    docknap::cli::run(std::env::args_os().collect())
}

/// Makes all created files accessible to their owner only, because the database contains password hashes.
fn keep_files_private() {
    #[expect(unsafe_code, reason = "a C call that takes a number and cannot fail")]
    // SAFETY: umask changes one number of this process; no other thread exists yet.
    unsafe {
        libc::umask(0o077);
    }
}

/// Limits the memory that glibc's allocator keeps: each password hash allocates 19 MiB, and with one arena per thread
/// the process grew to 88 MB after five logins. Large blocks are returned to the system at once; up to 1 MiB of
/// smaller ones is kept for reuse. Three arenas, because the first threads to allocate (this one and the runtime's
/// two) get one each; with fewer, the runtime's threads wait for each other and serve half as many pages. Must run
/// before other threads start, since arenas that exist stay.
#[cfg(target_env = "gnu")]
fn limit_allocator() {
    #[expect(unsafe_code, reason = "a C call that takes two numbers and touches no memory of ours")]
    // SAFETY: mallopt is called before any other thread exists, with parameters glibc documents.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_ARENA_MAX, 3);
    }
}

#[cfg(not(target_env = "gnu"))]
fn limit_allocator() {}
