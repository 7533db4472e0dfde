#!/usr/bin/python3
"""Runs replicas of DockNap with faults and writes the event log; scripts/endure starts it."""

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True

from link import Links
from parts import PASSWORD, Engine, Log, Postgres, Replica, now, wait_until

# Without faults: at the beginning, at the end, and between the end of one fault and the next.
WARM_UP, CALM_END, CALM = 60, 90, (15, 40)
QUICK = "trap 'exit 0' TERM; touch /tmp/ready; while true; do sleep 1 & wait $!; done"
SLOW = "trap 'sleep 3; exit 0' TERM; while true; do sleep 1 & wait $!; done"
# Stack, service, what it runs, what it starts after.
SERVICES = [
    ("billing", "db", QUICK, ""),
    ("billing", "api", QUICK, "db:service_healthy:true"),
    ("billing", "worker", SLOW, "db:service_started:true"),
    ("media", "films", QUICK, ""),
    ("media", "music", SLOW, ""),
    ("web", "front", QUICK, ""),
    ("web", "cache", QUICK, ""),
    # Stands for DockNap's own container: a label protects it, as it would in a stack with a schedule.
    ("web", "docknap", QUICK, ""),
    ("nights", "one", QUICK, ""),
    ("nights", "two", SLOW, ""),
    # Stopped by hand before the run.
    ("nights", "spare", QUICK, ""),
]
OFF, PROTECTED = ["nights-spare-1"], ["web-docknap-1"]
EVEN, ODD, EACH = list(range(0, 60, 2)), list(range(1, 60, 2)), list(range(60))
CRONS = [
    ("billing sleeps", "billing", "stop", "*/2 * * * *", EVEN),
    ("billing wakes", "billing", "start", "1-59/2 * * * *", ODD),
    ("media sleeps", "media", "stop", "1-59/2 * * * *", ODD),
    ("media wakes", "media", "start", "*/2 * * * *", EVEN),
    ("web restarts", "web", "restart", "* * * * *", EACH),
]
# A stack by windows sleeps the first two minutes of each five. A window has 64 parts at most: one for each 3 hours.
HOURS = 3
RUN_COLUMNS = (
    "id, schedule_id, target_name, action, trigger_kind, due_ms, created_ms, started_ms, finished_ms, state, reason, "
    "missed_first_ms, missed_last_ms, missed_count, owner_epoch"
)
STEP_COLUMNS = "id, run_id, container, action, state, reason, error, issued_ms, finished_ms"


class Failed(Exception):
    """The run itself cannot go on."""


class Endurance:
    def __init__(self, options):
        self.options = options
        self.dice = random.Random(options.seed)
        self.log = Log(options.log)
        self.stop = threading.Event()
        self.links = Links()
        self.engine = Engine(options.engine, options.docker_host)
        self.postgres = Postgres(options.postgres_bin, options.disk, options.postgres_port)
        work = pathlib.Path(options.work)
        self.replicas = [
            Replica(f"r{number}", work, options.binary, self.links, self.engine, self.postgres, self.log)
            for number in (1, 2, 3)
        ]
        # The third one comes and goes.
        self.guest = self.replicas[2]
        self.threads, self.token, self.schedules = [], None, []

    # Set-up.

    def containers(self):
        for stack, service, command, after in SERVICES:
            name = f"{stack}-{service}-1"
            labels = {
                "com.docker.compose.project": stack, "com.docker.compose.service": service,
                "com.docker.compose.container-number": "1", "com.docker.compose.depends_on": after,
                "com.docker.compose.oneoff": "False",
            }
            if name in PROTECTED:
                labels["docknap.protect"] = "true"
            arguments = [part for label, value in labels.items() for part in ("--label", f"{label}={value}")]
            if service == "db":
                arguments += ["--health-cmd", "test -f /tmp/ready", "--health-interval", "1s"]
            self.engine.docker(
                "run", "-d", "--name", name, "--network", "none", "--restart", "unless-stopped", *arguments,
                self.options.image, "sh", "-c", command,
            )
        for name in OFF:
            self.engine.docker("stop", name)

    def begin(self):
        self.containers()
        if not self.postgres.start():
            raise Failed("PostgreSQL did not start")
        self.log.write(
            "begin", at=now(), seed=self.options.seed, minutes=self.options.minutes, replicas="2 to 3",
            commit=self.options.commit, docker=self.engine.docker("version", "--format", "{{.Server.Version}}"),
            postgres=self.postgres.sql("SHOW server_version").split()[0], cores=os.cpu_count(),
            off=OFF, protected=PROTECTED, containers={f"{one[0]}-{one[1]}-1": one[0] for one in SERVICES},
        )
        self.follow(self.engine.follow_events, self.log)
        # The first one makes the tables and the admin.
        for replica in self.replicas[:2]:
            replica.start()
            if not wait_until(60, replica.is_ready):
                raise Failed(f"{replica.name} is not ready after 60 s; its log is {replica.directory / 'log'}")
        for replica in self.replicas:
            self.follow(replica.follow)
        self.follow(self.postgres.follow_lease, self.log)
        self.make_schedules()

    def follow(self, what, *arguments):
        thread = threading.Thread(target=what, args=(*arguments, self.stop), daemon=True)
        thread.start()
        self.threads.append(thread)

    def make_schedules(self):
        # Well inside a minute, so that both clocks agree which fire is the first.
        self.sleep_until_second(5, 40)
        for name, stack, action, cron, minutes in CRONS:
            body = {"action": action, "cron": cron}
            self.make_schedule(name, stack, body, action=action, minutes=minutes)
        for first in range(0, 24, HOURS):
            windows = [(at, at + 2) for at in range(first * 60, (first + HOURS) * 60, 5)]
            text = "sleep " + "; ".join(f"{clock(begin)}-{clock(end)}" for begin, end in windows)
            self.make_schedule(f"nights from {first}", "nights", {"kind": "window", "window": text}, windows=windows)

    def make_schedule(self, name, stack, body, **fields):
        body = {"name": name, "host": "local", "target_type": "stack", "target_id": stack, "timezone": "UTC", **body}
        status, text = self.ask("/api/schedules", body)
        if status != 201:
            raise Failed(f"the schedule {name} is refused with {status}: {text}")
        schedule = json.loads(text)["id"]
        self.schedules.append(schedule)
        self.log.write("schedule", at=now(), id=schedule, name=name, stack=stack, **fields)

    def ask(self, path, body):
        """Asks one replica after another, as a proxy before them would."""
        answer = (0, "no replica answers")
        for replica in [one for one in self.replicas if one.is_up()] * 3:
            if self.token is None:
                login = {"username": "admin", "password": PASSWORD}
                status, text = replica.ask("/api/auth/login", login, seconds=20)
                if status != 200:
                    answer = (status, text)
                    continue
                self.token = json.loads(text)["token"]
            answer = replica.ask(path, body, self.token, seconds=20)
            if answer[0] == 401:
                self.token = None
            elif 0 < answer[0] < 500:
                break
        return answer

    @staticmethod
    def sleep_until_second(first, last):
        second = time.time() % 60
        if not first <= second <= last:
            time.sleep((first - second) % 60)

    # Faults. Each ends by itself, and returns when it began and ended, and for which replica.

    def leader(self):
        found = []
        wait_until(60, lambda: found.extend(one for one in self.replicas if one.leads) or found)
        return found[0] if found else None

    def follower(self):
        leader = self.leader()
        return next((one for one in self.replicas if one.is_up() and one is not leader), None)

    def end_one(self, replica, how):
        begin = now()
        replica.end(how, "fault")
        # The others must do without it for a while. A clean end takes until the process is gone.
        end = begin if how == signal.SIGKILL else now()
        self.absent = replica
        return begin, end, replica

    def kill_all(self):
        begin = now()
        up = [one for one in self.replicas if one.is_up()]
        for replica in up:
            replica.ends_by = "fault"
            replica.process.send_signal(signal.SIGKILL)
        for replica in up:
            replica.end(signal.SIGKILL, "fault")
        time.sleep(2)
        for replica in up:
            replica.start()
        wait_until(60, lambda: any(one.is_ready() for one in up))
        return begin, now(), None

    def freeze(self, replica, shortest, longest):
        process = replica.process
        begin = now()
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.dice.uniform(shortest, longest))
        end = now()
        process.send_signal(signal.SIGCONT)
        return begin, end, replica

    def cut(self, links, replica=None):
        begin = now()
        for link in links:
            self.links.cut(link, True)
        try:
            time.sleep(self.dice.uniform(20, 35))
        finally:
            for link in links:
                self.links.cut(link, False)
        return begin, now(), replica

    def restart_engine(self):
        begin = now()
        if not self.engine.restart():
            raise Failed("the Docker Engine did not start again")
        return begin, now(), None

    def freeze_engine(self):
        pid, begin = self.engine.pid(), now()
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self.dice.uniform(10, 25))
        finally:
            os.kill(pid, signal.SIGCONT)
        return begin, now(), None

    def end_connections(self):
        begin = now()
        self.postgres.sql(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND application_name <> 'endure'"
        )
        return begin, now(), None

    def restart_postgres(self, how):
        begin, process = now(), self.postgres.process
        process.send_signal(how)
        process.wait(60)
        time.sleep(self.dice.uniform(0, 5))
        if not self.postgres.start():
            raise Failed("PostgreSQL did not start again")
        return begin, now(), None

    def fill_disk(self, pieces):
        begin = now()
        try:
            is_refused = self.postgres.fill(pieces)
            time.sleep(self.dice.uniform(15, 25))
        finally:
            self.postgres.free()
        wait_until(10, lambda: self.postgres.process.poll() is not None or self.postgres.answers())
        # A server that cannot store its write-ahead log ends.
        if self.postgres.process.poll() is not None and not self.postgres.start():
            raise Failed("PostgreSQL did not start on the disk that has room again")
        wait_until(60, self.postgres.answers)
        if pieces and not is_refused:
            self.log.write("note", at=now(), text="the full disk did not keep PostgreSQL from storing")
        return begin, now(), None

    def faults(self):
        leader, follower = self.leader, self.follower
        of_one = {
            "kill leader": (leader, lambda one: self.end_one(one, signal.SIGKILL)),
            "kill follower": (follower, lambda one: self.end_one(one, signal.SIGKILL)),
            "stop leader": (leader, lambda one: self.end_one(one, signal.SIGTERM)),
            # Longer than the lease of 15 s, and shorter than the 10 s for which a leader trusts itself.
            "freeze leader": (leader, lambda one: self.freeze(one, 20, 35)),
            "freeze leader briefly": (leader, lambda one: self.freeze(one, 3, 8)),
            "freeze follower": (follower, lambda one: self.freeze(one, 20, 35)),
            "cut leader from the database": (leader, lambda one: self.cut([one.to_database], one)),
            "cut leader from the Engine": (leader, lambda one: self.cut([one.to_engine], one)),
        }
        of_all = {
            "kill all": self.kill_all,
            "cut all from the Engine": lambda: self.cut([one.to_engine for one in self.replicas]),
            "restart the Engine": self.restart_engine,
            "freeze the Engine": self.freeze_engine,
            "end connections to PostgreSQL": self.end_connections,
            "restart PostgreSQL": lambda: self.restart_postgres(signal.SIGINT),
            "kill PostgreSQL": lambda: self.restart_postgres(signal.SIGQUIT),
            "fill the disk of PostgreSQL": lambda: self.fill_disk(0),
            "fill the disk until PostgreSQL ends": lambda: self.fill_disk(40),
        }
        return of_one, of_all

    def do(self, name):
        of_one, of_all = self.faults()
        self.absent = None
        if name in of_all:
            begin, end, replica = of_all[name]()
        else:
            whom, fault = of_one[name]
            chosen = whom()
            if chosen is None:
                self.log.write("note", at=now(), text=f"{name}: there is none")
                return
            begin, end, replica = fault(chosen)
        self.log.write("fault", at=begin, end=end, name=name, replica=replica and replica.name)
        self.say(f"{name}{' ' + replica.name if replica else ''}, {(end - begin) / 1000:.1f} s")
        if self.absent is not None:
            time.sleep(self.dice.uniform(20, 35))
            self.absent.start()

    def recover(self):
        """Waits until all is well again, so that a fault meets a whole system."""
        def is_well():
            return (
                self.postgres.answers() and self.engine.answers() and any(one.leads for one in self.replicas)
                and all(one.is_ready() for one in self.replicas[:2])
            )
        if not wait_until(120, is_well, 1):
            self.log.write("note", at=now(), text="not all is well 120 s after a fault")
            for replica in self.replicas[:2]:
                if not replica.is_up():
                    replica.start()

    def guest_comes_or_goes(self):
        if not self.guest.is_up():
            self.guest.start()
        elif not self.guest.leads:
            self.guest.end(signal.SIGTERM, "plan")

    def run(self):
        end = time.monotonic() + self.options.minutes * 60

        def left():
            return max(0, end - time.monotonic())

        time.sleep(min(WARM_UP, left()))
        bag = []
        # The longest fault with what follows it takes this long.
        while left() > CALM_END + 60:
            if self.dice.random() < 0.4:
                self.guest_comes_or_goes()
            if not bag:
                of_one, of_all = self.faults()
                bag = [*of_one, *of_all, "kill leader"]
                self.dice.shuffle(bag)
            time.sleep(self.dice.uniform(*CALM))
            # Half of the faults meet the runs of a minute that has just begun.
            if self.dice.random() < 0.5:
                self.sleep_until_second(0, 0)
                time.sleep(self.dice.uniform(0, 6))
            if left() > CALM_END + 60:
                self.do(bag.pop())
                self.recover()
        self.say(f"no more faults; {left():.0f} s to the end")
        time.sleep(left())

    # The end: the states, then the rows.

    def finish(self):
        for replica in self.replicas[:2]:
            if not replica.is_up():
                replica.start()
        waiting = "SELECT COUNT(*) FROM runs WHERE state IN ('pending', 'executing')"

        def is_quiet():
            return 30 <= time.time() % 60 <= 45 and self.postgres.sql(waiting) == "0"
        # The deadline of a run, and its budget.
        wait_until(18 * 60, is_quiet, 1)
        at = now()
        for line in self.engine.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines():
            container, state = line.split(" ", 1)
            self.log.write("state", at=at, container=container, running=state == "running")
        for schedule in self.schedules:
            status, text = self.ask(f"/api/schedules/{schedule}/disable", {})
            if status != 200:
                raise Failed(f"the schedule {schedule} cannot be disabled: {status} {text}")
            self.log.write("disabled", at=at, schedule=schedule)
        # The end of a window that sleeps wakes its stack.
        time.sleep(3)
        wait_until(120, lambda: self.postgres.sql(waiting) == "0", 1)
        # Docker's last events.
        time.sleep(1)
        end = now()
        self.stop.set()
        self.end_followers()
        tables = [("run", RUN_COLUMNS, "runs"), ("step", STEP_COLUMNS, "steps"), ("lease", "*", "leases")]
        for kind, columns, table in tables:
            rows = self.postgres.sql(
                f"SELECT row_to_json(r) FROM (SELECT '{kind}' AS kind, {columns} FROM {table}) r", seconds=120
            )
            if rows is None:
                raise Failed(f"the {table} cannot be read")
            self.log.lines(rows.splitlines())
        for replica in self.replicas:
            for line in replica.panics():
                self.log.write("panic", replica=replica.name, text=line)
        self.log.write("end", at=end)

    def end_followers(self):
        for follower in (self.engine, self.postgres):
            with contextlib.suppress(AttributeError, OSError):
                follower.watching.terminate()
        for thread in self.threads:
            thread.join(5)

    def close(self):
        self.stop.set()
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.engine.pid(), signal.SIGCONT)
        self.end_followers()
        for replica in self.replicas:
            replica.end(signal.SIGTERM, "plan")
        self.links.close()
        if self.postgres.process is not None and self.postgres.process.poll() is None:
            self.postgres.process.send_signal(signal.SIGINT)
            with contextlib.suppress(Exception):
                self.postgres.process.wait(20)
            if self.postgres.process.poll() is None:
                self.postgres.process.kill()
        # An Engine that was started here is a child of this process.
        if self.engine.process is not None and self.engine.process.poll() is None:
            with contextlib.suppress(Exception):
                names = self.engine.docker("ps", "-aq").split()
                if names:
                    self.engine.docker("rm", "-f", *names)
            self.engine.process.terminate()
            with contextlib.suppress(Exception):
                self.engine.process.wait(40)
        self.log.close()

    @staticmethod
    def say(text):
        print(time.strftime("%H:%M:%S", time.gmtime()), text, file=sys.stderr, flush=True)


def clock(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--postgres-port", type=int, required=True)
    for name in ("binary", "work", "log", "commit", "engine", "docker-host", "image", "postgres-bin", "disk"):
        parser.add_argument(f"--{name}", required=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    endurance = Endurance(parser.parse_args())
    try:
        endurance.begin()
        endurance.run()
        endurance.finish()
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        endurance.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
