//! Says what the program is made from besides its sources: `sqlx::migrate!` reads a folder that Cargo does not look at.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
