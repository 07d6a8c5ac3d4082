"""One job's way from LPUSH to its end, in all its forms."""

import base64
import datetime
import json
import time
import zlib

import pytest

from jobs_stack import SEPARATOR, Stack, envelope, wait_for


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True) as stack:
        yield stack


def utc(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).isoformat()


def test_result_is_stored_as_python_stores_it(apium):
    job = apium.push("diag.add", (2, 3))
    document = apium.final(job)
    assert list(document) == ["status", "result", "traceback", "children", "date_done", "task_id"]
    assert document["status"] == "SUCCESS" and document["result"] == 5
    assert document["traceback"] is None and document["children"] == []
    assert document["task_id"] == job and document["date_done"].endswith("+00:00")
    assert 0 < apium.redis.call("TTL", "celery-task-meta-" + job) <= 86400


def test_group_and_parent_are_in_the_result(apium):
    document = apium.final(apium.push("diag.noop", group="g-1", parent_id="p-1"))
    assert list(document)[-3:] == ["group_id", "parent_id", "task_id"]
    assert document["group_id"] == "g-1" and document["parent_id"] == "p-1"


def test_values_pass_through_untouched(apium):
    kwargs = {"big": 2 ** 70, "f": 0.1, "e": 1e300, "text": "žluťoučký ☃ \U0001f600", "none": None,
              "nested": [[{"a": [1, 2.5]}], True]}
    assert apium.final(apium.push("diag.echo", (), kwargs))["result"] == kwargs


def test_ignored_result_is_not_stored(apium):
    quiet = apium.push("diag.add", (1, 1), ignore_result=True)
    loud = apium.push("diag.add", (1, 1))
    apium.final(loud)
    apium.wait_empty()
    assert apium.result(quiet) is None


def test_ignored_result_stores_no_failure_either(apium):
    quiet = apium.push("diag.fail", (9,), {"retries": 0}, ignore_result=True)
    wait_for(lambda: any(record["id"] == quiet for record, _ in apium.letters()), "the letter")
    assert apium.result(quiet) is None


def test_failed_attempts_are_tried_again(apium):
    assert apium.final(apium.push("diag.fail", (3,)))["result"] == 4


def test_retry_state_is_told_meanwhile(apium):
    job = apium.push("diag.sleep", ("no number",), timelimit=[None, None])
    assert apium.final(job)["status"] == "FAILURE"  # wrong arguments are dropped, not tried again
    assert "must be a number" in apium.result(job)["result"]["exc_message"][0]


def test_arguments_are_bound_as_python_binds_them(apium):
    cases = [
        ((1,), {}, "diag.add() missing 1 required argument: 'y'"),
        ((), {}, "diag.add() missing 2 required arguments: 'x' and 'y'"),
        ((1, 2, 3), {}, "diag.add() takes 2 positional arguments but 3 were given"),
        ((1, 2), {"x": 1}, "diag.add() got multiple values for argument 'x'"),
        ((1,), {"z": 1}, "diag.add() got an unexpected keyword argument 'z'"),
    ]
    for args, kwargs, words in cases:
        document = apium.final(apium.push("diag.add", args, kwargs))
        assert document["status"] == "FAILURE"
        assert document["result"] == {"exc_type": "JobDropped", "exc_message": [words],
                                      "exc_module": "apium"}


def test_exhausted_retries_are_a_dead_letter_with_history(apium):
    job = apium.push("diag.fail", (99,), {"retries": 2, "error": "it rains"})
    document = apium.final(job)
    assert document["status"] == "FAILURE"
    assert document["result"]["exc_message"] == ["it rains"]
    record, raw = next(letter for letter in apium.letters() if letter[0]["id"] == job)
    assert record["reason"] == "it rains" and record["attempts"] == 3
    assert record["task"] == "diag.fail" and record["queue"] == "default"
    headers = json.loads(raw)["headers"]
    assert headers["retries"] == 2
    assert [(h["attempt"], h["error"]) for h in headers["apium_history"]] == [
        (1, "it rains"), (2, "it rains")]


def test_undecodable_messages_keep_their_bytes(apium):
    _, good = envelope("diag.noop")
    cases = {
        b"not json at all": "no JSON object",
        b"\xff\xfe\x00binary": "no JSON object",
        b'{"torn": ': "no JSON object",
        b"[1, 2, 3]": "no JSON object",
        b"{}": "no body",
        good.replace(b'"body": "', b'"body": "!!!'): "no base64",
        good.replace(b"application/json", b"application/x-python-serialize"): "is not accepted",
        good.replace(b'"headers": {', b'"headers": {"compression": "application/x-lzma", '):
            "application/x-lzma is not known",
        good.replace(b'"id": "', b'"id": "' + b"x" * 300): "the id is",
        good.replace(b'"eta": null', b'"eta": "yesterday"'): "no time",
        json.dumps({**json.loads(good), "body": base64.b64encode(b'[[], {}]').decode()}).encode():
            "no array of three",
        json.dumps({**json.loads(good), "body": base64.b64encode(
            b'[[], {}, {"chain": [{"tusk": "x"}]}]').decode()}).encode(): "a signature names no task",
    }
    before = len(apium.letters())
    for message in cases:
        apium.redis.call("LPUSH", "default", message)
    wait_for(lambda: len(apium.letters()) == before + len(cases), "the letters")
    found = {raw: record for record, raw in apium.letters()[before:]}
    for message, words in cases.items():
        assert message in found, message
        assert "undecodable" in found[message]["reason"]
        assert words in found[message]["reason"]
    apium.wait_empty()


def test_unknown_task_is_dead_and_told(apium):
    job = apium.push("no.such", (1,))
    document = apium.final(job)
    assert document["status"] == "FAILURE"
    assert document["result"] == {"exc_type": "NotRegistered", "exc_message": ["no.such"],
                                  "exc_module": "celery.exceptions"}
    assert any(record["id"] == job and record["reason"] == "unknown task no.such"
               for record, _ in apium.letters())


def test_protocol_1_is_understood(apium):
    body = {"task": "diag.add", "id": "v1-job", "args": [20], "kwargs": {"y": 22}, "retries": 0,
            "eta": None, "expires": None, "utc": True, "callbacks": None, "errbacks": None,
            "timelimit": [None, None], "taskset": None, "chord": None}
    _, message = envelope("x")
    message = json.loads(message)
    message["headers"] = {}
    message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    apium.redis.call("LPUSH", "celery", json.dumps(message))
    assert apium.final("v1-job")["result"] == 42


def test_protocol_1_is_tried_again(apium):
    body = {"task": "diag.fail", "id": "v1-again", "args": [2], "kwargs": {}}
    apium.redis.call("LPUSH", "celery", json.dumps({
        "body": json.dumps(body), "headers": {}, "content-type": "application/json",
        "content-encoding": "utf-8", "properties": {"body_encoding": "utf-8"}}))
    assert apium.final("v1-again")["result"] == 3


def test_compressed_and_plain_bodies(apium):
    for pack, headers, encoding in (
            (lambda b: base64.b64encode(zlib.compress(b)).decode(),
             {"compression": "application/x-gzip"}, "base64"),
            (lambda b: b.decode(), {}, None)):
        job, message = envelope("diag.add", (40, 2), None, None, **headers)
        message = json.loads(message)
        message["body"] = pack(base64.b64decode(message["body"]))
        message["properties"]["body_encoding"] = encoding
        apium.redis.call("LPUSH", "default", json.dumps(message))
        assert apium.final(job)["result"] == 42


def test_escaped_names_are_read(apium):
    _, message = envelope("diag.add", (1, 2), None, "name-ř")
    assert b"\\u0159" in message
    apium.redis.call("LPUSH", "default", message)
    assert apium.final("name-ř")["result"] == 3


def test_all_priorities_are_consumed(apium):
    jobs = [apium.push("diag.noop", priority=p) for p in (0, 3, 6, 9)]
    for job in jobs:
        apium.final(job)


def test_eta_waits_in_redis_and_runs_in_time(apium):
    start = time.time()
    job = apium.push("diag.noop", eta=utc(1.5))
    wait_for(lambda: apium.redis.call("ZCARD", "apium:{default}:schedule") == 1, "the schedule")
    assert apium.waiting() == 0 and not apium.in_flight()
    apium.final(job)
    assert 1.4 < time.time() - start < 4


def test_expired_job_is_revoked(apium):
    document = apium.final(apium.push("diag.noop", expires=utc(-1)))
    assert document["status"] == "REVOKED"
    assert document["result"]["exc_type"] == "TaskRevokedError"
    assert document["result"]["exc_message"] == ["expired"]


def test_progress_is_told(apium):
    from jobs_stack import RedisClient
    listener = RedisClient(apium.redis.path)
    listener.call("PSUBSCRIBE", "celery-task-meta-*")
    job = apium.push("diag.progress", (3,))
    apium.final(job)
    states = []
    while not states or states[-1][0] != "SUCCESS":
        message = listener._reply()
        if message[2].decode().endswith(job):
            document = json.loads(message[3])
            states.append((document["status"], document["result"]))
    listener.close()
    assert states == [("PROGRESS", {"current": i, "total": 3}) for i in (1, 2, 3)] + [("SUCCESS", 3)]


def test_finished_out_of_order_behind_a_long_job(apium):
    slow = apium.push("diag.sleep", (2,))
    jobs = apium.push_many("diag.noop", 3000, ignore_result=True)
    last = apium.push("diag.noop")
    apium.final(last)
    assert apium.result(slow) is None
    # More than a thousand '' behind the long job are removed; it is still there.
    wait_for(lambda: sum(len(m) for m in apium.in_flight().values()) == 1, "the others to go")
    token = next(iter(apium.in_flight()))
    assert apium.redis.call("LLEN", f"apium:{{default}}:fly:{token}") < 2200
    assert apium.final(slow)["status"] == "SUCCESS"
    apium.wait_empty()
    assert len(jobs) == 3000


def test_unknown_task_is_forwarded_once():
    with Stack(worker=False, postgres=False) as apium:
        apium.start_worker(APIUM_UNKNOWN_TO="python", DATABASE_URL="host=/nowhere")
        apium.push("theirs.task")
        wait_for(lambda: apium.redis.call("LLEN", "python") == 1, "the forwarded message")
        assert apium.letters() == []
        apium.wait_empty()


def test_priority_lists_have_their_order():
    """One slot: what is urgent runs first."""
    with Stack(worker=False, postgres=False) as apium:
        for i in range(20):
            apium.push("diag.echo", (), {"i": i}, priority=9)
            apium.push("diag.echo", (), {"i": 100 + i}, priority=0)
        assert apium.redis.call("LLEN", b"default" + SEPARATOR + b"9") == 20
        from jobs_stack import RedisClient
        listener = RedisClient(apium.redis.path)
        listener.call("PSUBSCRIBE", "celery-task-meta-*")
        apium.start_worker(APIUM_CONCURRENCY="1", DATABASE_URL="host=/nowhere")
        order = [json.loads(listener._reply()[3])["result"]["i"] for _ in range(40)]
        listener.close()
        urgent = [i >= 100 for i in order]
        # A lane that waits may bring a few before the urgent one was found full.
        assert sum(urgent[:20]) >= 12
        assert [i for i in order if i >= 100] == list(range(100, 120))
