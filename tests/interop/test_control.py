"""Remote control and events with the real Celery's own clients: app.control, `celery inspect|control|status|events`,
Flower."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import celery
import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs_stack import SEPARATOR, Stack, free_port, wait_for

NODE = "one@here"


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True, APIUM_NODE=NODE, APIUM_CONCURRENCY="8") as stack:
        yield stack


@pytest.fixture(scope="module")
def app(apium):
    app = celery.Celery(broker=apium.redis.tcp_url(), backend=apium.redis.tcp_url())
    wait_for(lambda: app.control.inspect(timeout=1).ping(), "the worker to answer")
    yield app
    app.close()


@pytest.fixture
def ask(app):
    """What this node says to a command."""
    def call(method, **arguments):
        replies = app.control.broadcast(method, arguments=arguments, reply=True, timeout=1, limit=1)
        assert len(replies) == 1 and list(replies[0]) == [NODE], replies
        return replies[0][NODE]
    return call


def celery_command(apium, *words, status=0):
    done = subprocess.run([sys.executable, "-m", "celery", "-b", apium.redis.tcp_url(), *words], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_celery_status_and_inspect_know_the_worker(apium, app):
    assert f"{NODE}: OK" in celery_command(apium, "status")
    assert "diag.add" in celery_command(apium, "inspect", "registered")
    assert "1 node online" in celery_command(apium, "inspect", "ping")


def test_each_look_has_the_shape_that_celery_gives_it(ask):
    with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "celery",
                           "control.json"), encoding="utf-8") as file:
        recorded = {record["name"]: record for record in json.load(file)["records"]}

    def theirs(name):
        for command in recorded[name]["commands"]:
            for argument in command["args"]:
                if command["by"] == "worker" and isinstance(argument, dict) and "body" in argument:
                    return next(iter(argument["body"]["json"].values()))
        raise AssertionError(name)

    stats = ask("stats")
    assert set(theirs("stats")) == set(stats)
    for name in ("pool", "broker"):
        missing = set(theirs("stats")[name]) - set(stats[name])
        assert missing <= {"connect_timeout", "failover_strategy", "credential_provider"}
    queues = ask("active_queues")
    assert [queue["name"] for queue in queues] == ["default", "celery"]
    assert set(theirs("active_queues")[0]) == set(queues[0])
    assert set(theirs("active_queues")[0]["exchange"]) == set(queues[0]["exchange"])
    assert ask("ping") == theirs("ping")
    assert ask("no_such_command") == theirs("unknown-method")
    assert ask("rate_limit", task_name="diag.add") == theirs("bad-arguments")
    assert ask("rate_limit", task_name="no.such", rate_limit="1/s") == theirs("rate_limit-unknown-task")
    assert ask("time_limit", task_name="no.such", hard=1) == theirs("time_limit-unknown-task")
    assert ask("rate_limit", task_name="diag.add", rate_limit="often") == theirs("rate_limit-bad")
    assert ask("rate_limit", task_name="diag.add", rate_limit=0) == theirs("rate_limit-off")
    for name in ("active", "reserved", "scheduled"):
        assert ask(name) == []
    assert ask("conf")["REDIS_URL"] == "********" and "ok" in ask("report")
    assert ask("autoscale", max=3, min=2) == {"error": "ValueError('Autoscale not enabled')"}


def test_what_runs_waits_and_is_scheduled_is_shown(apium, app, ask):
    running = apium.push("diag.sleep", (1.5,))
    later = app.send_task("diag.add", (1, 2), countdown=60)
    wait_for(lambda: ask("active"), "the job to run")
    request = ask("active")[0]
    assert (request["id"], request["name"], request["args"], request["kwargs"]) == (running, "diag.sleep", [1.5], {})
    assert request["hostname"] == NODE and request["worker_pid"] in apium.hosts()
    assert abs(request["time_start"] - time.time()) < 30
    assert ask("active", safe=True)[0]["args"] == "[1.5]"
    scheduled = wait_for(lambda: ask("scheduled"), "the schedule")
    assert scheduled[0]["request"]["id"] == later.id and scheduled[0]["request"]["args"] == [1, 2]
    found = ask("query_task", ids=[running, later.id, "nobody"])
    assert {job: state for job, (state, _) in found.items()} == {running: "active", later.id: "scheduled"}
    assert apium.final(running)["status"] == "SUCCESS"
    apium.redis.call("DEL", "apium:{celery}:schedule")


def test_it_answers_while_every_host_is_busy(apium, ask):
    for _ in range(4):
        apium.push("diag.burn", (2.5,))
    jobs = [apium.push("diag.sleep", (2,)) for _ in range(30)]
    wait_for(lambda: len(ask("active")) >= 8, "busy hosts")
    started = time.monotonic()
    assert ask("ping") == {"ok": "pong"}
    assert time.monotonic() - started < 1
    assert ask("reserved")
    for job in jobs:
        apium.final(job, 60)
    apium.wait_empty()


def test_revoke(apium, app, ask):
    before = app.send_task("diag.add", (1, 1), countdown=1)
    assert ask("revoke", task_id=before.id) == {"ok": f"tasks {{'{before.id}'}} flagged as revoked"}
    with pytest.raises(celery.exceptions.TaskRevokedError):
        before.get(timeout=20)
    apium.wait_empty("celery")
    assert apium.result(before.id)["status"] == "REVOKED"
    assert before.id in ask("revoked")
    assert apium.redis.call("ZSCORE", "apium:revoked", before.id) is not None
    assert ask("revoke", task_id="nobody", terminate=True) == {"ok": "terminate: tasks unknown"}


@pytest.mark.parametrize("task", ["diag.sleep", "diag.burn"])
def test_terminate_ends_what_runs_and_nothing_else(apium, ask, task):
    victim, other = apium.push(task, (60,)), apium.push("diag.sleep", (1,))
    wait_for(lambda: {job["id"] for job in ask("active")} >= {victim}, "the job to run")
    assert ask("revoke", task_id=victim, terminate=True) == {"ok": f"terminate: {victim}"}
    document = apium.final(victim)
    assert (document["status"], document["result"]["exc_message"]) == ("REVOKED", ["terminated"])
    assert apium.final(other)["status"] == "SUCCESS"


def test_what_waits_in_a_host_is_revoked_at_once(apium, ask):
    filling = [apium.push("diag.sleep", (8,)) for _ in range(8)]
    wait_for(lambda: len(ask("active")) == 8, "full slots")
    waiting = apium.push("diag.add", (1, 1))
    wait_for(lambda: any(job["id"] == waiting for job in ask("reserved")), "the job to wait")
    ask("revoke", task_id=waiting)
    assert apium.final(waiting, 4)["result"]["exc_message"] == ["revoked"]
    for job in filling:
        assert apium.final(job)["status"] == "SUCCESS"


def test_revoke_by_stamped_headers(apium, ask):
    assert ask("revoke_by_stamped_headers", headers={"tenant": ["a"]}) == {
        "ok": "headers {'tenant': ['a']} flagged as revoked, but not terminated"}
    stamped = apium.push("diag.add", (1, 1), stamped_headers=["tenant"], stamps={"tenant": ["a"]})
    other = apium.push("diag.add", (1, 1), stamped_headers=["tenant"], stamps={"tenant": ["b"]})
    assert apium.final(stamped)["status"] == "REVOKED"
    assert apium.final(other)["status"] == "SUCCESS"


def test_a_restart_forgets_no_revoked_id():
    with Stack(worker=True, APIUM_NODE=NODE) as stack:
        app = celery.Celery(broker=stack.redis.tcp_url(), backend=stack.redis.tcp_url())
        wait_for(lambda: app.control.inspect(timeout=1).ping(), "the worker")
        result = app.send_task("diag.add", (1, 1), countdown=3)
        app.control.revoke(result.id)
        wait_for(lambda: stack.redis.call("ZSCORE", "apium:revoked", result.id), "the id to be kept")
        assert stack.worker.stop() == 0
        stack.redis.call("DEL", "celery-task-meta-" + result.id)
        stack.start_worker()
        assert stack.final(result.id)["status"] == "REVOKED"
        app.close()


def test_limits_of_a_task_can_be_set(apium, ask):
    assert ask("time_limit", task_name="diag.sleep", hard=10, soft=0.2) == {"ok": "time limits set successfully"}
    job = apium.push("diag.sleep", (30,))
    wait_for(lambda: apium.result(job), "the soft limit")
    assert apium.result(job)["result"]["exc_type"] == "SoftTimeLimitExceeded"
    ask("revoke", task_id=job)
    ask("time_limit", task_name="diag.sleep", hard=None, soft=None)
    ended = apium.push("diag.sleep", (0.4,))
    assert apium.final(ended)["status"] == "SUCCESS"


def test_a_rate_holds_jobs_back_and_nobody_else(apium, ask):
    assert ask("rate_limit", task_name="diag.add", rate_limit="4/s") == {"ok": "new rate limit set successfully"}
    started = time.monotonic()
    jobs = [apium.push("diag.add", (i, 1)) for i in range(8)]
    apium.final(apium.push("diag.noop"))
    assert time.monotonic() - started < 1
    for job in jobs:
        assert apium.final(job)["status"] == "SUCCESS"
    assert time.monotonic() - started > 1.2  # the first at once, one early, six at 4 a second
    ask("rate_limit", task_name="diag.add", rate_limit=0)


def test_the_pool_grows_and_shrinks(apium, ask):
    def most():
        return ask("stats")["pool"]["max-concurrency"]
    assert most() == 8
    assert ask("pool_grow", n=4) == {"ok": "pool will grow"}
    assert most() == 12
    jobs = [apium.push("diag.sleep", (1.5,)) for _ in range(12)]
    wait_for(lambda: len(ask("active")) == 12, "all of them to run at once")
    assert ask("pool_shrink", n=4) == {"ok": "pool will shrink"}
    assert most() == 8
    assert "error" in ask("pool_shrink", n=8)
    for job in jobs:
        apium.final(job)


def test_a_queue_can_be_left_alone_and_taken_up_again(apium, ask):
    assert ask("cancel_consumer", queue="celery") == {"ok": "no longer consuming from celery"}
    assert [queue["name"] for queue in ask("active_queues")] == ["default"]
    left = apium.push("diag.add", (1, 1), queue="celery")
    assert apium.final(apium.push("diag.add", (1, 1)))["status"] == "SUCCESS"
    assert apium.result(left) is None
    assert ask("add_consumer", queue="celery") == {"ok": "add consumer celery"}
    assert apium.final(left)["status"] == "SUCCESS"
    assert ask("add_consumer", queue="another") == {"ok": "add consumer another"}
    assert apium.final(apium.push("diag.add", (1, 1), queue="another"))["status"] == "SUCCESS"
    assert ask("cancel_consumer", queue="another") == {"ok": "no longer consuming from another"}


def test_only_who_is_meant_answers_and_late_replies_are_no_leak(apium, app):
    def count(**how):
        return len(app.control.broadcast("ping", reply=True, timeout=1.5, **how))
    assert count(destination=[NODE]) == 1
    assert count(destination=["two@here"]) == 0
    assert count(pattern="one*", matcher="glob") == 1
    assert count(pattern="x.*", matcher="pcre") == 0
    assert count(pattern="on.@", matcher="pcre") == 1
    member = b"gone" + SEPARATOR + SEPARATOR + b"gone.reply.celery.pidbox"

    apium.redis.call("SADD", "_kombu.binding.reply.celery.pidbox", member)
    body = {"method": "ping", "arguments": {}, "destination": [NODE], "pattern": None, "matcher": None, "ticket": "t",
            "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "gone"}}
    for oid in ("gone", "never-bound"):
        body["reply_to"]["routing_key"] = oid
        message = {"body": json.dumps(body), "content-type": "application/json", "content-encoding": "utf-8",
                   "headers": {}, "properties": {}}
        apium.redis.call("PUBLISH", "/0.celery.pidbox", json.dumps(message))
    wait_for(lambda: 0 < apium.redis.call("TTL", "gone.reply.celery.pidbox") <= 60, "the reply, and its end")
    assert apium.redis.call("EXISTS", "never-bound.reply.celery.pidbox") == 0


class Events:
    """What `app.events` receives, on a thread."""

    def __init__(self, app):
        self.seen, self.app = [], app
        self.stop = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.ready = threading.Event()

    def run(self):
        with self.app.connection_for_read() as connection:
            receiver = self.app.events.Receiver(connection, handlers={"*": self.seen.append})
            with receiver.consumer_context() as (_connection, _channel, _consumers):
                self.ready.set()
                while not self.stop:
                    try:
                        for _ in receiver.consume(limit=None, timeout=0.5):
                            if self.stop:
                                break
                    except TimeoutError:
                        pass  # nothing came for a while

    def __enter__(self):
        self.thread.start()
        self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join(10)

    def types(self, job):
        return [event["type"] for event in list(self.seen) if event.get("uuid") == job]


def test_events_tell_a_jobs_life(apium, app, ask):
    with Events(app) as events:
        beat = wait_for(lambda: [e for e in events.seen if "active" in e], "a heartbeat")[0]
        assert beat["type"] == "worker-heartbeat" and beat["hostname"] == NODE
        assert beat["sw_ident"] == "apium" and beat["freq"] == 2
        silent = apium.push("diag.add", (1, 1))
        apium.final(silent)
        assert ask("enable_events") == {"ok": "task events enabled"}
        assert ask("enable_events") == {"ok": "task events already enabled"}
        good = app.send_task("diag.add", (2, 3)).id
        bad = apium.push("diag.fail", kwargs={"times": 2, "error": "no", "retries": 1})
        expired = app.send_task("diag.add", (2, 3), expires=-1).id
        wait_for(lambda: "task-succeeded" in events.types(good) and "task-failed" in events.types(bad)
                 and events.types(expired), "the events")
        assert events.types(good) == ["task-received", "task-started", "task-succeeded"]
        assert events.types(bad) == ["task-received", "task-started", "task-retried",
                                     "task-received", "task-started", "task-failed"]
        assert events.types(expired) == ["task-revoked"]
        assert events.types(silent) == []
        received, _, done = [e for e in events.seen if e.get("uuid") == good]
        assert (received["name"], received["args"], received["kwargs"]) == ("diag.add", "(2, 3)", "{}")
        assert done["result"] == "5" and done["runtime"] >= 0
        state = app.events.State()  # the picture that Flower and exporters of metrics count from
        for event in list(events.seen):
            state.event(dict(event))
        task, failed = state.tasks[good], state.tasks[bad]
        assert (task.name, task.state, task.worker.hostname, task.runtime) == ("diag.add", "SUCCESS", NODE, done["runtime"])
        assert (failed.state, failed.retries, state.tasks[expired].state) == ("FAILURE", 1, "REVOKED")
        assert state.workers[NODE].alive and state.workers[NODE].active is not None and state.workers[NODE].processed > 0
        assert ask("disable_events") == {"ok": "task events disabled"}
        quiet = apium.push("diag.add", (1, 1))
        apium.final(quiet)
        assert events.types(quiet) == []
        assert [e["clock"] for e in events.seen if e["hostname"] == NODE] == sorted(
            e["clock"] for e in events.seen if e["hostname"] == NODE)


def test_a_worker_says_hello_and_goodbye(app, apium):
    with Events(app) as events:
        other = apium.start_program("apium-worker", APIUM_NODE="two@here")
        wait_for(lambda: ("worker-online", "two@here") in {(e["type"], e["hostname"]) for e in events.seen}, "online")
        app.control.shutdown(destination=["two@here"])
        assert other.wait() == 0
        wait_for(lambda: ("worker-offline", "two@here") in {(e["type"], e["hostname"]) for e in events.seen}, "offline")


def test_celery_events_dumps_them(apium, ask):
    ask("enable_events")
    dump = subprocess.Popen([sys.executable, "-u", "-m", "celery", "-b", apium.redis.tcp_url(), "events", "--dump"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        threading.Thread(target=lambda: lines.extend(dump.stdout), daemon=True).start()

        def is_dumped():
            apium.final(apium.push("diag.add", (1, 1)))
            return any("task succeeded" in line.lower() for line in lines)
        wait_for(is_dumped, "the dump")
    finally:
        dump.kill()
        dump.wait()
        ask("disable_events")


@pytest.fixture(scope="module")
def flower(apium, app, tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("flower")
    log = open(folder / "log", "wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-b", apium.redis.tcp_url(), "--result-backend", apium.redis.tcp_url(),
         "flower", f"--port={port}", "--address=127.0.0.1"], stdout=log, stderr=log, cwd=folder,
        env={**os.environ, "FLOWER_UNAUTHENTICATED_API": "true"})

    def call(path, body=None, form=None):
        data = json.dumps(body).encode() if body is not None else form.encode() if form is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
        return json.loads(text) if "json" in answer.headers["Content-Type"] else text

    def is_up():
        try:
            return NODE in call("/api/workers?refresh=1")
        except (OSError, urllib.error.URLError):
            return False
    try:
        wait_for(is_up, "Flower to see the worker", 40)
        yield call
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def test_flower_shows_the_worker(flower):
    assert flower(f"/api/workers?workername={NODE}")[NODE]["stats"]["pool"]["max-concurrency"] == 8
    page = flower(f"/worker/{NODE}")
    assert "diag.add" in page and NODE in page and "default" in page


def test_flower_applies_lists_and_revokes_tasks(flower, apium, ask):
    ask("enable_events")  # Flower does so itself, every five seconds
    job = flower("/api/task/send-task/diag.add", {"args": [20, 22]})["task-id"]
    assert apium.final(job)["result"] == 42
    info = wait_for(lambda: flower("/api/tasks").get(job), "Flower to list it")
    wait_for(lambda: flower("/api/tasks")[job]["state"] == "SUCCESS", "its end")
    assert info["name"] == "diag.add" and info["worker"] in (None, NODE)
    long = flower("/api/task/send-task/diag.sleep", {"args": [60]})["task-id"]
    wait_for(lambda: apium.in_flight("celery"), "the long one to run")
    wait_for(lambda: (flower("/api/tasks").get(long) or {}).get("state") == "STARTED", "Flower to see it")
    flower(f"/api/task/revoke/{long}?terminate=true", form="")  # which it passes on as 1
    assert apium.final(long)["result"]["exc_message"] == ["terminated"]


def test_flower_exports_metrics(flower, apium, ask):
    """What exporters count: events by worker, type and task, run times, workers that are there."""
    ask("enable_events")
    apium.final(flower("/api/task/send-task/diag.add", {"args": [1, 2]})["task-id"])

    def exported():
        return {(sample.name, sample.labels.get("type"), sample.labels.get("task")): sample.value
                for family in text_string_to_metric_families(flower("/metrics")) for sample in family.samples
                if sample.labels.get("worker") == NODE}
    told = wait_for(lambda: exported() if ("flower_events_total", "task-succeeded", "diag.add") in exported() else None, "them")
    assert told["flower_events_total", "task-received", "diag.add"] >= 1 and told["flower_events_total", "task-started", "diag.add"] >= 1
    assert told["flower_task_runtime_seconds_count", None, "diag.add"] >= 1 and told["flower_worker_online", None, None] == 1


def test_flower_grows_the_pool(flower):
    flower(f"/api/worker/pool/grow/{NODE}?n=2", form="")
    assert flower(f"/api/workers?refresh=1&workername={NODE}")[NODE]["stats"]["pool"]["max-concurrency"] == 10
    flower(f"/api/worker/pool/shrink/{NODE}?n=2", form="")
