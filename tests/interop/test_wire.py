"""Celery on the wire: what Celery really wrote runs here, what Celery reads is written here, and a Python worker
runs what this producer sends."""

import json
import os
import subprocess
import sys
import textwrap
import uuid

import celery
import pytest

from jobs_stack import SEPARATOR, Stack, wait_for

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "celery")

# What cannot run here, and the words of its dead letter.
REFUSED = {
    ("application/x-yaml", None): "content type application/x-yaml",
    ("application/x-yaml", "application/x-gzip"): "content type application/x-yaml",
    ("application/x-python-serialize", None): "content type application/x-python-serialize",
    ("application/x-msgpack", None): "content type application/x-msgpack",
    ("application/json", "application/x-lzma"): "application/x-lzma",
}


def client(stack, database=0, **conf):
    app = celery.Celery(broker=stack.redis.tcp_url(database), backend=stack.redis.tcp_url(database))
    app.conf.update(conf)
    return app


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True, APIUM_QUEUES="default,celery", APIUM_TRACK_STARTED="on", APIUM_RESULT_EXTENDED="on",
               APIUM_NODE="here@%n") as stack:
        yield stack


def recorded(*themes):
    """(theme/name, raw, envelope) of every message that a producer put into a list."""
    for theme in themes:
        with open(os.path.join(GOLDEN, theme + ".json"), encoding="utf-8") as file:
            records = json.load(file)["records"]
        for record in records:
            for command in record["commands"]:
                if command["by"] != "producer" or command["command"] != "LPUSH":
                    continue
                for argument in command["args"]:
                    if isinstance(argument, dict) and isinstance(argument.get("json"), dict) \
                            and "body" in argument["json"]:
                        yield f"{theme}/{record['name']}", argument["raw"], argument["json"]


def end_of(apium, job):
    """How a job ended: a state of its result, "scheduled", or its dead letter's reason."""
    document = apium.result(job)
    if document is not None and document["status"] in ("SUCCESS", "REVOKED"):
        return document["status"]
    for record, _ in apium.letters("celery"):
        if record["id"] == job:
            return record["reason"]
    scheduled = apium.redis.call("ZRANGE", "apium:{celery}:schedule", 0, -1)
    return "scheduled" if any(job.encode() in message for message in scheduled) else None


@pytest.mark.parametrize("theme", ["producer", "protocol1", "serialization", "routing", "lifecycle", "canvas"])
def test_every_recorded_message_meets_its_end(apium, theme):
    count = 0
    for name, raw, envelope in recorded(theme):
        headers, job = envelope["headers"], envelope["properties"]["correlation_id"]
        if headers:  # else the id is inside the body: protocol 1
            fresh = str(uuid.uuid4())
            raw, job = raw.replace(job, fresh), fresh
        if headers.get("ignore_result") or headers.get("task") == "diag.sleep":
            continue  # nothing would be seen of it; would sleep as long as it was recorded
        count += 1
        apium.redis.call("LPUSH", "celery", raw)
        end = wait_for(lambda: end_of(apium, job), f"{name}: an end", 10)
        why = REFUSED.get((envelope["content-type"], headers.get("compression")))
        if why is not None:
            assert why in end, name
        elif headers.get("task", "diag.add").startswith("diag."):
            assert end in ("SUCCESS", "REVOKED", "scheduled"), name
        elif headers["task"] in ("celery.map", "celery.starmap"):
            assert end in ("SUCCESS", "unknown task golden.total"), name
        else:
            assert end == "unknown task " + headers["task"], name
    assert count > 0


def test_started_is_seen_while_it_runs(apium):
    job = apium.push("diag.sleep", kwargs={"seconds": 0.5})
    document = wait_for(lambda: apium.result(job), "a state")
    assert document["status"] == "STARTED" and document["date_done"] is None
    assert document["result"]["pid"] in apium.hosts() and document["result"]["hostname"].startswith("here@")
    assert apium.final(job)["status"] == "SUCCESS"


def test_extended_results_tell_what_ran(apium):
    document = apium.final(apium.push("diag.add", (2,), {"y": 3}))
    assert list(document) == ["status", "result", "traceback", "children", "date_done", "name", "args", "kwargs",
                              "worker", "retries", "queue", "task_id"]
    assert (document["name"], document["args"], document["kwargs"]) == ("diag.add", [2], {"y": 3})
    assert (document["retries"], document["queue"]) == (0, "default")
    failed = apium.final(apium.push("diag.fail", kwargs={"times": 9, "error": "no", "retries": 1}))
    assert (failed["name"], failed["kwargs"]["error"], failed["retries"]) == ("diag.fail", "no", 1)
    assert failed["traceback"] == "Traceback (most recent call last):\napium.JobError: no\n"


def test_children_are_those_the_body_asked_for(apium):
    app = client(apium)
    result = app.AsyncResult(apium.push("diag.children", (2,)))
    assert result.get(timeout=20) == 2
    children = result.children
    assert len(children) == 2
    for child in children:
        child.get(timeout=20)
        assert apium.result(child.id)["parent_id"] == result.id
    app.close()


def test_an_expired_job_is_revoked(apium):
    app = client(apium)
    result = app.send_task("diag.add", (1, 1), expires=-1)
    with pytest.raises(celery.exceptions.TaskRevokedError, match="expired"):
        result.get(timeout=20)
    app.close()


def test_queues_are_bound_as_kombu_binds_them(apium):
    def is_bound(kind):
        return apium.redis.call("SISMEMBER", f"_kombu.{kind}.default",
                                b"default" + SEPARATOR + SEPARATOR + b"default")
    apium.redis.call("FLUSHALL")
    apium.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_for(lambda: is_bound("binding") and is_bound("binding_permanent"), "the bindings")


def test_prefixes_and_another_database():
    with Stack() as stack:
        stack.start_worker(APIUM_KEY_PREFIX="t1:", APIUM_RESULT_PREFIX="r", APIUM_QUEUES="celery",
                           REDIS_URL=stack.redis.tcp_url(3))
        app = client(stack, 3, broker_transport_options={"global_keyprefix": "t1:"},
                     result_backend_transport_options={"global_keyprefix": "r"})
        assert app.send_task("diag.add", (2, 3), priority=6).get(timeout=20) == 5
        app.close()


PYTHON_WORKER = """
    import sys
    import celery
    app = celery.Celery(broker=sys.argv[1], backend=sys.argv[2])

    @app.task(name="diag.add", bind=True)
    def add(self, x, y):
        return [x + y, self.request.id, self.request.root_id]

    app.worker_main(["worker", "-Q", "python", "-c", "1", "-P", "solo", "-l", "info", "--without-mingle"])
"""


def test_a_python_worker_runs_what_this_producer_sends(tmp_path):
    script = tmp_path / "python_worker.py"
    script.write_text(textwrap.dedent(PYTHON_WORKER))
    with Stack() as stack:
        log = open(tmp_path / "log", "wb")
        worker = subprocess.Popen([sys.executable, script, stack.redis.tcp_url(), stack.redis.tcp_url()], stdout=log,
                                  stderr=log)
        try:
            job = stack.apium("enqueue", "diag.add", "--args", "[2, 3]", "--queue", "python", "--durability",
                              "fast").split()[-1]
            assert stack.final(job)["result"] == [5, job, job], (tmp_path / "log").read_text()
        finally:
            worker.terminate()
            worker.wait(20)
            log.close()
