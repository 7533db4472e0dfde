//! Runs the measured program, the release binary, as a child process and reads its resource use from the system.

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

/// Longest wait for the program to start, log a text or end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to start the program.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Path of the binary.
    pub binary: PathBuf,
    /// Command line arguments.
    pub arguments: Vec<String>,
    /// Data directory.
    pub data: PathBuf,
    /// Address of the Engine.
    pub docker_host: String,
    /// Log filter.
    pub log: &'static str,
}

/// A running program; killed when the value is dropped.
pub struct Program {
    child: Child,
    /// Address of the HTTP server.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    /// Time from the start to the first response with status 200.
    pub started_in: Duration,
}

/// Memory use in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident memory.
    pub resident: f64,
    /// Proportional set size: shared pages count in proportion.
    pub proportional: f64,
    /// Highest resident memory so far.
    pub peak: f64,
}

impl Program {
    /// Starts the program and waits for the first 200 of `/healthz`.
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

    /// Waits until the log contains a text.
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

    /// The log so far.
    pub fn said(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A browser that is logged in and accepts gzip.
    pub fn browser(&self) -> io::Result<Client> {
        let mut client = Client::new(self.address);
        client.log_in(NAME)?;
        client.with.push_str("accept-encoding: gzip\r\n");
        Ok(client)
    }

    /// An API client that is logged in.
    pub fn caller(&self) -> io::Result<Client> {
        let mut client = Client::new(self.address);
        client.log_in_to_api()?;
        Ok(client)
    }

    fn proc(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }

    /// Current memory use.
    pub fn memory(&self) -> io::Result<Memory> {
        memory(self.child.id())
    }

    /// Memory use after `wait`, measured on another thread.
    pub fn memory_after(&self, wait: Duration) -> JoinHandle<io::Result<Memory>> {
        let id = self.child.id();
        std::thread::spawn(move || {
            pause(wait);
            memory(id)
        })
    }

    /// Processor time so far in ms, including threads that have ended.
    pub fn cpu(&self) -> io::Result<f64> {
        let stat = self.proc("stat")?;
        // The name is in parentheses and may contain anything; user and system time are fields 14 and 15.
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        // A clock tick (USER_HZ) is 10 ms on all current Linux systems.
        Ok((fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) * 10.0)
    }

    /// Bytes written to disk so far.
    pub fn written(&self) -> io::Result<f64> {
        Ok(number(&self.proc("io")?, "write_bytes:"))
    }

    /// Number of open file descriptors.
    pub fn handles(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Ends the program by SIGTERM, as `docker stop` does.
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
