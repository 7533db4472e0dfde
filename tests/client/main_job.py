"""Does the main job with a client that a generator makes from the description a running DockNap serves.

    main_job.py ADDRESS NAME PASSWORD STACK

Every answer that comes back is held against the description: its status, its media type and its body.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from importlib import import_module

import httpx
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate

ADDRESS, NAME, PASSWORD, STACK = sys.argv[1:]
PACKAGE = "docknap_client"
# A run on a real Engine may take this long, in seconds.
PATIENCE = 90

description = httpx.get(f"{ADDRESS}/api/openapi.json").raise_for_status().json()
validate(description)


def generate(into):
    """A client, with no warning of the generator."""
    source, settings = into / "openapi.json", into / "settings.yaml"
    source.write_text(json.dumps(description))
    settings.write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", source, "--meta", "none"]
    command += ["--config", settings, "--output-path", into / PACKAGE, "--fail-on-warning"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(into))


class Judge:
    """Holds answers against the description."""

    def __init__(self):
        self.seen = set()
        self.paths = {
            re.compile(re.sub(r"\\?\{\w+\\?\}", "[^/]+", re.escape(path)) + "$"): calls
            for path, calls in description["paths"].items()
        }

    def __call__(self, response):
        response.read()
        path, method = response.request.url.raw_path.decode().split("?")[0], response.request.method.lower()
        # The most exact path: `/schedules/preview` is no `/schedules/{id}`.
        found = [(known, calls) for known, calls in self.paths.items() if known.match(path) and method in calls]
        assert found, f"{method} {path} is not described"
        call = max(found, key=lambda one: one[0].pattern.count("[^/]+") * -1)[1][method]
        status = str(response.status_code)
        answer = call["responses"].get(status) or call["responses"]["default"]
        self.seen.add((call["operationId"], status))
        content = answer.get("content", {})
        if not content:
            assert not response.content, f"{method} {path} {status}: a body that is not described"
            return
        kind = response.headers["content-type"]
        assert kind in content, f"{method} {path} {status}: {kind} is not described"
        schema = {**content[kind]["schema"], "components": description["components"]}
        faults = list(OAS31Validator(schema, format_checker=oas31_format_checker).iter_errors(response.json()))
        assert not faults, f"{method} {path} {status}: {faults[0]}"


def main_job():
    client, models = import_module(PACKAGE), import_module(f"{PACKAGE}.models")

    def call(place, using, wanted, *path, **rest):
        answer = import_module(f"{PACKAGE}.api.{place}").sync_detailed(*path, client=using, **rest)
        assert answer.status_code == wanted, f"{place}: {answer.status_code} {answer.content}"
        return answer

    judge = Judge()
    hooks = {"event_hooks": {"response": [judge]}}
    anyone = client.Client(base_url=ADDRESS, httpx_args=hooks)
    wrong = call("auth.log_in", anyone, 401, body=models.LoginBody(username=NAME, password="not this one"))
    assert isinstance(wrong.parsed, models.Problem) and wrong.parsed.code == "wrong_credentials"
    login = call("auth.log_in", anyone, 200, body=models.LoginBody(username=NAME, password=PASSWORD)).parsed
    me = client.AuthenticatedClient(base_url=ADDRESS, token=login.token, httpx_args=hooks)
    assert call("auth.get_me", me, 200).parsed.username == NAME

    stacks = call("stacks.list_stacks", me, 200).parsed
    assert [stack.name for stack in stacks if stack.name == STACK], f"no stack {STACK}"
    asked = models.ScheduleBody(
        target_type=models.TargetType.STACK, target_id=STACK, action=models.Action.STOP, cron="0 23 * * *"
    )
    preview = call("schedules.preview_schedule", me, 200, body=asked).parsed
    assert len(preview.next_) == 10 and preview.next_[0].tzinfo
    kept = call("schedules.create_schedule", me, 201, body=asked, idempotency_key="once")
    again = call("schedules.create_schedule", me, 201, body=asked, idempotency_key="once")
    assert again.parsed.id == kept.parsed.id and again.headers["location"] == kept.headers["location"]
    assert call("schedules.get_schedule", me, 200, kept.parsed.id).parsed.next_at
    asked.target_id = "no-such-stack"
    refused = call("schedules.create_schedule", me, 422, body=asked).parsed
    assert [error.field for error in refused.errors] == ["target_id"]

    plan = models.PlanBody(target_type="stack", target_id=STACK, action=models.Action.STOP)
    steps = call("actions.plan_action", me, 200, body=plan).parsed.steps

    def act(action, shown):
        run = call("stacks.act_on_stack", me, 202, "local", STACK, action).parsed.run_id
        end = time.monotonic() + PATIENCE
        while not (found := call("runs.get_run", me, 200, run).parsed).finished_at:
            assert time.monotonic() < end, f"{action} does not end"
            time.sleep(0.2)
        assert found.state == models.RunState.SUCCEEDED, found
        assert call("stacks.get_stack", me, 200, "local", STACK).parsed.shown == shown
        return found

    slept = act("nap", models.ShownState.NAPPING)
    assert [step.container for step in slept.steps] == [step.container for step in steps]
    act("wake", models.ShownState.RUNNING)
    newest = call("runs.list_runs", me, 200, limit=1).parsed
    older = call("runs.list_runs", me, 200, limit=1, cursor=newest.next_cursor).parsed
    assert older.items[0].id == slept.id
    call("runs.list_runs", me, 422, cursor=slept.id)
    for place in ["containers.list_containers", "locks.list_locks", "order.list_order", "overrides.list_overrides"]:
        call(place, me, 200)
    for place in ["calendars.list_calendars", "audit.list_audit", "summary.get_summary", "report.get_report"]:
        call(place, me, 200)
    call("schedules.simulate", me, 200)
    target = models.TargetJson(host="local", target_type="stack", target_id=STACK)
    bulk = models.BulkBody(action=models.Action.START, targets=[target])
    assert call("actions.act_on_targets", me, 202, body=bulk).parsed.items[0].run_id
    assert call("stacks.get_stack", me, 404, "local", "nobody").parsed.code == "not_found"
    call("schedules.delete_schedule", me, 204, kept.parsed.id)
    call("auth.log_out", me, 204)
    assert call("auth.get_me", me, 401).parsed.code == "unauthenticated"
    print(f"{len(judge.seen)} kinds of answers are as described")


with tempfile.TemporaryDirectory() as into:
    generate(pathlib.Path(into))
    main_job()
