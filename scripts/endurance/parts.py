"""What scripts/endure runs: the event log, PostgreSQL, the Docker Engine, and the replicas of DockNap. Every process is
ended by its id."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

PASSWORD = "sleepy whales drift at night"
# How often a replica is asked whether it leads, and the row of the lease is read.
ASK_EVERY, LEASE_EVERY = 0.5, 0.25


def now():
    return time.time_ns() // 1_000_000


def wait_until(seconds, test, every=0.2):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def end_process(process, seconds=20, how=signal.SIGTERM):
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def free_port():
    """A port below the range that the kernel assigns to outgoing connections: a replica has the same one again after a
    restart."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(20000, first if first > 21000 else 32768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Log:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, kind, **fields):
        self.lines([json.dumps({"kind": kind, **fields}, separators=(",", ":"))])

    def lines(self, lines):
        with self.lock:
            if not self.file.closed:
                self.file.writelines(line + "\n" for line in lines)
                self.file.flush()

    def close(self):
        with self.lock:
            self.file.close()


class Postgres:
    """A server with its data on a disk of its own, which can be filled."""

    def __init__(self, binaries, disk, port):
        self.binaries, self.disk, self.port = binaries, pathlib.Path(disk), port
        self.process = None
        self.environment = {
            **os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "docknap", "PGDATABASE": "postgres",
            "PGCONNECT_TIMEOUT": "5", "PGAPPNAME": "endure",
        }

    def start(self):
        log = open(self.disk.parent / "postgres.log", "ab")
        self.process = subprocess.Popen(
            [
                f"{self.binaries}/postgres", "-D", self.disk / "data", "-p", str(self.port), "-k", self.disk,
                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "min_wal_size=2MB",
                "-c", "max_wal_size=16MB",
            ],
            user="postgres", group="postgres", extra_groups=[], cwd="/", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        log.close()
        return wait_until(60, self.answers)

    def answers(self):
        return self.process.poll() is None and self.sql("SELECT 1") == "1"

    def sql(self, statement, seconds=10):
        """The output of a statement; None where it failed."""
        command = [f"{self.binaries}/psql", "-XAtq", "-c", statement]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command, env=self.environment, timeout=seconds, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False,
            )
            return done.stdout.strip() if done.returncode == 0 else None
        return None

    def fill(self, pieces):
        """Takes all room of the disk, and begins so many pieces of the write-ahead log, which has some room of its own.
        Returns whether the server could not store one of them, after which it ends."""
        # A new session needs room too, so this one begins before.
        session = subprocess.Popen(
            [f"{self.binaries}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        table = "CREATE TABLE IF NOT EXISTS room (n BIGINT); INSERT INTO room VALUES (0);"
        session.stdin.write(f"{table} SELECT 'ready';\n")
        session.stdin.flush()
        session.stdout.readline()
        with open(self.disk / "filler", "wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                block = bytes(size)
                with contextlib.suppress(OSError):
                    while file.write(block) == size:
                        pass
        try:
            statement = "INSERT INTO room VALUES (1); SELECT pg_switch_wal();\n"
            output, _ = session.communicate(statement * pieces, timeout=20)
            return len(output.split()) < pieces
        except (OSError, subprocess.TimeoutExpired):
            end_process(session, 1, signal.SIGKILL)
            return True

    def free(self):
        (self.disk / "filler").unlink(missing_ok=True)

    def follow_lease(self, log, stop):
        """Writes each new epoch of the lease. Reads the row in one session for as long as that lives."""
        statement = rf"SELECT epoch FROM leases WHERE name = 'leader' \watch {LEASE_EVERY}" + "\n"
        known = None
        while not stop.is_set():
            self.watching = subprocess.Popen(
                [f"{self.binaries}/psql", "-XAtq"], env=self.environment, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )
            with contextlib.suppress(OSError):
                self.watching.stdin.write(statement)
                self.watching.stdin.close()
            for line in self.watching.stdout:
                if line.strip().isdigit() and int(line) != known:
                    known = int(line)
                    log.write("epoch", at=now(), epoch=known)
            end_process(self.watching, 2)
            stop.wait(LEASE_EVERY)


class Engine:
    """The Docker Engine that scripts/endure has started."""

    def __init__(self, directory, host):
        self.directory, self.host = pathlib.Path(directory), host
        self.process, self.watching = None, None

    def pid(self):
        return int((self.directory / "pid").read_text())

    def docker(self, *arguments, seconds=60):
        command = ["docker", "--host", self.host, *arguments]
        return subprocess.run(
            command, text=True, timeout=seconds, capture_output=True, stdin=subprocess.DEVNULL, check=True
        ).stdout.strip()

    def answers(self):
        try:
            return bool(self.docker("version", "--format", "{{.Server.Version}}", seconds=5))
        except subprocess.SubprocessError:
            return False

    def restart(self):
        pid = self.pid()
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        os.kill(pid, signal.SIGTERM)
        if self.process is not None:
            end_process(self.process, 60)
        elif not wait_until(60, lambda: not alive(pid)):
            os.kill(pid, signal.SIGKILL)
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return wait_until(60, self.answers)

    def follow_events(self, log, stop):
        """Writes what the Engine tells about containers; after a loss, also what it told meanwhile."""
        last, seen = time.time_ns(), set()
        while not stop.is_set():
            since = f"{last // 10**9}.{last % 10**9:09}"
            self.watching = subprocess.Popen(
                ["docker", "--host", self.host, "events", "--since", since, "--filter", "type=container", "--format",
                 "{{json .}}"],
                text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )
            for line in self.watching.stdout:
                event = json.loads(line)
                action, at = event["Action"], event["timeNano"]
                key = (at, action, event["Actor"]["ID"])
                if action.startswith(("exec_", "health_status")) or key in seen:
                    continue
                seen.add(key)
                last = max(last, at)
                log.write("docker", at=at // 1_000_000, action=action, container=event["Actor"]["Attributes"]["name"])
            end_process(self.watching, 2)
            stop.wait(0.2)


def alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


class Replica:
    """One replica of DockNap: a process at a time, with links of its own to the Engine and the database."""

    def __init__(self, name, directory, binary, links, engine, postgres, log):
        self.name, self.binary, self.log = name, binary, log
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir()
        self.to_engine = links.open(str(engine.directory / "docker.sock"))
        self.to_database = links.open(("127.0.0.1", postgres.port))
        self.port = free_port()
        self.process, self.leads, self.ends_by = None, False, None
        self.lock = threading.Lock()

    def start(self):
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKNAP_LISTEN": f"127.0.0.1:{self.port}",
            "DOCKNAP_DATA_DIR": str(self.directory),
            "DOCKNAP_DATABASE_URL": f"postgres://docknap@127.0.0.1:{self.to_database.port}/postgres",
            "DOCKNAP_SECRET_KEY": "k" * 40,
            "DOCKNAP_ADMIN_USERNAME": "admin",
            "DOCKNAP_ADMIN_PASSWORD": PASSWORD,
            "DOCKNAP_METRICS": "open",
            "DOCKER_HOST": f"tcp://127.0.0.1:{self.to_engine.port}",
            "TZ": "UTC",
        }
        with self.lock, open(self.directory / "log", "ab") as file:
            self.ends_by = None
            self.process = subprocess.Popen(
                [self.binary], env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )
            self.log.write("replica", at=now(), name=self.name, pid=self.process.pid, what="started")

    def end(self, how, by):
        """Ends the process with a signal, on purpose."""
        with self.lock:
            if self.process is None:
                return
            if self.is_up():
                self.ends_by = by
                # A process that is stopped acts on no signal but SIGKILL.
                self.process.send_signal(signal.SIGCONT)
                end_process(self.process, 20, how)
            self.record_end()

    def record_end(self):
        self.leads = False
        code = self.process.wait()
        by, self.process = self.ends_by or "itself", None
        self.log.write("replica", at=now(), name=self.name, what="ended", code=code, by=by)
        return by

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def ask(self, path, body=None, token=None, seconds=5):
        """Status and text of a request; status 0 where there is no answer."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError, urllib.error.URLError):
            return 0, ""

    def is_ready(self):
        return self.is_up() and self.ask("/readyz")[0] == 200

    def follow(self, stop):
        """Asks the process whether it leads, writes for how long it said so, and starts it anew if it ended by
        itself."""
        begin = last = None
        samples = 0
        while not stop.wait(ASK_EVERY):
            with self.lock:
                has_ended = self.process is not None and self.process.poll() is not None
                again = has_ended and self.record_end() == "itself"
            process = self.process
            sent = now()
            status, text = self.ask("/metrics", seconds=2) if process is not None else (0, "")
            leads = status == 200 and re.search(r"^docknap_leader(\{[^}]*\})? 1", text, re.MULTILINE) is not None
            # Of a process that has ended meanwhile nothing is known.
            leads = leads and process is self.process
            if leads:
                begin, last = begin or now(), sent
            else:
                self.record_lead(begin, last)
                begin = last = None
            self.leads = leads
            samples += 1
            if process is not None and samples % 10 == 0:
                self.record_memory(process.pid)
            if again and not stop.wait(2):
                self.start()
        self.record_lead(begin, last)
        if self.process is not None:
            self.record_memory(self.process.pid)

    def record_lead(self, begin, last):
        # It leads for certain from the first answer on until the last question was sent.
        if begin is not None and last > begin:
            self.log.write("lead", **{"replica": self.name, "from": begin, "to": last})

    def record_memory(self, pid):
        with contextlib.suppress(OSError, AttributeError):
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            kib = int(re.search(r"^VmHWM:\s*(\d+)", text, re.MULTILINE)[1])
            self.log.write("memory", at=now(), replica=self.name, pid=pid, kib=kib)

    def panics(self):
        text = (self.directory / "log").read_text(errors="replace") if (self.directory / "log").exists() else ""
        return [line for line in text.splitlines() if "panicked" in line]
