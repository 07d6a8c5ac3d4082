"""The end of a worker, asked for."""

import os
import signal
import time

from jobs_stack import Stack, wait_for


def in_flight(apium):
    return sum(len(m) for m in apium.in_flight().values())


def test_what_runs_may_end(tmp_path):
    with Stack(worker=True) as apium:
        jobs = apium.push_many("diag.sleep", 20, lambda i: {"seconds": 1})
        wait_for(lambda: in_flight(apium) == 20, "jobs in flight")
        assert apium.worker.stop() == 0
        assert all(apium.result(job)["status"] == "SUCCESS" for job in jobs)
        assert apium.is_empty()
        assert apium.redis.call("HLEN", "apium:{default}:workers") == 0


def test_what_is_not_begun_goes_back():
    with Stack(worker=False, APIUM_CONCURRENCY="2") as apium:
        jobs = apium.push_many("diag.sleep", 50, lambda i: {"seconds": 0.5})
        apium.start_worker()
        wait_for(lambda: in_flight(apium) >= 2, "jobs in flight")
        start = time.monotonic()
        assert apium.worker.stop() == 0
        assert time.monotonic() - start < 5
        done = [job for job in jobs if apium.result(job)]
        assert 2 <= len(done) < 20
        assert apium.waiting() == 50 - len(done) and in_flight(apium) == 0
        apium.start_worker(APIUM_CONCURRENCY="50")
        assert all(apium.final(job)["status"] == "SUCCESS" for job in jobs)


def test_grace_is_bounded_and_the_rest_goes_back_as_it_was():
    with Stack(worker=True, APIUM_GRACE="1") as apium:
        jobs = apium.push_many("diag.sleep", 3, lambda i: {"seconds": 60})
        burn = apium.push("diag.burn", (60,))
        before = wait_for(lambda: in_flight(apium) == 4 and sorted(
            m for messages in apium.in_flight().values() for m in messages), "jobs in flight")
        wait_for(lambda: apium.hosts(alone=True), "the alone host")
        start = time.monotonic()
        assert apium.worker.stop() == 0
        assert 0.9 < time.monotonic() - start < 6
        assert sorted(apium.redis.call("LRANGE", "default", 0, -1)) == before
        assert apium.redis.call("EXISTS", "apium:{default}:crash") == 0
        assert not apium.result(jobs[0]) and not apium.result(burn)


def test_a_second_signal_does_not_wait():
    with Stack(worker=True, APIUM_GRACE="60") as apium:
        apium.push_many("diag.sleep", 3, lambda i: {"seconds": 60})
        wait_for(lambda: in_flight(apium) == 3, "jobs in flight")
        apium.worker.process.terminate()
        wait_for(lambda: "draining" in apium.worker.log, "the drain to begin")
        start = time.monotonic()
        apium.worker.process.send_signal(signal.SIGINT)
        assert apium.worker.wait() == 0
        assert time.monotonic() - start < 5
        assert apium.waiting() == 3


def test_signals_to_the_group_leave_the_hosts_alone():
    """Ctrl-C in a terminal goes to everybody."""
    with Stack(worker=True) as apium:
        jobs = apium.push_many("diag.sleep", 5, lambda i: {"seconds": 0.7})
        wait_for(lambda: in_flight(apium) == 5, "jobs in flight")
        os.killpg(apium.worker.pid, signal.SIGINT)
        assert apium.worker.wait() == 0
        assert all(apium.result(job)["status"] == "SUCCESS" for job in jobs)


def test_without_redis_it_ends_too():
    with Stack(worker=True, postgres=False, DATABASE_URL="host=/nowhere") as apium:
        apium.final(apium.push("diag.noop"))
        apium.redis.kill()
        start = time.monotonic()
        assert apium.worker.stop() == 0
        assert time.monotonic() - start < 15


def test_health_is_the_last_answer(tmp_path):
    path = str(tmp_path / "health")
    with Stack(worker=True, postgres=False, DATABASE_URL="host=/nowhere",
               APIUM_HEALTH_FILE=path) as apium:
        def health():
            return apium.start_program("apium-worker", ["health"], APIUM_HEALTH_FILE=path).wait()
        wait_for(lambda: health() == 0, "health")
        apium.worker.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: health() == 1, "the loss of health")
        apium.worker.process.send_signal(signal.SIGCONT)
        wait_for(lambda: health() == 0, "health again")
