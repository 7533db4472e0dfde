//! How the program that is released is linked.

use std::env;

fn main() {
    // `sqlx::migrate!` reads the folder: a new file in it is a change.
    println!("cargo::rerun-if-changed=migrations");
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    // Where Rust's own linker is the usual one: it writes the places to relocate as a bitmap.
    let by_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if by_lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bin=docknap=-Wl,-z,pack-relative-relocs");
    }
}
