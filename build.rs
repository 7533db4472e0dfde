//! How the program that is released is linked.

use std::env;

fn main() {
    // `sqlx::migrate!` reads the folder: a new file in it is a change.
    println!("cargo::rerun-if-changed=migrations");
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    // Where Rust's own linker is the usual one.
    let by_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if by_lld && is("PROFILE", "release") {
        // One copy of functions that came out the same, and the places to relocate as a bitmap.
        for argument in ["--icf=all", "-zpack-relative-relocs"] {
            println!("cargo::rustc-link-arg-bin=docknap=-Wl,{argument}");
        }
    }
}
