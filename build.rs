//! Compresses the texts that lie in the program, and says how the one that is released is linked.

use std::io::{self, Write as _};
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

use squeeze::{Language, squeeze};

#[path = "src/web/squeeze.rs"]
mod squeeze;

fn main() -> io::Result<()> {
    // `sqlx::migrate!` reads the folder: a new file in it is a change.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=static");
    for entry in fs::read_dir("static")? {
        pack(&entry?.path())?;
    }
    println!("cargo::rerun-if-changed=src/web/api/openapi.json");
    pack(Path::new("src/web/api/openapi.json"))?;
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    // Where Rust's own linker is the usual one: it writes the places to relocate as a bitmap.
    let by_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if by_lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bin=docknap=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Leaves a file's compressed form, `NAME.gz`, where `packed!` looks for it.
fn pack(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let language = match path.extension().and_then(|extension| extension.to_str()) {
        Some("md" | "gz") => return Ok(()),
        Some("css") => Some(Language::Css),
        // What others have made, as `NAME.min.js`, is small already.
        Some("js") if !name.ends_with(".min.js") => Some(Language::Js),
        _ => None,
    };
    let packed = match language {
        // Compressed elsewhere, more patiently than there is time for in a build.
        _ if name.ends_with(".min.js") => fs::read(path.with_file_name(format!("{name}.gz")))?,
        Some(language) => compress(squeeze(&fs::read_to_string(path)?, language).as_bytes())?,
        None => compress(&fs::read(path)?)?,
    };
    fs::write(Path::new(&env::var("OUT_DIR").unwrap_or_default()).join(format!("{name}.gz")), packed)
}

fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data)?;
    encoder.finish()
}
