"""Jobs that are part of a transaction: they run if and only if it commits, whatever Redis loses."""

import json
import signal

import pytest

from jobs_stack import Stack, wait_for


@pytest.fixture
def apium():
    with Stack(worker=True) as stack:
        stack.final(stack.push("diag.noop"))
        yield stack


def enqueue(apium, task, kwargs, **more):
    """apium_enqueue(); the id."""
    names = {"queue": "text", "key": "text", "eta": "timestamptz"}
    arguments = "".join(f", {name} => '{value}'::{names[name]}" for name, value in more.items())
    return apium.postgres.sql(
        f"SELECT apium_enqueue(:'task', :'kwargs'::jsonb{arguments})",
        task=task, kwargs=json.dumps(kwargs))[0][0]


def enqueue_counts(apium, n, queue=None):
    target = "" if queue is None else f", queue => '{queue}'"
    rows = apium.postgres.sql(
        "SELECT apium_enqueue('diag.count', jsonb_build_object('key', 'k' || i)" + target +
        f") FROM generate_series(0, {n - 1}) AS i")
    return [row[0] for row in rows]


def counts(apium):
    return {key: int(count) for key, count in apium.postgres.sql(
        "SELECT key, count FROM diag_counter")}


def open_rows(apium):
    return int(apium.postgres.sql("SELECT count(*) FROM job_outbox")[0][0])


def test_a_row_becomes_a_job_and_goes(apium):
    job = enqueue(apium, "diag.add", {"x": 2, "y": 3})
    assert apium.final(job)["result"] == 5
    wait_for(lambda: open_rows(apium) == 0, "the row to go")
    assert apium.redis.call("HLEN", "apium:{default}:live") == 0
    assert 0 < apium.redis.call("TTL", f"apium:{{default}}:receipt:{job}") <= 3600


def test_what_is_rolled_back_does_not_run(apium):
    apium.postgres.sql("BEGIN; SELECT apium_enqueue('diag.count', '{\"key\": \"no\"}'); ROLLBACK;")
    enqueue_counts(apium, 1)
    wait_for(lambda: counts(apium), "the other")
    assert counts(apium) == {"k0": 1}


def test_queue_of_the_row_and_of_the_declaration(apium):
    job = enqueue(apium, "diag.noop", {}, queue="celery")
    apium.final(job)
    assert apium.redis.call("EXISTS", f"apium:{{celery}}:receipt:{job}") == 1


def test_key_of_the_row(apium):
    jobs = [enqueue(apium, "diag.count", {"key": "one"}, key="k-1") for _ in range(5)]
    assert {apium.final(job)["result"] for job in jobs} == {1}
    assert counts(apium) == {"one": 1}
    wait_for(lambda: open_rows(apium) == 0, "the rows to go")


def test_eta_of_the_row(apium):
    job = enqueue(apium, "diag.noop", {}, eta="2100-01-01 00:00:00+00")
    wait_for(lambda: apium.redis.call("ZCARD", "apium:{default}:schedule") == 1, "the schedule")
    assert float(apium.redis.call("ZRANGE", "apium:{default}:schedule", 0, 0, "WITHSCORES")[1]) \
        == 4102444800000
    assert open_rows(apium) == 1 and apium.result(job) is None


def test_wrong_arguments_are_a_dead_letter(apium):
    job = enqueue(apium, "diag.add", {"x": 1})
    document = apium.final(job)
    assert document["status"] == "FAILURE"
    words = "diag.add() missing 1 required argument: 'y'"
    assert document["result"]["exc_message"] == [words]
    record, raw = apium.letters()[-1]
    assert record["id"] == job and record["reason"] == words
    assert json.loads(raw)["headers"]["task"] == "diag.add"
    wait_for(lambda: open_rows(apium) == 0, "the row to go")


def test_a_failing_job_keeps_its_row_until_it_is_dead(apium):
    job = enqueue(apium, "diag.fail", {"times": 99, "retries": 1})
    assert apium.final(job)["status"] == "FAILURE"
    wait_for(lambda: open_rows(apium) == 0, "the row to go")
    assert apium.letters()[-1][0]["id"] == job


def test_redis_is_flushed_while_jobs_wait(apium):
    apium.worker.stop()
    apium.start_worker(APIUM_CONCURRENCY="1")
    jobs = enqueue_counts(apium, 200)
    wait_for(lambda: len(counts(apium)) > 5, "some counts")
    apium.redis.call("FLUSHALL")
    wait_for(lambda: len(counts(apium)) == 200, "all counts", 60)
    wait_for(lambda: open_rows(apium) == 0, "the rows to go", 60)
    assert set(counts(apium).values()) == {1}
    assert len(jobs) == 200
    apium.wait_empty()


def test_redis_is_flushed_while_jobs_run(apium):
    jobs = [enqueue(apium, "diag.sleep", {"seconds": 1.5}) for _ in range(5)]
    wait_for(lambda: sum(len(m) for m in apium.in_flight().values()) == 5, "jobs in flight")
    apium.redis.call("FLUSHALL")
    assert all(apium.final(job, 60)["status"] == "SUCCESS" for job in jobs)
    wait_for(lambda: open_rows(apium) == 0, "the rows to go")
    apium.wait_empty()


def test_redis_is_replaced_by_an_empty_one(apium):
    apium.worker.stop()
    jobs = enqueue_counts(apium, 100)
    apium.start_worker(APIUM_CONCURRENCY="1")
    wait_for(lambda: len(counts(apium)) > 5, "some counts")
    apium.redis.kill()
    for folder in ("appendonlydir",):
        import os
        import shutil
        shutil.rmtree(os.path.join(apium.redis.folder, folder))
    apium.redis.start()
    wait_for(lambda: len(counts(apium)) == 100, "all counts", 60)
    wait_for(lambda: open_rows(apium) == 0, "the rows to go", 60)
    assert set(counts(apium).values()) == {1} and len(jobs) == 100


def test_redis_is_away_when_the_row_is_written(apium):
    apium.redis.kill(signal.SIGTERM)
    jobs = enqueue_counts(apium, 20)
    apium.redis.start()
    assert all(apium.final(job, 60)["status"] == "SUCCESS" for job in jobs)
    assert counts(apium) == {f"k{i}": 1 for i in range(20)}


def test_supervisor_dies_between_the_end_and_the_delete(apium):
    """The receipt tells the next relay that the row may go; nothing runs twice."""
    apium.worker.stop()
    job = enqueue(apium, "diag.count", {"key": "one"})
    apium.redis.call("SET", f"apium:{{default}}:receipt:{job}", "Snull", "EX", 3600)
    apium.start_worker()
    wait_for(lambda: open_rows(apium) == 0, "the row to go")
    assert counts(apium) == {}


def test_killed_again_and_again_with_rows(apium):
    enqueue_counts(apium, 300)
    for round_ in range(3):
        wait_for(lambda: len(counts(apium)) >= 60 * (round_ + 1), "some counts", 60)
        apium.worker.kill()
        apium.start_worker()
    wait_for(lambda: len(counts(apium)) == 300, "all counts", 60)
    wait_for(lambda: open_rows(apium) == 0, "the rows to go", 60)
    assert set(counts(apium).values()) == {1}
    apium.wait_empty()


def test_a_shared_queue_ends_rows_by_their_results():
    """Python took the message: our marker stays until the result is final."""
    with Stack(worker=False, APIUM_SHARED_QUEUES="python") as apium:
        job = enqueue(apium, "theirs.task", {}, queue="python")
        apium.start_worker()
        wait_for(lambda: apium.redis.call("LLEN", "python") == 1, "the push")
        apium.redis.call("DEL", "python")
        apium.redis.call("SET", "celery-task-meta-" + job, json.dumps({"status": "SUCCESS"}))
        wait_for(lambda: open_rows(apium) == 0, "the row to go")
        assert apium.redis.call("HLEN", "apium:{python}:live") == 0
