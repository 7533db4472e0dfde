//! Tells Cargo to rebuild when a migration changes: `sqlx::migrate!` reads a folder that Cargo does not watch.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
