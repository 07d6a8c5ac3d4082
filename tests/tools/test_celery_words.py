"""The command line under Celery's names: `apium worker`, `inspect`, `control`, `status`, `call`, `result`, `purge`, `list`,
`events`; where Celery's own command can be asked the same, it must print the same."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import uuid

import pytest
from click.testing import CliRunner

from apium import BUILD, PATIENCE, Stack, wait_for

pytestmark = pytest.mark.slow
NODE = "images@here"


@pytest.fixture(scope="module")
def stack():
    with Stack(APIUM_DIAG="on", APIUM_PROCESSES="1", APIUM_QUEUES="default,celery") as stack:
        yield stack


@pytest.fixture(scope="module")
def worker(stack):
    assert "No nodes replied within time constraint" in run(stack, "status", "-t", "0.2", status=69)
    assert run(stack, "inspect", "ping", "--timeout=0.2", status=69)
    process = stack.start("apium", "worker", "-Q", "images,default", "-c3", "-n", NODE, "-l", "DEBUG", "--time-limit",
                          "50", "--soft-time-limit=40", "-O", "fair", "-P", "prefork", "--without-gossip",
                          "--max-tasks-per-child", "2")
    wait_for("the worker", lambda: NODE in run(stack, "status", "-t", "1", "-d", NODE, status=None))
    return process


def run(stack, *words, status=0, **environment):
    """Both outputs."""
    done = subprocess.run([str(BUILD / "apium"), *words], env={**stack.environment, **environment}, capture_output=True,
                          text=True, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL)
    assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def celery(stack):
    """Celery's own command, in this process: starting Python costs more than all the rest."""
    from celery.bin.celery import celery as program

    def call(*words):
        done = CliRunner().invoke(program, ["-b", stack.redis_server.url, "--no-color", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output
    return call


def result(stack, job):
    """The document, once it is final."""
    return json.loads(run(stack, "result", job, "--json", "--timeout", str(30 * PATIENCE)))


def ask(stack, *words, node=NODE):
    """A worker's answer to `inspect` or `control`."""
    replies = json.loads(run(stack, words[0], "-j", "-t", "5", "-d", node, *words[1:]))
    return replies[node] if isinstance(replies, dict) else replies[0][node]


# --- apium worker

def test_options_are_settings(stack, worker):
    conf = ask(stack, "inspect", "conf")
    assert (conf["APIUM_QUEUES"], conf["APIUM_CONCURRENCY"], conf["APIUM_NODE"]) == ("images,default", 3, NODE)
    assert (conf["APIUM_TIME_LIMIT"], conf["APIUM_SOFT_TIME_LIMIT"], conf["APIUM_LOG_LEVEL"]) == (50, 40, "debug")
    assert [queue["name"] for queue in ask(stack, "inspect", "active_queues")] == ["images", "default"]
    stats = ask(stack, "inspect", "stats")
    assert stats["pool"]["max-concurrency"] == 3 and stats["pool"]["max-tasks-per-child"] == 2


def test_the_command_line_is_stronger_than_the_settings_file(stack, tmp_path):
    file = tmp_path / "settings"
    file.write_text("APIUM_CONCURRENCY=7\nAPIUM_QUEUES=one,two,three\nAPIUM_NODE=file@here\n")
    other = stack.start("apium", "worker", "-c", "5", "-X", "two", APIUM_SETTINGS_FILE=str(file))
    wait_for("the worker", lambda: "file@here" in run(stack, "status", "-d", "file@here", status=None))
    assert ask(stack, "inspect", "conf", node="file@here")["APIUM_CONCURRENCY"] == 5
    assert [queue["name"] for queue in ask(stack, "inspect", "active_queues", node="file@here")] == ["one", "three"]
    assert other.stop() == 0


@pytest.mark.parametrize("words, sentence", [
    (["-P", "gevent"], "--pool gevent is not here: jobs run on fibers"),
    (["-B"], "there is no --beat here: periodic tasks are sent by a program of their own; start `apium beat`"),
    (["--statedb=/tmp/x"], "revoked ids are kept in Redis by themselves"),
    (["-D"], "a worker stays in the foreground; let systemd"),
    (["--without-heartbeat"], "monitors know by heartbeats that a worker lives"),
    (["-l", "loud"], "--loglevel takes DEBUG, INFO, WARNING, ERROR or CRITICAL, not loud"),
    (["--autoscale", "ten"], "APIUM_AUTOSCALE: \"ten\" is not two numbers"),
    (["--concurency", "3"], "there is no --concurency; did you mean --concurrency?"),
    (["-Q"], "--queues needs NAMES"),
    (["-c", "many"], "APIUM_CONCURRENCY: \"many\" is not a whole number"),
    (["-X", "default,celery"], "--exclude-queues leaves no queue"),
    (["--", "images"], "a worker takes options only, not images"),
])
def test_what_has_no_meaning_here_is_said(stack, words, sentence):
    said = run(stack, "worker", *words, status=None)
    assert sentence in said, said
    assert said.strip().count("\n") == 0


def test_global_options_of_celery_are_answered(stack):
    assert "tasks are compiled in" in run(stack, "-A", "proj", "worker", status=2)
    assert "set REDIS_URL" in run(stack, "-b", "redis://", "status", status=2)
    assert "--max-tasks-per-child COUNT" in run(stack, "worker", "--help")
    assert re.match(r"apium-worker \d", run(stack, "worker", "--version"))


@pytest.mark.parametrize("name, expanded", [("w1@%h", "w1@{h}"), ("%n", "apium@{n}"), ("a.%d@x", "a.{d}@x"), ("b@100%%", "b@100%")])
def test_node_names_are_expanded(stack, name, expanded):
    host = os.uname().nodename
    first, _, rest = host.partition(".")
    node = expanded.format(h=host, n=first, d=rest)
    other = stack.start("apium", "worker", "-n", name, "-Q", "nobody")
    wait_for("the worker", lambda: f"{node}: OK" in run(stack, "status", "-t", "1", "-d", node, status=None))
    assert other.stop() == 0


def test_a_process_is_replaced_after_its_jobs(stack, worker):
    def alone():
        return [pid for pid, line in worker.children().items() if line.endswith("host 1")]

    def burn():
        job = run(stack, "call", "diag.burn", "-a", "[0.01]", "--queue", "images").strip()
        assert result(stack, job)["status"] == "SUCCESS"

    burn()
    first = alone()
    burn()
    wait_for("another process", lambda: alone() and alone() != first)
    second = alone()
    burn()
    assert alone() == second
    assert "replaced after 2 jobs" in worker.log


def test_a_process_is_replaced_when_it_has_grown(stack):
    other = stack.start("apium", "worker", "-n", "fat@here", "-Q", "fat", "--max-memory-per-child", "1024")
    wait_for("the worker", lambda: "fat@here" in run(stack, "status", "-d", "fat@here", status=None))
    for _ in range(2):
        job = run(stack, "call", "diag.burn", "-a", "[0.01]", "--queue", "fat").strip()
        assert result(stack, job)["status"] == "SUCCESS"
    wait_for("two replacements", lambda: other.log.count("replaced after 1 jobs") == 2)
    assert "host_deaths" not in other.log and other.stop() == 0


def test_slots_follow_the_load(stack):
    other = stack.start("apium", "worker", "-n", "scaled@here", "-Q", "scaled", "--autoscale=2,6")
    wait_for("the worker", lambda: "scaled@here" in run(stack, "status", "-d", "scaled@here", status=None))

    def scaler():
        return ask(stack, "inspect", "stats", node="scaled@here")["autoscaler"]
    assert scaler() == {"max": 6, "min": 2, "current": 2, "qty": 0}
    jobs = [run(stack, "call", "diag.sleep", "-a", "[2]", "--queue", "scaled").strip() for _ in range(8)]
    wait_for("more slots", lambda: scaler()["current"] >= 4)
    assert ask(stack, "control", "autoscale", "9", "7", node="scaled@here") == {"ok": "autoscale now max=9 min=7"}
    assert scaler()["current"] >= 7
    assert ask(stack, "control", "pool_grow", node="scaled@here") == {
        "error": "pool_grow is not supported with autoscale. Adjust autoscale range instead."}
    assert "error" in ask(stack, "control", "autoscale", "2", "7", node="scaled@here")
    for job in jobs:
        assert result(stack, job)["status"] == "SUCCESS"
    assert other.stop() == 0


# --- inspect, control, status

@pytest.mark.parametrize("words", [
    ("inspect", "ping"), ("inspect", "registered"), ("inspect", "active_queues"), ("inspect", "revoked"),
    ("inspect", "reserved"), ("inspect", "scheduled"), ("inspect", "memdump"), ("status",),
    ("control", "rate_limit", "diag.noop", "0"), ("control", "rate_limit", "no.such", "1/s"),
    ("control", "time_limit", "diag.noop", "1", "2"), ("control", "pool_restart"), ("control", "autoscale", "3", "2"),
    ("control", "enable_events"), ("control", "cancel_consumer", "never"), ("inspect", "query_task", "nobody"),
])
def test_it_prints_what_celery_prints(stack, worker, celery, words):
    ask(stack, "control", "enable_events")  # so that both are told that it was
    assert run(stack, *words, "-d", NODE) == celery(*words, "-d", NODE)


def test_json_is_celerys_too(stack, worker, celery):
    for words in (("inspect", "ping"), ("control", "heartbeat")):
        assert run(stack, *words, "-j", "-d", NODE) == celery(*words, "-j", "-d", NODE)
    assert json.loads(run(stack, "inspect", "conf", "-j", "-d", NODE))[NODE]["REDIS_URL"] == "********"


def test_a_wrong_word_is_named(stack):
    assert "Command pong not recognized. Available inspect commands: active, " in run(stack, "inspect", "pong", status=2)
    assert "takes arguments: <queue>" in run(stack, "control", "cancel_consumer", "a", "b", status=2)
    assert "soft is a number, not soon" in run(stack, "control", "time_limit", "diag.add", "soon", status=2)
    assert "--timeout takes a number of seconds" in run(stack, "status", "-t", "x", status=2)
    assert "rate_limit <task_name>" in run(stack, "control", "--list")
    assert "inspect needs a command" in run(stack, "inspect", status=2)
    assert "Could not connect" in run(stack, "status", status=69, REDIS_URL="redis://127.0.0.1:1/0")


def test_nothing_is_left_behind(stack, worker):
    run(stack, "inspect", "ping")
    assert stack.redis.keys("*.reply.celery.pidbox") == []
    assert stack.redis.smembers("_kombu.binding.reply.celery.pidbox") == set()


def test_jobs_are_revoked_and_terminated(stack, worker):
    job = run(stack, "call", "diag.sleep", "-a", "[60]").strip()
    wait_for("the job to run", lambda: [one["id"] for one in ask(stack, "inspect", "active")] == [job])
    assert ask(stack, "control", "terminate", "SIGTERM", job) == {"ok": f"terminate: {job}"}
    assert result(stack, job)["status"] == "REVOKED"
    assert "TaskRevokedError: terminated" in run(stack, "result", job, status=1)
    others = [str(uuid.uuid4()) for _ in range(2)]
    ask(stack, "control", "revoke", *others)
    assert set(others) <= set(ask(stack, "inspect", "revoked"))


# --- queues at run time

def test_any_queue_is_consumed_and_given_up(stack, worker):
    name = "later-" + uuid.uuid4().hex[:6]
    job = run(stack, "call", "diag.add", "-a", "[1, 2]", "--queue", name).strip()
    burned = run(stack, "call", "diag.burn", "-a", "[0.01]", "--queue", name, "--countdown", "0.5").strip()
    assert ask(stack, "control", "add_consumer", name) == {"ok": f"add consumer {name}"}
    assert ask(stack, "control", "add_consumer", name) == {"ok": f"already consuming from {name}"}
    assert result(stack, job)["result"] == 3 and result(stack, burned)["status"] == "SUCCESS"
    assert name in [queue["name"] for queue in ask(stack, "inspect", "active_queues")]
    assert f"{name:<28} {name:<28} {name}" in run(stack, "list", "bindings")
    workers = f"apium:{{{name}}}:workers"
    assert stack.redis.hlen(workers) == 4  # a lease for each of its lists
    running = run(stack, "call", "diag.sleep", "-a", "[1]", "--queue", name).strip()
    wait_for("the job to run", lambda: running in [one["id"] for one in ask(stack, "inspect", "active")])
    assert ask(stack, "control", "cancel_consumer", name) == {"ok": f"no longer consuming from {name}"}
    left = run(stack, "call", "diag.add", "-a", "[3, 4]", "--queue", name).strip()
    assert name not in [queue["name"] for queue in ask(stack, "inspect", "active_queues")]
    assert result(stack, running)["status"] == "SUCCESS"
    wait_for("the leases to go", lambda: stack.redis.hlen(workers) == 0)
    wait_for("the connections to go", lambda: name not in str(stack.redis.client_list()))
    assert stack.redis.llen(name) == 1
    for _ in range(2):  # the place is used again, by itself and by another
        assert ask(stack, "control", "add_consumer", name) == {"ok": f"add consumer {name}"}
        assert result(stack, left)["result"] == 7
        ask(stack, "control", "cancel_consumer", name)
        wait_for("the leases to go", lambda: stack.redis.hlen(workers) == 0)
        left = run(stack, "call", "diag.add", "-a", "[3, 4]", "--queue", name).strip()
    assert worker.is_running()


def test_another_queue_has_no_name_of_its_own_kind(stack, worker):
    assert "error" in ask(stack, "control", "add_consumer", "x" * 300)


def test_a_worker_that_dies_leaves_an_added_queue_to_others(stack):
    name = "swept"
    first = stack.start("apium", "worker", "-n", "first@here", "-Q", "nobody")
    wait_for("the worker", lambda: "first@here" in run(stack, "status", "-d", "first@here", status=None))
    ask(stack, "control", "add_consumer", name, node="first@here")
    job = run(stack, "call", "diag.sleep", "-a", "[0.5]", "--queue", name).strip()
    wait_for("the job to run", lambda: ask(stack, "inspect", "active", node="first@here"))
    first.kill()
    first.wait()
    second = stack.start("apium", "worker", "-n", "second@here", "-Q", "nobody")
    wait_for("the worker", lambda: "second@here" in run(stack, "status", "-d", "second@here", status=None))
    ask(stack, "control", "add_consumer", name, node="second@here")
    assert result(stack, job)["status"] == "SUCCESS"
    assert second.stop() == 0


# --- call, result

def test_call_and_result(stack, worker):
    job = run(stack, "call", "diag.echo", "-k", '{"a": [1, "x"], "b": null}', "--queue", "images").strip()
    assert run(stack, "result", job) == "{'a': [1, 'x'], 'b': None}\n"
    assert run(stack, "result", run(stack, "call", "diag.noop").strip()) == "\n"
    failed = run(stack, "call", "diag.fail", "-k", '{"times": 9, "error": "boom", "retries": 0}').strip()
    assert run(stack, "result", failed, status=1) == "JobError: boom\n"
    assert run(stack, "result", "--traceback", failed).startswith("Traceback (most recent call last):")
    expired = run(stack, "call", "diag.noop", "--expires", "-1").strip()
    assert "TaskRevokedError: expired" in run(stack, "result", expired, status=1)
    assert "no result of nobody within 0 s" in run(stack, "result", "nobody", "-t", "0", status=1)


@pytest.mark.parametrize("words, sentence", [
    (["diag.add", "-a", "{}"], "--args must be an array"),
    (["diag.add", "-k", "[1"], "--kwargs is not JSON"),
    (["diag.add", "--eta", "soon"], "--eta takes a time such as"),
    (["diag.add", "--countdown", "soon"], "--countdown takes a number of seconds"),
    (["diag.add", "--serializer", "pickle"], "--serializer pickle is not here"),
    (["diag.add", "--queue", "a", "--routing-key", "b"], "--queue names where it goes"),
    ([], "call takes the name of one task"),
])
def test_a_wrong_call_is_refused(stack, words, sentence):
    assert sentence in run(stack, "call", *words, status=2)


# --- purge

def test_purge_asks_and_counts(stack):
    queue = "purged"
    for number in range(70):
        run(stack, "call", "diag.noop", "--queue", queue, f"--priority={number % 10}") if number < 4 else \
            stack.redis.lpush(queue, b"no message at all %d" % number)
    said = run(stack, "purge", "-Q", queue, status=1)
    assert "Are you sure you want to delete all tasks? [y/N]:" in said and "nothing was purged" in said
    assert run(stack, "purge", "-f", "-Q", f"{queue},other", "-X", "other") == \
        "Purged 70 messages from 1 known task queue.\n"
    assert run(stack, "purge", "-f", "-Q", queue) == "No messages purged from 1 queue.\n"


def test_a_purged_job_of_the_outbox_does_not_come_back(stack, worker):
    """Neither from its row nor from its mark; and nothing of another queue is touched."""
    job = run(stack, "enqueue", "diag.noop", "--queue", "outboxed", "--durability", "outbox").split()[0]
    assert stack.sql("SELECT count(*) FROM job_outbox WHERE id = %s", job) == [(1,)]
    wait_for("the message", lambda: stack.redis.llen("outboxed") == 1)
    assert "Purged 1 message" in run(stack, "purge", "-f", "-Q", "outboxed")
    assert stack.sql("SELECT count(*) FROM job_outbox WHERE id = %s", job) == [(0,)]
    assert stack.redis.hlen("apium:{outboxed}:live") == 0


def test_a_worker_purges_before_it_fetches(stack):
    job = run(stack, "call", "diag.noop", "--queue", "stale").strip()
    other = stack.start("apium", "worker", "-n", "stale@here", "-Q", "stale", "--purge")
    wait_for("the worker", lambda: "stale@here" in run(stack, "status", "-d", "stale@here", status=None))
    fresh = run(stack, "call", "diag.noop", "--queue", "stale").strip()
    assert result(stack, fresh)["status"] == "SUCCESS"
    assert stack.redis.get("celery-task-meta-" + job) is None
    assert "1 messages were purged" in other.log and other.stop() == 0


# --- events

class Events:
    """`apium events`, on a pipe or on a terminal."""

    def __init__(self, stack, *words, is_terminal=False):
        self.text = ""
        mine, theirs = pty.openpty() if is_terminal else os.pipe()
        self.process = subprocess.Popen([str(BUILD / "apium"), "events", *words], env=stack.environment, stdout=theirs,
                                        stderr=subprocess.STDOUT)
        os.close(theirs)
        threading.Thread(target=self.read, args=(mine,), daemon=True).start()

    def read(self, end):
        try:
            while piece := os.read(end, 65536):
                self.text += piece.decode(errors="replace")
        except OSError:
            pass  # the terminal's other end is closed
        os.close(end)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20 * PATIENCE)


def test_events_are_dumped_as_celery_dumps_them(stack, worker):
    ask(stack, "control", "enable_events")
    with Events(stack, "--dump") as events:
        wait_for("a heartbeat", lambda: f"{NODE} [" in events.text)
        job = run(stack, "call", "diag.add", "-a", "[1, 2]", "--queue", "images").strip()
        wait_for("the end", lambda: "task succeeded" in events.text)
        assert events.stop() == 0
    lines = events.text.splitlines()
    assert lines[0] == "-> evdump: starting capture..."
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?\+00:00\]"
    about = re.escape(f"diag.add({job}) args=[1, 2] kwargs={{}}").replace(r"\[1,\ 2\]", r"\(1, 2\)")
    for beginning in (rf"{re.escape(NODE)} {stamp} heartbeat: .*freq=", rf"{re.escape(NODE)} {stamp} task received: {about} .*retries=0",
                      rf"{re.escape(NODE)} {stamp} task started: {about} ", rf"{re.escape(NODE)} {stamp} task succeeded: {about} .*result=3, runtime="):
        assert any(re.match(beginning, line) for line in lines), (beginning, lines)


def test_the_live_view_shows_workers_and_jobs(stack, worker):
    ask(stack, "control", "enable_events")
    with Events(stack, is_terminal=True) as events:
        job = run(stack, "call", "diag.add", "-a", "[1, 2]", "--queue", "images").strip()
        wait_for("the picture", lambda: re.search(job + r" .*diag\.add .*succeeded", events.text))
        wait_for("the worker's next heartbeat", lambda: re.search(re.escape(NODE) + r" +online", events.text))
        assert events.stop() == 0
    wait_for("the other screen to go", lambda: "\x1b[?1049l" in events.text)
