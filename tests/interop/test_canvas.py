"""Celery's canvas: what Python Celery composes runs here, split between a Python worker and this one too, and every
step and every chord's body runs once whatever dies."""

import base64
import gc
import json
import os
import signal
import subprocess
import sys
import textwrap

import celery
import pytest
from celery import chain, chord, group

from jobs_stack import Redis, Stack, wait_for
from proxy import Proxy

PATIENCE = 30


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True, APIUM_QUEUES="default,celery") as stack:
        yield stack


@pytest.fixture(scope="module")
def app(apium):
    app = celery.Celery(broker=apium.redis.tcp_url(), backend=apium.redis.tcp_url())
    yield app
    app.close()


@pytest.fixture(scope="module")
def add(app):
    return lambda *args, **options: app.signature("diag.add", args=args, **options)


@pytest.fixture(scope="module")
def total(app):
    """What a chord's body gets, without a task that adds lists: celery.accumulate returns its arguments."""
    return lambda **options: app.signature("celery.accumulate", **options)


@pytest.fixture(scope="module")
def fail(app):
    return lambda **options: app.signature("diag.fail", kwargs={"times": 9, "error": "told to", "retries": 0}, **options)


def get(result, **options):
    return result.get(timeout=PATIENCE, **options)


def document(apium, job):
    return wait_for(lambda: apium.result(job), f"the result of {job}")


def error(apium, result):
    """The words of a failure: get() would raise those of a failed parent instead."""
    found = document(apium, result.id)
    assert found["status"] == "FAILURE", found
    return found["result"]["exc_message"][0]


def chord_keys(apium, gid):
    return {suffix: apium.redis.call("TYPE", f"celery-taskset-meta-{gid}.{suffix}") for suffix in "jtsdc"}


# Chains and links.

def test_a_chain_hands_its_results_on(apium, app, add):
    result = chain(add(1, 2), add(10), add(100)).apply_async()
    assert get(result) == 113
    assert result.parent.get(timeout=PATIENCE) == 13
    first = document(apium, result.parent.parent.id)
    assert first["result"] == 3
    assert first["children"] == [[[result.parent.id, None], None]]
    assert document(apium, result.id)["parent_id"] == result.parent.id


def test_an_immutable_step_gets_nothing(add):
    assert get(chain(add(1, 2), add(10, 20, immutable=True)).apply_async()) == 30


def test_options_of_steps_are_kept(apium, add):
    result = chain(add(1, 2), add(3).set(queue="default", priority=9), add(4).set(countdown=1)).apply_async()
    wait_for(lambda: apium.redis.call("ZCARD", "apium:{default}:schedule") == 1, "the last one to be scheduled")
    assert get(result) == 10


def test_links_follow(apium, add):
    callbacks = [add(10).set(task_id=celery.utils.uuid()), add(20).set(task_id=celery.utils.uuid())]
    result = add(1, 1).apply_async(link=callbacks)
    assert get(result) == 2
    assert document(apium, callbacks[0].id)["result"] == 12
    assert document(apium, callbacks[1].id)["result"] == 22
    children = document(apium, result.id)["children"]
    assert [child[0][0] for child in children[0][1]] == [c.id for c in callbacks]
    assert result.children[0].get(timeout=PATIENCE) == [12, 22]


def test_a_failing_step_ends_the_rest(apium, add, fail, app):
    errback = app.signature("celery.accumulate").set(task_id=celery.utils.uuid())
    result = chain(fail(), add(1), add(2)).on_error(errback).apply_async()
    with pytest.raises(Exception, match="told to"):
        get(result)
    failed = result.parent.parent.id
    for job in (result.id, result.parent.id, failed):
        assert document(apium, job)["status"] == "FAILURE"
        assert document(apium, job)["result"]["exc_message"] == ["told to"]
    told = document(apium, errback.id)
    assert told["result"] == [failed]
    assert told["parent_id"] == failed


def test_what_nobody_knows_is_published_all_the_same(apium, add, app):
    result = add(2, 3).apply_async(link=app.signature("shop.python_only", queue="elsewhere", countdown=600))
    assert get(result) == 5
    raw = wait_for(lambda: apium.redis.call("LINDEX", "elsewhere", 0), "the message")
    message = json.loads(raw)
    assert message["headers"]["task"] == "shop.python_only"
    assert message["headers"]["parent_id"] == result.id
    assert message["headers"]["eta"] is not None  # for whoever takes it: its schedule is not ours
    assert message["properties"]["delivery_info"]["routing_key"] == "elsewhere"


def test_stamps_and_headers_travel(apium, add, app):
    callback = app.signature("shop.stamped", queue="stamped", headers={"tenant": "a"})
    callback.stamp(trace="t-1")
    get(add(1, 1).apply_async(link=callback))
    headers = json.loads(wait_for(lambda: apium.redis.call("LINDEX", "stamped", 0), "the message"))["headers"]
    assert headers["tenant"] == "a"
    assert "trace" in headers["stamped_headers"] and headers["stamps"]["trace"] in ("t-1", ["t-1"])


# Groups and maps.

def test_a_group_is_read_as_one(add):
    result = group(add(i, i) for i in range(5)).apply_async()
    assert get(result) == [0, 2, 4, 6, 8]


def test_a_group_follows_a_step(add):
    result = chain(add(1, 1), group(add(10), add(20))).apply_async()
    assert get(result) == [12, 22]


def test_map_starmap_and_chunks(app):
    task = app.signature("diag.add")
    double = {"task": task, "it": [[1, 2], [3, 4]]}
    assert get(app.signature("celery.starmap", kwargs=double).apply_async()) == [3, 7]
    assert get(app.signature("celery.map", kwargs={"task": app.signature("celery.accumulate"), "it": [1, "a"]})
               .apply_async()) == [[1], ["a"]]

    @app.task(name="diag.add", shared=False)
    def add(x, y):
        """Only so that there is something that makes chunks."""

    assert get(add.chunks([(i, i) for i in range(5)], 2).apply_async()) == [[0, 2], [4, 6], [8]]
    # As a step: Celery gives the group that it comes to an id that nobody was told.
    first = chain(app.signature("diag.add", args=(1, 1)), add.chunks([(i, 1) for i in range(3)], 2)).apply_async().parent
    assert get(first) == 2
    assert [child.get(timeout=PATIENCE) for child in first.children[0]] == [[1, 2], [3]]


def test_a_canvas_sent_as_a_job_is_carried_out(apium, add, total):
    body = total().set(task_id=celery.utils.uuid())
    apium.push("celery.chord", kwargs={"header": [add(1, 2), add(3, 4)], "body": body, "kwargs": {}}, queue="celery")
    assert document(apium, body.id)["result"] == [[3, 7]]


# Chords.

def test_a_chord_runs_its_body_with_all_results(apium, add, total):
    result = chord([add(i, 1) for i in range(7)])(total())
    assert get(result) == [[1, 2, 3, 4, 5, 6, 7]]
    assert [part.get(timeout=PATIENCE) for part in result.parent] == [1, 2, 3, 4, 5, 6, 7]
    gid = result.parent.id
    wait_for(lambda: apium.redis.call("GET", f"celery-taskset-meta-{gid}.c") == b"done", "the end of the chord")
    assert chord_keys(apium, gid) == {"j": "none", "t": "none", "s": "none", "d": "none", "c": "string"}
    assert document(apium, result.id)["group_id"] == gid


def test_an_empty_header_runs_the_body_at_once(total):
    assert get(chord([])(total())) == [[]]


def test_parts_need_no_results_of_their_own(add, total):
    result = chord([add(1, 1).set(ignore_result=True), add(2, 2).set(ignore_result=True)])(total())
    assert get(result) == [[2, 4]]


def test_a_large_chord(add, total):
    """More parts than are read at once."""
    result = chord([add(i, 0) for i in range(600)])(total())
    assert get(result) == [list(range(600))]


def test_chords_in_chains_and_chains_in_chords(add, total, app):
    assert get(chain(add(1, 1), group(add(2), add(3)), total()).apply_async()) == [[4, 5]]
    assert get(chord([chain(add(1, 1), add(2)), chain(add(3, 3), add(4))])(total())) == [[4, 10]]
    assert get(chain(group(add(1, 1), add(2, 2)), group(total(), total())).apply_async()) == [[[2, 4]], [[2, 4]]]
    assert get(chain(group(add(1, 1), add(2, 2)), total(), total()).apply_async()) == [[[2, 4]]]


def test_groups_in_a_chord_are_taken_apart(add, total):
    values = get(chord([group(add(1, 1), add(2, 2)), add(3, 3)])(total()))
    assert sorted(values[0]) == [2, 4, 6]


def test_a_chord_in_a_chord(add, total):
    assert get(chord([chord([add(1, 1), add(2, 2)], total()), add(5, 5)])(total())) == [[[[2, 4]], 10]]


def test_links_and_callbacks_of_a_body(apium, add, total):
    callback = total().set(task_id=celery.utils.uuid())
    body = total()
    body.link(callback)
    assert get(chord([add(1, 1)])(body)) == [[2]]
    assert document(apium, callback.id)["result"] == [[[2]]]


def check_chord_error(apium, result, errback, culprit):
    assert f"Dependency {culprit} raised" in error(apium, result)
    assert document(apium, result.id)["result"]["exc_type"] == "ChordError"
    assert document(apium, errback.id)["result"] == [result.id]
    assert apium.redis.call("EXISTS", f"celery-taskset-meta-{result.parent.id}.s") == 0


def test_a_failed_part_fails_the_chord(apium, add, total, fail):
    errback = total().set(task_id=celery.utils.uuid())
    bad = fail().set(task_id=celery.utils.uuid())
    body = total()
    body.link_error(errback)
    check_chord_error(apium, chord([add(1, 1), bad, add(2, 2)])(body), errback, bad.id)


def test_a_part_that_is_dead_or_unknown_fails_the_chord(apium, add, total, app):
    for bad in (app.signature("diag.crash", kwargs={"times": 9}), app.signature("shop.nobody", queue="celery"),
                app.signature("diag.add", args=("x", "y"))):
        bad = bad.set(task_id=celery.utils.uuid())
        errback = total().set(task_id=celery.utils.uuid())
        body = total()
        body.link_error(errback)
        check_chord_error(apium, chord([bad, add(2, 2)])(body), errback, bad.id)


def test_a_part_that_is_expired_or_revoked_fails_the_chord(apium, add, total, app):
    expired = add(1, 1).set(task_id=celery.utils.uuid(), expires=-5)
    result = chord([expired, add(2, 2)])(total())
    assert "TaskRevokedError('expired')" in error(apium, result)
    revoked = add(1, 1).set(task_id=celery.utils.uuid(), countdown=1)
    result = chord([revoked, add(2, 2)])(total())
    app.control.revoke(revoked.id)
    assert "TaskRevokedError('revoked')" in error(apium, result)


def test_what_comes_after_a_revoked_step_is_revoked(apium, app, add):
    first = add(1, 1).set(task_id=celery.utils.uuid(), countdown=1)
    result = chain(first, add(1), add(2)).apply_async()
    app.control.revoke(first.id)
    for job in (first.id, result.parent.id, result.id):
        assert wait_for(lambda: apium.result(job), "a state")["status"] == "REVOKED"


def test_a_group_at_a_chains_end_keeps_its_array(add, total):
    """Celery saves such a header, and its results lie as it does."""
    values = get(chord([chain(add(1, 1), group(add(1), add(2))), add(5, 5)])(total()))
    assert values == [[[3, 4], 10]]


def test_a_failing_chain_in_a_chord_fails_it(apium, add, total, fail):
    result = chord([chain(fail(), add(1)), add(2, 2)])(total())
    assert "raised JobError" in error(apium, result)


def test_a_step_that_fails_before_several_parts_fails_the_chord(apium, add, total, fail):
    """Each member of a group is a part of the chord, and none of them runs. With Celery alone such a chord waits for ever."""
    def two():
        return group(add(1), add(2))

    def after_two():
        return group(total(), total())

    for parts in ([chain(fail(), two()), add(5, 5)], [add(5, 5), chain(add(1, 1), fail(), two())],
                  [chord([fail(), add(1, 2)], after_two()), add(5, 5)], [chain(fail(), chord([add(1), add(2)], after_two())), add(5, 5)]):
        result = chord(parts)(total())
        assert "raised " in error(apium, result)
        gid = result.parent.id
        wait_for(lambda: apium.redis.call("GET", f"celery-taskset-meta-{gid}.c") == b"done", "the end of the chord")


def test_a_failed_inner_chord_fails_the_outer_one(apium, add, total, fail):
    result = chord([chord([add(1, 1), fail()], total()), add(5, 5)])(total())
    assert "raised ChordError" in error(apium, result)


def test_the_steps_behind_a_failed_chord_fail(apium, add, total, fail):
    result = chain(group(add(1, 1), fail()), total(), add(1)).apply_async()
    assert "raised JobError" in error(apium, result)


# Claims.

def test_a_claim_of_a_dead_worker_ends(apium, add, total):
    """Somebody has claimed the body and died: the part that is delivered again takes over."""
    parts = [add(1, 1).set(task_id=celery.utils.uuid()), add(2, 2).set(queue="held", task_id=celery.utils.uuid())]
    result = chord(parts)(total())
    gid = result.parent.id
    document(apium, parts[0].id)
    apium.redis.call("SET", f"celery-taskset-meta-{gid}.c", "somebody", "PX", 700)
    apium.redis.call("LMOVE", "held", "celery", "RIGHT", "LEFT")
    document(apium, parts[1].id)  # its result is there, and it is not acknowledged
    assert sum(len(m) for m in apium.in_flight("celery").values()) >= 1
    assert get(result) == [[2, 4]]
    apium.wait_empty("celery")


def test_a_part_that_has_ended_is_not_blamed_when_all_are_killed(apium, add, total):
    """It ran alone, for it was there when workers were killed before; now it waits for somebody's claim."""
    parts = [add(1, 1).set(task_id=celery.utils.uuid()), add(2, 2).set(queue="held", task_id=celery.utils.uuid())]
    result = chord(parts)(total())
    letters, last = len(apium.letters("celery")), parts[1].id
    document(apium, parts[0].id)
    apium.redis.call("SET", f"celery-taskset-meta-{result.parent.id}.c", "somebody", "PX", 120000)
    apium.redis.call("HSET", "apium:{celery}:crash", last, 2)
    message = json.loads(apium.redis.call("RPOP", "held"))
    message["headers"]["redelivered"] = True
    apium.redis.call("LPUSH", "celery", json.dumps(message))
    for round_ in range(3):
        document(apium, last)
        wait_for(lambda: not apium.redis.call("HEXISTS", "apium:{celery}:crash", last + ":in"), "it to be acquitted")
        apium.worker.kill()
        apium.redis.call("DEL", "celery-task-meta-" + last)
        if round_ == 2:
            apium.redis.call("DEL", f"celery-taskset-meta-{result.parent.id}.c")
        apium.start_worker()
    assert get(result) == [[2, 4]]
    assert len(apium.letters("celery")) == letters
    apium.wait_empty("celery")


def test_a_part_is_counted_once(apium, add, total):
    """A copy of a part that ran leaves the chord alone, before its end and after it."""
    parts = [add(1, 1).set(task_id=celery.utils.uuid(), queue="parts"),
             add(2, 2).set(task_id=celery.utils.uuid(), queue="parts")]
    result = chord(parts)(total())
    first, second = (apium.redis.call("RPOP", "parts") for _ in range(2))
    apium.redis.call("LPUSH", "celery", first, first)
    document(apium, parts[0].id)
    wait_for(lambda: apium.redis.call("LLEN", "celery") == 0, "the copies to be taken")
    assert apium.redis.call("ZCARD", f"celery-taskset-meta-{result.parent.id}.j") == 1
    apium.redis.call("LPUSH", "celery", second)
    assert get(result) == [[2, 4]]
    apium.redis.call("LPUSH", "celery", second)
    apium.wait_empty("celery")
    assert chord_keys(apium, result.parent.id)["j"] == "none"


# What cannot be.

@pytest.mark.parametrize("embed, words", [
    ({"callbacks": [1]}, "a signature is no object"),
    ({"chain": [{"task": "celery.chord", "kwargs": {}}]}, "a chord has no body"),
    ({"chord": {"task": 1}}, "names no task"),
    ({"callbacks": 1}, "no list of signatures"),
])
def test_what_cannot_follow_is_a_dead_letter(apium, embed, words):
    body = base64.b64encode(json.dumps([[1, 2], {}, embed]).encode()).decode()
    apium.redis.call("LPUSH", "celery", json.dumps({
        "body": body, "headers": {"task": "diag.add", "id": celery.utils.uuid()},
        "properties": {"body_encoding": "base64"}}))
    wait_for(lambda: words in apium.apium("dead", "list", "--queue", "celery"), "the dead letter")


# Made in C.

def test_a_chord_from_c_and_its_rows(apium):
    job = apium.push("diag.chord", (5,))
    body = wait_for(lambda: apium.result(job), "the chord")["result"]
    assert wait_for(lambda: apium.result(body), "the body")["result"] == [[1, 2, 3, 4, 5]]
    wait_for(lambda: apium.postgres.sql("SELECT count(*) FROM job_outbox") == [["0"]], "the rows to go")
    job = apium.push("diag.chord", (0,))
    body = wait_for(lambda: apium.result(job), "an empty chord")["result"]
    assert wait_for(lambda: apium.result(body), "the body")["result"] == [[]]


def test_a_chord_from_c_survives_a_wiped_redis(apium):
    """No part has run yet: all rows are pushed again, and the counting starts anew."""
    app = celery.Celery(broker=apium.redis.tcp_url(), backend=apium.redis.tcp_url())
    app.control.cancel_consumer("default", reply=True, timeout=5)
    apium.push("diag.chord", (3,), queue="celery")
    wait_for(lambda: apium.waiting("default") == 3, "the parts")
    envelope = json.loads(apium.redis.call("LINDEX", "default", 0))
    body = json.loads(base64.b64decode(envelope["body"]))[2]["chord"]
    assert body["chord_size"] == 3
    apium.redis.call("FLUSHALL")
    app.control.add_consumer("default", reply=True, timeout=5)
    assert wait_for(lambda: apium.result(body["options"]["task_id"]), "the body", 60)["result"] == [[1, 2, 3]]
    app.close()


# Beside a Python worker.

PYTHON_WORKER = """
    import sys
    import celery

    app = celery.Celery("beside", broker=sys.argv[1], backend=sys.argv[1])
    app.conf.worker_hijack_root_logger = False

    @app.task(name="python.double")
    def double(x):
        return 2 * x

    @app.task(name="python.total")
    def total(values):
        return sum(values)

    @app.task(name="python.raise")
    def raise_():
        raise ValueError("boom", 42)

    app.worker_main(["worker", "-P", "solo", "-Q", "python", "-l", "info", "-n", "python@here", "--without-mingle",
                     "--without-gossip"])
"""


@pytest.fixture(scope="module")
def python(apium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    script = folder / "beside.py"
    script.write_text(textwrap.dedent(PYTHON_WORKER))
    with open(folder / "log", "wb") as log:
        worker = subprocess.Popen([sys.executable, script, apium.redis.tcp_url()], stdout=log, stderr=log)
        yield worker
        worker.terminate()
        worker.wait(PATIENCE)


@pytest.fixture(scope="module")
def double(app, python):
    return lambda *args: app.signature("python.double", args=args, queue="python")


def test_a_chain_goes_to_and_fro(add, double):
    assert get(chain(add(1, 2), double(), add(10), double()).apply_async()) == 32


def test_a_chord_is_split(app, add, double, total):
    for body in (total(), app.signature("python.total", queue="python")):
        for parts in ([add(1, 1), double(2), add(3, 3)], [double(1), add(2, 2), double(3)]):
            value = get(chord(parts)(body))
            assert value in ([[2, 4, 6]], 12)


def test_a_chord_without_an_order_is_split(apium, app, add, double, total, tmp_path):
    """`result_chord_ordered=False`: what the parts returned comes as they end."""
    ours = apium.start_program("apium-worker", APIUM_QUEUES="apart", APIUM_RESULT_CHORD_ORDERED="off", APIUM_NODE="apart@here")
    script = tmp_path / "unordered.py"
    script.write_text(textwrap.dedent(PYTHON_WORKER).replace(
        "backend=sys.argv[1])", "backend=sys.argv[1], result_backend_transport_options={'result_chord_ordered': False})").replace(
        '"python"', '"unordered"'))
    unordered = subprocess.Popen([sys.executable, script, apium.redis.tcp_url()])
    try:
        def double(x):
            return app.signature("python.double", args=(x,), queue="unordered")

        assert get(chord([add(1, 1).set(queue="apart", countdown=1), add(2, 2).set(queue="apart")])(total())) == [[4, 2]]
        for parts in ([double(2), add(1, 1).set(queue="apart"), double(4), add(3, 3).set(queue="apart")], [double(1), double(2)],
                      [add(1, 0).set(queue="apart"), add(2, 0).set(queue="apart")]):
            for body in (total(), app.signature("python.total", queue="unordered")):
                value = get(chord(parts)(body))
                assert value in (20, 6, 3) or sorted(value[0]) in ([2, 4, 6, 8], [2, 4], [1, 2])
    finally:
        ours.stop()
        unordered.terminate()
        unordered.wait(PATIENCE)


def test_a_python_part_fails_a_chord(apium, app, add, total, python):
    for parts in ([add(1, 1), app.signature("python.raise", queue="python")],
                  [app.signature("python.raise", queue="python"), add(1, 1).set(countdown=1)]):
        assert "raised ValueError('boom', 42)" in error(apium, chord(parts)(total()))


def test_our_part_fails_a_chord_whose_body_is_python(apium, app, add, fail, double):
    result = chord([fail(), double(1)])(app.signature("python.total", queue="python"))
    assert "raised JobError" in error(apium, result)


# Death.

def counts(stack, prefix):
    return {key: int(count) for key, count in stack.postgres.sql("SELECT key, count FROM diag_counter")
            if key.startswith(prefix)}


def compose(app, n, name):
    """Each: three parts that count, a body that counts, and two steps behind it that count."""
    def count(key):
        return app.signature("diag.count", kwargs={"key": f"{name} {key}"}, immutable=True)

    for i in range(n):
        chain(group(count(f"p{i}-{k}") for k in range(3)), count(f"b{i}"), count(f"c{i}"), count(f"d{i}")).apply_async()


def expected(n, name):
    return {**{f"{name} p{i}-{k}": 1 for i in range(n) for k in range(3)},
            **{f"{name} {step}{i}": 1 for i in range(n) for step in "bcd"}}


@pytest.mark.parametrize("victim", ["host", "supervisor"])
def test_every_body_and_step_runs_once_whatever_dies(apium, app, victim):
    n = 30
    letters = len(apium.letters("celery"))
    compose(app, n, victim)
    for round_ in range(3):
        wait_for(lambda: len(counts(apium, victim)) > 30 + 40 * round_, "some counts")
        if victim == "host":
            os.kill(wait_for(apium.hosts, "a host")[0], signal.SIGKILL)
        else:
            apium.worker.kill()
            apium.start_worker()
    wait_for(lambda: len(counts(apium, victim)) == len(expected(n, victim)), "all to be counted", 60)
    apium.wait_empty("celery")
    assert counts(apium, victim) == expected(n, victim)
    assert len(apium.letters("celery")) == letters


def two_sleepers(app):
    """A chord of one part here and one that is held back; its group."""
    parts = [app.signature("diag.sleep", kwargs={"seconds": 1}, queue=queue, task_id=celery.utils.uuid()) for queue in ("apart", "held")]
    return chord(parts)(app.signature("celery.accumulate", queue="bodies")).parent.id


@pytest.mark.parametrize("which", ["first", "last"])
def test_killed_between_counting_and_acknowledging(apium, tmp_path, which):
    """Results in another Redis: the part is counted there, then acknowledged here. It is delivered again, and counts no more."""
    results = Redis(str(tmp_path)).start()
    app = celery.Celery(broker=apium.redis.tcp_url(), backend=results.tcp_url())

    def start():
        return apium.start_program("apium-worker", APIUM_QUEUES="apart", REDIS_URL=proxy.url, APIUM_RESULT_URL=results.url)

    proxy = Proxy(apium.redis.port)
    worker = start()
    try:
        gid = two_sleepers(app)
        if which == "last":
            wait_for(lambda: results.call("ZCARD", f"celery-taskset-meta-{gid}.j") == 1, "the first part")
            apium.wait_empty("apart")
            apium.redis.call("LMOVE", "held", "apart", "RIGHT", "LEFT")
        wait_for(lambda: sum(len(m) for m in apium.in_flight("apart").values()) == 1, "the part to be taken")
        proxy.loses_requests = True  # what is sent from here on, the acknowledgement as well, never comes
        n = 1 if which == "first" else 2
        wait_for(lambda: results.call("ZCARD", f"celery-taskset-meta-{gid}.j") == n, "the part to be counted")
        worker.kill()
        proxy.cut()
        assert apium.redis.call("LLEN", "bodies") == 0
        assert sum(len(m) for m in apium.in_flight("apart").values()) == 1  # not acknowledged
        worker = start()
        if which == "first":
            apium.wait_empty("apart")
            assert results.call("ZCARD", f"celery-taskset-meta-{gid}.j") == 1 and apium.redis.call("LLEN", "bodies") == 0
            apium.redis.call("LMOVE", "held", "apart", "RIGHT", "LEFT")
        wait_for(lambda: results.call("GET", f"celery-taskset-meta-{gid}.c") == b"done", "the end of the chord")
        apium.wait_empty("apart")
        assert apium.redis.call("LLEN", "bodies") == 1
    finally:
        apium.redis.call("DEL", "bodies")
        worker.stop()
        proxy.close()
        gc.collect()  # what the client keeps of a result says goodbye to its server
        app.close()
        results.stop()


def test_results_in_another_redis(apium, add):
    """Another database is another Redis as far as the worker knows."""
    url = apium.redis.url + "?db=1"
    worker = apium.start_program("apium-worker", APIUM_QUEUES="apart", APIUM_RESULT_URL=url)
    app = celery.Celery(broker=apium.redis.tcp_url(), backend=apium.redis.tcp_url(1))

    def sum_of(*args, **options):
        return app.signature("diag.add", args=args, queue="apart", **options)

    accumulate = app.signature("celery.accumulate", queue="apart")
    assert get(chain(sum_of(1, 2), sum_of(3)).apply_async()) == 6
    assert get(chord([sum_of(1, 1), sum_of(2, 2)])(accumulate)) == [[2, 4]]
    assert get(chain(sum_of(1, 1), group(sum_of(1), sum_of(2)), accumulate).apply_async()) == [[3, 4]]
    failed = chord([sum_of("x", "y"), sum_of(2, 2)])(accumulate)
    wait_for(failed.ready, "the failure")
    assert "raised JobDropped" in str(failed.result)
    assert apium.result(failed.id) is None
    worker.stop()
    app.close()
