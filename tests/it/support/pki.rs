//! Certificates made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of openssl for a new key without a passphrase.
const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
/// The purpose that an Engine demands of a client certificate.
pub const CLIENT: &str = "extendedKeyUsage=clientAuth";
/// Names of an Engine that listens on this machine.
pub const SERVER: &str = "subjectAltName=IP:127.0.0.1,DNS:engine.test";

/// Runs openssl in a directory and returns what it writes; fails the test where it fails.
pub fn openssl(directory: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate authority with files of its own.
pub struct Authority {
    directory: tempfile::TempDir,
}

/// The files of a certificate and its key: `cert.pem` and `key.pem`, with `ca.pem` in the same directory.
#[derive(Clone, Debug)]
pub struct Issued {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Issued {
    /// The directory, as `DOCKER_CERT_PATH` names it.
    pub fn directory(&self) -> &Path {
        self.cert.parent().expect("it is in one")
    }

    pub fn cert_text(&self) -> String {
        std::fs::read_to_string(&self.cert).expect("a certificate")
    }

    /// Certificate and key in one file, as haproxy reads them.
    pub fn joined(&self) -> PathBuf {
        let path = self.directory().join("both.pem");
        std::fs::write(&path, format!("{}{}", self.cert_text(), self.key_text())).expect("written");
        path
    }

    pub fn key_text(&self) -> String {
        std::fs::read_to_string(&self.key).expect("a key")
    }
}

impl Authority {
    /// A new authority of this common name, valid for two days.
    pub fn new(name: &str) -> Self {
        Self::lasting(name, 2)
    }

    /// A new authority, valid for so many days.
    pub fn lasting(name: &str, days: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        openssl(
            directory.path(),
            &format!("req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -subj /CN={name} -days {days}"),
        );
        let settings = "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nnew_certs_dir=.\ncertificate=ca.pem\n\
                        private_key=ca.key\ndefault_md=sha256\npolicy=any\nrand_serial=yes\nunique_subject=no\n\
                        [any]\ncommonName=supplied\n";
        std::fs::write(directory.path().join("settings"), settings).expect("written");
        std::fs::write(directory.path().join("index"), "").expect("written");
        Self { directory }
    }

    /// The file of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub fn ca_text(&self) -> String {
        std::fs::read_to_string(self.ca()).expect("a certificate")
    }

    /// A certificate with these extensions, valid for two days.
    pub fn issue(&self, name: &str, extensions: &str) -> Issued {
        self.sign(name, extensions, "-days 2")
    }

    /// A certificate with these extensions, valid for one day.
    pub fn issue_for_a_day(&self, name: &str, extensions: &str) -> Issued {
        self.sign(name, extensions, "-days 1")
    }

    /// A certificate of the year 2020.
    pub fn issue_expired(&self, name: &str, extensions: &str) -> Issued {
        self.sign(name, extensions, "-startdate 20200101000000Z -enddate 20201231235959Z")
    }

    /// A certificate of the years from 2090 on.
    pub fn issue_early(&self, name: &str, extensions: &str) -> Issued {
        self.sign(name, extensions, "-startdate 20900101000000Z -enddate 99991231235959Z")
    }

    fn sign(&self, name: &str, extensions: &str, dates: &str) -> Issued {
        let directory = tempfile::tempdir_in(self.directory.path()).expect("a directory").keep();
        let path = |file: &str| directory.join(file).display().to_string();
        std::fs::write(path("ext"), extensions).expect("written");
        let (key, request, cert, ext) = (path("key.pem"), path("request"), path("cert.pem"), path("ext"));
        let home = self.directory.path();
        openssl(home, &format!("req {NEW_KEY} -keyout {key} -out {request} -subj /CN={name}"));
        openssl(
            home,
            &format!(
                "ca -batch -config settings -notext {dates} -in {request} -out {cert} -extfile {ext} -rand_serial"
            ),
        );
        std::fs::copy(self.ca(), directory.join("ca.pem")).expect("copied");
        Issued { cert: cert.into(), key: key.into() }
    }
}
