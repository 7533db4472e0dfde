//! The real Engine that `DOCKNAP_TEST_DOCKER_HOST` names, used through the docker CLI.

use std::process::Command;
use std::sync::OnceLock;

/// Image of the containers of [`Real::run`]: only a static busybox.
const IMAGE: &str = "docknap-test-client";

/// Containers of one test on the real Engine; removed when the value is dropped.
pub struct Real {
    /// `DOCKER_HOST` of the Engine.
    pub docker_host: String,
    /// Prefix of each container name, so that tests do not use the same names.
    prefix: String,
}

impl Real {
    /// Connects to the Engine and builds the image.
    pub fn engine() -> Self {
        static BUILT: OnceLock<()> = OnceLock::new();
        let docker_host = std::env::var("DOCKNAP_TEST_DOCKER_HOST")
            .expect("DOCKNAP_TEST_DOCKER_HOST names no Engine; scripts/test starts one");
        let real = Self { docker_host, prefix: format!("t{}", uuid::Uuid::now_v7().simple()) };
        BUILT.get_or_init(|| {
            let context = tempfile::tempdir().expect("a directory");
            std::fs::copy("/bin/busybox", context.path().join("busybox")).expect("a static busybox");
            std::fs::write(
                context.path().join("Dockerfile"),
                "FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT [\"/bin/busybox\"]\n",
            )
            .expect("written");
            real.docker(&["build", "-q", "-t", IMAGE, context.path().to_str().expect("plain text")]);
        });
        real
    }

    /// The full name of a container of this test.
    pub fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// Runs the docker CLI and returns its output; fails the test if it fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker")
            .arg("--host")
            .arg(&self.docker_host)
            .args(arguments)
            .env("DOCKER_BUILDKIT", "0")
            .output()
            .expect("the docker CLI runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts a container that sleeps, with extra options of `docker run`. Returns its id.
    pub fn run(&self, short: &str, options: &[&str]) -> String {
        self.run_command(short, options, &["sleep", "100000"])
    }

    /// Starts a container with a busybox command. Returns its id.
    pub fn run_command(&self, short: &str, options: &[&str], command: &[&str]) -> String {
        let name = self.name(short);
        let mark = format!("docknap.test={}", self.prefix);
        let head = ["run", "-d", "--stop-timeout", "1", "--name", &name, "--label", &mark];
        self.docker(&[&head[..], options, &[IMAGE], command].concat())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let filter = format!("label=docknap.test={}", self.prefix);
        let ids = self.docker(&["ps", "-aq", "--filter", &filter]);
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.docker(&[&["rm", "-f"][..], &ids].concat());
        }
    }
}
