#!/usr/bin/python3
"""Checks the event log of scripts/endure and prints its table: check.py LOG

The log has one JSON object per line; a name that ends in .gz is read with gzip. Instants are unix milliseconds of the
one clock that Docker, PostgreSQL and DockNap share. The kinds of line:

  begin     conditions of the run: seed, minutes, replicas, commit, docker, postgres, cores; off and protected list
            containers that must not be started, or touched
  schedule  made at `at`: id, stack, action and the minutes of the hour at which it fires (cron), or windows as pairs of
            minutes of the day at which the stack sleeps
  disabled  a schedule ended at `at`
  fault     from `at` to `end`: name, and the replica that it was for
  replica   `what` is started or ended; for an end the exit code, and `by`: fault, plan or itself
  lead      a replica said in each answer between `from` and `to` that it leads
  epoch     the row of the lease has had this epoch since `at`
  docker    an event of the Engine: action, container
  state     a container at the end of the run: stack, running
  memory    most memory that a process has used, in KiB
  panic     a line of a replica's log
  run, step rows of the database at the end
  end       the run was not cut off

Exit code 0: every invariant holds. 1: one is broken, and named. 2: the log cannot be read.
"""

import collections
import gzip
import json
import statistics
import sys

MINUTE = 60_000
DAY = 1440 * MINUTE
# A fire is on time up to here, and late up to ON_TIME; later it was missed, and may be caught up.
PUNCTUAL, ON_TIME = 1_000, 60_000
# A busy machine may delay a fire by this much without a fault.
UNEXPLAINED = 10_000
# A fault explains what happens until this long after its end. A host that was away is asked again after up to 60 s.
AFTER, AFTER_ENGINE = 30_000, 75_000
# An event of Docker belongs to a step from a little before the step was issued (rounding) until some time after the
# step ended: a call that Docker has accepted goes on when nobody waits for it any more.
BEFORE_STEP, AFTER_STEP = 1_000, 15_000
# After a restart of the Engine it starts its containers for this long.
ENGINE_BOOT = 30_000
# A thawed leader's call that was decided before the freeze comes within this time.
THAW, DECIDED = 10_000, 5_000
TAKE_OVER = 60_000
# Faults after which another replica must lead.
MUST_CHANGE = {"kill leader", "stop leader", "kill all", "freeze leader", "cut leader from the database"}
TERMINAL = {"succeeded", "failed", "partial", "skipped", "missed", "superseded", "cancelled", "interrupted"}
# Which steps explain which event.
EXPLAINS = {"start": {"start", "restart"}, "stop": {"stop", "restart"}, "restart": {"restart"}}


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    kinds = collections.defaultdict(list)
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                kinds[record["kind"]].append(record)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number}: {error}") from error
    return kinds


def clock(ms):
    seconds = ms // 1000 % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def seconds(ms):
    return f"{ms / 1000:.1f} s"


class Checker:
    def __init__(self, log):
        self.log = log
        self.rows, self.broken = [], []
        self.begin = log["begin"][0]
        self.faults = sorted(log["fault"], key=lambda fault: fault["at"])
        self.schedules = {schedule["id"]: schedule for schedule in log["schedule"]}
        self.ended = {line["schedule"]: line["at"] for line in log["disabled"]}
        self.first = min((schedule["at"] for schedule in log["schedule"]), default=0)
        self.finish = log["end"][0]["at"] if log["end"] else None
        self.events = sorted(log["docker"], key=lambda event: event["at"])
        self.steps_of_run = collections.defaultdict(list)
        for step in log["step"]:
            self.steps_of_run[step["run_id"]].append(step)

    def row(self, what, count, beside=""):
        self.rows.append((what, str(count), beside))

    def breaks(self, invariant, detail):
        self.broken.append(f"{invariant}: {detail}")

    def cause(self, begin, end):
        """The fault that was going on, or had just ended, between two instants."""
        for fault in self.faults:
            after = AFTER_ENGINE if "Engine" in fault["name"] else AFTER
            if fault["at"] <= end and fault["end"] + after >= begin:
                return fault
        return None

    def check(self):
        if self.finish is None:
            self.breaks("the run ends", "the log has no last line; it was cut off")
            return
        self.fires()
        self.runs()
        self.calls()
        self.untouched()
        self.edges()
        self.at_the_end()
        self.leaders()
        self.processes()

    # Fires: each has one run, or is counted as missed.

    def due(self):
        """Every fire of a cron schedule, calculated here and not by DockNap."""
        for schedule in self.schedules.values():
            if "minutes" not in schedule:
                continue
            until = self.ended.get(schedule["id"], self.finish)
            at = schedule["at"] // MINUTE * MINUTE + MINUTE
            while at <= until:
                if at // MINUTE % 60 in schedule["minutes"]:
                    yield schedule, at
                at += MINUTE

    def fires(self):
        runs, spans = collections.defaultdict(list), collections.defaultdict(list)
        for run in self.log["run"]:
            if run["state"] == "missed" and run.get("missed_first_ms") is not None:
                spans[run["schedule_id"]].append(run)
            elif run.get("due_ms") is not None:
                runs[run["schedule_id"], run["due_ms"]].append(run)
        total = once = punctual = 0
        late, caught_up, missed, unexplained = [], [], [], []
        for schedule, at in self.due():
            total += 1
            name = f"{schedule['name']} of {clock(at)}"
            found = runs.pop((schedule["id"], at), [])
            span = [one for one in spans[schedule["id"]] if one["missed_first_ms"] <= at <= one["missed_last_ms"]]
            if len(found) + len(span) > 1:
                self.breaks("a fire has one run", f"{name} has {len(found) + len(span)}")
            if not found and not span:
                self.breaks("no fire is lost", f"{name} has no run and is not recorded as missed")
                continue
            if span:
                missed.append(name)
                if not self.cause(at, at + ON_TIME):
                    self.breaks("a missed fire has a cause", name)
                continue
            once += 1
            lag = found[0]["created_ms"] - at
            if lag < 0:
                self.breaks("no fire is early", f"{name}, {seconds(-lag)} before its time")
            elif lag <= PUNCTUAL:
                punctual += 1
            elif lag <= ON_TIME:
                late.append(lag)
            else:
                caught_up.append(lag)
            if lag > PUNCTUAL and not self.cause(at, at + lag):
                unexplained.append(lag)
                if lag > UNEXPLAINED:
                    self.breaks("a late fire has a cause", f"{name}, {seconds(lag)} late")
        others = [key for key in runs if key[0] in self.schedules and "minutes" in self.schedules[key[0]]]
        for schedule, at in others:
            self.breaks("a run has a fire", f"{self.schedules[schedule]['name']} of {clock(at)} was not due")
        self.row("fires due", total, f"of {sum('minutes' in one for one in self.schedules.values())} cron schedules")
        self.row("claimed, each once", once)
        self.row("on time (within 1 s)", punctual)
        self.row("late (1 to 60 s)", len(late), self.span_of(late))
        self.row("caught up (after more than 60 s)", len(caught_up), self.span_of(caught_up))
        self.row("late without a fault at that time", len(unexplained), self.span_of(unexplained))
        self.row("missed", len(missed), "each during a fault" if missed else "")

    @staticmethod
    def span_of(values):
        if not values:
            return ""
        return f"{seconds(min(values))} to {seconds(max(values))}, median {seconds(statistics.median(values))}"

    # Runs: each ends, and what did not go well has a cause.

    def runs(self):
        states = collections.Counter(run["state"] for run in self.log["run"])
        for run in self.log["run"]:
            name = f"run {run['id']} ({run['action']} {run['target_name']} of {clock(run['created_ms'])})"
            if run["state"] not in TERMINAL:
                self.breaks("a run ends", f"{name} is {run['state']}")
                continue
            for step in self.steps_of_run[run["id"]]:
                if step["state"] in ("pending", "issued"):
                    self.breaks("a step ends", f"{step['container']} of {name} is {step['state']}")
            if run["state"] in ("interrupted", "failed", "partial"):
                begin = run.get("started_ms") or run["created_ms"]
                if not self.cause(begin, run["finished_ms"]):
                    invariant = f"a run that is {run['state']} has a cause"
                    self.breaks(invariant, f"{name}: {run['reason']}")
        ended = sum(states[state] for state in TERMINAL)
        self.row("runs", len(self.log["run"]), f"{ended} ended")
        for state in sorted(states, key=lambda state: -states[state]):
            explained = "each during or just after a fault" if state in ("interrupted", "failed", "partial") else ""
            self.row(f"runs {state}", states[state], explained)

    # Calls: Docker's own events against the steps that were stored before each call.

    def calls(self):
        steps = collections.defaultdict(list)
        for step in self.log["step"]:
            if step.get("issued_ms") is not None:
                steps[step["container"]].append(step)
        for several in steps.values():
            several.sort(key=lambda step: step["issued_ms"])
        restarts = collections.Counter()
        engine = [fault for fault in self.faults if fault["name"] == "restart the Engine"]
        frozen = [fault for fault in self.faults if fault["name"] == "freeze leader"]
        counts, excused, late = collections.Counter(), collections.Counter(), set()
        for event in self.events:
            action, container, at = event["action"], event["container"], event["at"]
            if action not in EXPLAINS or container not in self.begin["containers"] or at < self.first:
                continue
            counts[action] += 1
            matching = [
                step for step in steps[container]
                if step["action"] in EXPLAINS[action] and step["issued_ms"] - BEFORE_STEP <= at
            ]
            within = [step for step in matching if at <= (step["finished_ms"] or self.finish) + AFTER_STEP]
            if within:
                if action == "restart":
                    self.count_restart(restarts, within[-1], at)
                continue
            if any(fault["at"] <= at <= fault["end"] + ENGINE_BOOT for fault in engine):
                excused[action] += 1
                continue
            thawed = [fault for fault in frozen if fault["end"] <= at <= fault["end"] + THAW]
            decided = [
                (fault["at"], container) for fault in thawed for step in matching
                if fault["at"] - DECIDED <= step["issued_ms"] <= fault["at"]
            ]
            if decided and decided[0] not in late:
                late.add(decided[0])
                if action == "restart":
                    self.count_restart(restarts, matching[-1], at)
                continue
            self.breaks(f"no {action} without a run", f"{container} at {clock(at)}")
        issued = collections.Counter(step["action"] for step in self.log["step"] if step.get("issued_ms") is not None)
        for action in ("stop", "start", "restart"):
            beside = f"{counts[action]} events of Docker"
            if action != "restart":
                beside += ", with those of restarts"
            if excused[action]:
                beside += f", {excused[action]} of them by the restarted Engine"
            self.row(f"{action}s issued", issued[action], beside)
        twice = sum(count > 1 for count in restarts.values())
        self.row("restarts done twice for one run", twice)
        self.row("calls of a thawed leader that came late", len(late))

    def count_restart(self, restarts, step, at):
        restarts[step["id"]] += 1
        if restarts[step["id"]] == 2:
            self.breaks("no restart twice for one run", f"{step['container']} at {clock(at)}, run {step['run_id']}")

    # What was off stays off, and what is protected is not touched.

    def untouched(self):
        engine = [fault for fault in self.faults if fault["name"] == "restart the Engine"]
        woken = touched = 0
        for event in self.events:
            container, at = event["container"], event["at"]
            # Made and stopped by hand before the schedules are there.
            if at < self.first:
                continue
            if event["action"] == "start" and container in self.begin["off"]:
                woken += 1
                self.breaks("what was off on purpose stays off", f"{container} was started at {clock(at)}")
            is_engine = any(fault["at"] <= at <= fault["end"] + ENGINE_BOOT for fault in engine)
            if container in self.begin["protected"] and not is_engine:
                touched += 1
                what = f"{event['action']} of {container} at {clock(at)}"
                self.breaks("DockNap's own container is not touched", what)
        for step in self.log["step"]:
            if step.get("issued_ms") is None:
                continue
            if step["container"] in self.begin["protected"]:
                touched += 1
                self.breaks("DockNap's own container is not touched", f"run {step['run_id']} issued a {step['action']}")
        self.row("times that a container off on purpose was started", woken)
        self.row("times that DockNap's own container was touched", touched)

    # Windows: each edge is applied before the next one.

    def windows(self):
        """Of each stack with windows: its name, from and until when they are there, and the minutes of a day asleep."""
        stacks = collections.defaultdict(list)
        for schedule in self.schedules.values():
            if "windows" in schedule:
                stacks[schedule["stack"]].append(schedule)
        for stack, schedules in stacks.items():
            asleep = set()
            for schedule in schedules:
                for begin, end in schedule["windows"]:
                    asleep.update(range(begin, end))
            since = max(schedule["at"] for schedule in schedules)
            until = min(self.ended.get(schedule["id"], self.finish) for schedule in schedules)
            yield stack, since, until, asleep

    def members(self, stack):
        apart = set(self.begin["off"]) | set(self.begin["protected"])
        return {name for name, of in self.begin["containers"].items() if of == stack and name not in apart}

    def edges(self):
        total, lags, prevented = 0, [], 0
        for stack, since, until, asleep in self.windows():
            def is_asleep(at, asleep=asleep):
                return at % DAY // MINUTE in asleep

            at, edges = since // MINUTE * MINUTE + MINUTE, []
            while at <= until:
                if is_asleep(at) != is_asleep(at - 1):
                    edges.append(at)
                at += MINUTE
            for edge, following in zip(edges, edges[1:] + [until]):
                if following - edge < MINUTE:
                    continue
                total += 1
                applied = self.applied(self.members(stack), edge, following, not is_asleep(edge))
                if applied is not None:
                    lags.append(applied - edge)
                    continue
                prevented += 1
                if not self.cause(edge, following):
                    word = "sleep" if is_asleep(edge) else "wake"
                    self.breaks("an edge of a window is applied", f"{stack}, {word} at {clock(edge)}")
        if total:
            self.row("edges of windows", total, f"{len(lags)} applied before the next edge; {self.span_of(lags)}")
            self.row("edges that a fault prevented", prevented)

    def applied(self, members, edge, following, up):
        """When all members had the state that an edge asks for; None if they had it at no instant before the next."""
        state = dict.fromkeys(members, True)
        when = edge
        for event in self.events:
            if event["at"] >= following:
                break
            if event["container"] not in members or event["action"] not in ("start", "die"):
                continue
            if event["at"] >= edge and all(now == up for now in state.values()):
                return when
            state[event["container"]] = event["action"] == "start"
            when = max(edge, event["at"])
        return when if all(now == up for now in state.values()) else None

    # The states at the end are those that the rules ask for.

    def at_the_end(self):
        states = {line["container"]: line for line in self.log["state"]}
        wanted = {}
        for name in self.begin["off"]:
            wanted[name] = False
        for name in self.begin["protected"]:
            wanted[name] = True
        for stack, since, until, asleep in self.windows():
            for name in self.members(stack):
                at = states[name]["at"] if name in states else self.finish
                wanted[name] = at % DAY // MINUTE not in asleep
        for stack in {schedule["stack"] for schedule in self.schedules.values() if "minutes" in schedule}:
            runs = [run for run in self.log["run"] if run["target_name"] == stack]
            acting = [run for run in runs if run["state"] not in ("missed", "superseded", "skipped", "cancelled")]
            if not acting:
                continue
            newest = max(acting, key=lambda run: run["created_ms"])
            # One that failed, with its cause, leaves the state open.
            if newest["state"] == "succeeded":
                for name in self.members(stack):
                    wanted.setdefault(name, newest["action"] != "stop")
        right = 0
        for name, up in wanted.items():
            if name not in states:
                self.breaks("containers are as the rules say", f"the state of {name} is not in the log")
            elif states[name]["running"] != up:
                self.breaks("containers are as the rules say", f"{name} should be {'running' if up else 'stopped'}")
            else:
                right += 1
        self.row("containers as the rules say at the end", right, f"of {len(wanted)}")

    # The lease: one leader at a time, and another one soon.

    def leaders(self):
        spans = sorted(self.log["lead"], key=lambda span: span["from"])
        for first, second in zip(spans, spans[1:]):
            if first["replica"] != second["replica"] and second["from"] < first["to"]:
                both = f"{first['replica']} and {second['replica']} at {clock(second['from'])}"
                self.breaks("one replica leads", both)
        epochs = sorted(self.log["epoch"], key=lambda line: line["at"])
        for first, second in zip(epochs, epochs[1:]):
            if second["epoch"] <= first["epoch"]:
                self.breaks("the epoch of the lease grows", f"{second['epoch']} after {first['epoch']}")
        times, kept = collections.defaultdict(list), collections.Counter()
        for index, fault in enumerate(self.faults):
            following = self.faults[index + 1]["at"] if index + 1 < len(self.faults) else self.finish
            until = min(fault["end"] + TAKE_OVER, following)
            changed = [line["at"] for line in epochs[1:] if fault["at"] < line["at"] <= until]
            if changed:
                times[fault["name"]].append(changed[0] - fault["at"])
                if fault["name"] in MUST_CHANGE and changed[0] - fault["at"] > TAKE_OVER:
                    self.breaks("another replica leads within 60 s", f"{fault['name']} at {clock(fault['at'])}")
            else:
                kept[fault["name"]] += 1
                if fault["name"] in MUST_CHANGE:
                    self.breaks("another replica leads within 60 s", f"{fault['name']} at {clock(fault['at'])}")
        self.row("faults", len(self.faults), f"of {len({fault['name'] for fault in self.faults})} kinds")
        self.row("leaders, one after another", len(epochs))
        self.take_overs = [
            (name, len(times[name]) + kept[name], kept[name], times[name])
            for name in sorted({fault["name"] for fault in self.faults})
        ]

    # The processes themselves.

    def processes(self):
        for line in self.log["replica"]:
            if line["what"] == "ended" and line.get("by") == "itself" and not self.cause(line["at"], line["at"]):
                detail = f"{line['name']} with code {line['code']} at {clock(line['at'])}"
                self.breaks("a replica does not end by itself", detail)
        for line in self.log["panic"]:
            self.breaks("no panic", f"{line['replica']}: {line['text']}")
        most = collections.defaultdict(int)
        for line in self.log["memory"]:
            most[line["replica"]] = max(most[line["replica"]], line["kib"])
        started = sum(line["what"] == "started" for line in self.log["replica"])
        self.row("processes of DockNap started", started)
        for replica in sorted(most):
            self.row(f"most memory of {replica}", f"{most[replica] / 1024:.1f} MiB")

    def print(self):
        begin = self.begin
        print(
            f"{begin['minutes']} minutes, seed {begin['seed']}, commit {begin['commit']}, {begin['replicas']} replicas"
            f", Docker Engine {begin['docker']}, PostgreSQL {begin['postgres']}, {begin['cores']} cores."
        )
        print("\n| what | count | beside it |\n|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")
        if self.faults and self.finish is not None:
            print("\n| fault | tried | leader kept | take-over: shortest | median | longest |")
            print("|---|---|---|---|---|---|")
            for name, tried, kept, times in self.take_overs:
                three = [seconds(one(times)) for one in (min, statistics.median, max)] if times else ["-"] * 3
                print(f"| {name} | {tried} | {kept} | " + " | ".join(three) + " |")
        print()
        for line in self.broken:
            print(f"BROKEN {line}")
        print(f"{len(self.broken)} invariants broken" if self.broken else "every invariant held")


def main(arguments):
    if len(arguments) != 1:
        print("usage: check.py LOG", file=sys.stderr)
        return 2
    try:
        log = read(arguments[0])
        if not log["begin"]:
            raise ValueError("it has no line of the kind begin")
    except (OSError, ValueError) as error:
        print(f"error: {arguments[0]} cannot be read: {error}", file=sys.stderr)
        return 2
    checker = Checker(log)
    checker.check()
    checker.print()
    return 1 if checker.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
