//! The program that is measured: the release binary as a child process, and what the system says of it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::http::{Client, NAME, PASSWORD};
use super::{clock, pause};

/// How long a part may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The binary.
    pub binary: PathBuf,
    /// Words after its name.
    pub arguments: Vec<String>,
    /// Its data directory.
    pub data: PathBuf,
    /// Its Engine.
    pub docker_host: String,
    /// What it logs.
    pub log: &'static str,
}

/// A program that runs, and ends with this value.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    /// From the call that started it to its first answer of 200.
    pub started_in: Duration,
}

/// What it holds in memory, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// In memory now.
    pub resident: f64,
    /// Of that, its own share of pages that others have too.
    pub proportional: f64,
    /// The most that was in memory so far.
    pub peak: f64,
}

impl Program {
    /// Starts it, and waits for the first 200 of `/healthz`.
    pub fn start(setup: &Setup) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let begin = clock();
        let mut child = Command::new(&setup.binary)
            .args(&setup.arguments)
            .env_clear()
            .env("DOCKNAP_DATA_DIR", &setup.data)
            .env("DOCKNAP_LISTEN", address.to_string())
            .env("DOCKER_HOST", &setup.docker_host)
            .env("DOCKNAP_ADMIN_USERNAME", NAME)
            .env("DOCKNAP_ADMIN_PASSWORD", PASSWORD)
            .env("DOCKNAP_LOG", setup.log)
            .env("TZ", "Europe/Berlin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        let mut program = Self { child, address, log, started_in: Duration::ZERO };
        loop {
            let answer = Client::new(address).ask("GET", "/healthz", None);
            if answer.is_ok_and(|answer| answer.status == 200) {
                program.started_in = clock().saturating_sub(begin);
                return Ok(program);
            }
            if program.child.try_wait()?.is_some() || clock().saturating_sub(begin) > PATIENCE {
                return Err(io::Error::other(format!("the program did not come up:\n{}", program.said())));
            }
            pause(Duration::from_micros(200));
        }
    }

    /// Waits until it has said something.
    pub fn until_said(&self, text: &str) -> io::Result<()> {
        let begin = clock();
        while !self.said().contains(text) {
            if clock().saturating_sub(begin) > PATIENCE {
                return Err(io::Error::other(format!("it never said `{text}`:\n{}", self.said())));
            }
            pause(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Its log so far.
    pub fn said(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A browser that is logged in.
    pub fn browser(&self) -> io::Result<Client> {
        let mut client = Client::new(self.address);
        client.log_in(NAME)?;
        client.with.push_str("accept-encoding: gzip\r\n");
        Ok(client)
    }

    /// A caller of the API that is logged in.
    pub fn caller(&self) -> io::Result<Client> {
        let mut client = Client::new(self.address);
        client.log_in_to_api()?;
        Ok(client)
    }

    fn proc(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }

    /// What it holds in memory.
    pub fn memory(&self) -> io::Result<Memory> {
        memory(self.child.id())
    }

    /// The same after a while, beside whatever else is done meanwhile.
    pub fn memory_after(&self, wait: Duration) -> JoinHandle<io::Result<Memory>> {
        let id = self.child.id();
        std::thread::spawn(move || {
            pause(wait);
            memory(id)
        })
    }

    /// Processor time so far, its threads' that have ended included, in ms.
    pub fn cpu(&self) -> io::Result<f64> {
        let stat = self.proc("stat")?;
        // The name is in parentheses and may hold anything; user and system time are the fields 14 and 15.
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        // A tick is 10 ms on every Linux of today (USER_HZ).
        Ok((fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) * 10.0)
    }

    /// Bytes it had written to disk so far.
    pub fn written(&self) -> io::Result<f64> {
        Ok(number(&self.proc("io")?, "write_bytes:"))
    }

    /// Files, sockets and the like that it holds open.
    pub fn handles(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Ends it as `docker stop` does.
    pub fn stop(mut self) -> io::Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-s", "TERM", &id]).status()?;
        let begin = clock();
        while self.child.try_wait()?.is_none() {
            if clock().saturating_sub(begin) > PATIENCE {
                return Err(io::Error::other(format!("it did not end:\n{}", self.said())));
            }
            pause(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memory(id: u32) -> io::Result<Memory> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}"));
    let (rollup, status) = (read("smaps_rollup")?, read("status")?);
    Ok(Memory {
        resident: number(&rollup, "Rss:") / 1024.0,
        proportional: number(&rollup, "Pss:") / 1024.0,
        peak: number(&status, "VmHWM:") / 1024.0,
    })
}

fn number(text: &str, key: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::NAN)
}
