"""Processes and servers die in the middle of work; every job ends, and counts once."""

import datetime
import os
import signal
import struct
import subprocess
import time

import pytest

from jobs_stack import Stack, wait_for
from proxy import Proxy

JOBS = 100


@pytest.fixture
def apium():
    with Stack(worker=True) as stack:
        stack.final(stack.push("diag.noop"))  # a host is ready
        yield stack


def counts(apium):
    return {key: int(count) for key, count in apium.postgres.sql(
        "SELECT key, count FROM diag_counter")}


def push_counts(apium, n=JOBS, **headers):
    return apium.push_many("diag.count", n, lambda i: {"key": f"k{i}"}, **headers)


def assert_counted(apium, n=JOBS):
    assert counts(apium) == {f"k{i}": 1 for i in range(n)}


def sleepers(apium, n=20, seconds=0.4):
    return apium.push_many("diag.sleep", n, lambda i: {"seconds": seconds})


def succeeded(apium, jobs):
    return all(apium.final(job)["status"] == "SUCCESS" for job in jobs)


def test_shared_host_is_killed(apium):
    jobs = sleepers(apium) + push_counts(apium)
    wait_for(lambda: len(counts(apium)) > 10, "some counts")
    os.kill(apium.hosts()[0], signal.SIGKILL)
    assert succeeded(apium, jobs)
    assert_counted(apium)
    assert apium.letters() == []
    apium.wait_empty()


def test_jobs_of_a_killed_host_are_back_at_once(apium):
    jobs = sleepers(apium, 5, 0.3)
    wait_for(lambda: sum(len(m) for m in apium.in_flight().values()) == 5, "jobs in flight")
    start = time.monotonic()
    os.kill(apium.hosts()[0], signal.SIGKILL)
    assert succeeded(apium, jobs)
    # Two alone hosts run the five suspects: about a second of sleeping.
    assert time.monotonic() - start < 4


def test_alone_host_is_killed(apium):
    burns = apium.push_many("diag.burn", 4, lambda i: {"seconds": 0.5})
    jobs = push_counts(apium)
    victim = wait_for(lambda: apium.hosts(alone=True), "an alone host")[0]
    wait_for(lambda: len(counts(apium)) > 10, "some counts")
    os.kill(victim, signal.SIGKILL)
    assert succeeded(apium, burns + jobs)
    assert_counted(apium)
    assert apium.letters() == []


def test_supervisor_is_killed_and_started_again(apium):
    jobs = sleepers(apium) + push_counts(apium)
    wait_for(lambda: len(counts(apium)) > 10, "some counts")
    hosts = apium.worker.children()
    apium.worker.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in hosts), "the hosts to end")
    start = time.monotonic()
    apium.start_worker()
    assert succeeded(apium, jobs)
    assert time.monotonic() - start < 10  # not the 15 s of a lost machine: it is known to be gone
    assert_counted(apium)
    apium.wait_empty()


def test_supervisor_is_killed_beside_another(apium):
    other = apium.start_worker()
    jobs = sleepers(apium) + push_counts(apium)
    wait_for(lambda: len(counts(apium)) > 10, "some counts")
    apium.workers[0].kill()
    killed = time.monotonic()
    token = lambda: [t for t in apium.in_flight() if f".{apium.workers[0].pid}." in t]
    wait_for(lambda: not token(), "the dead worker's lists to be taken")
    assert time.monotonic() - killed < 2.5
    assert succeeded(apium, jobs)
    assert_counted(apium)
    assert other.is_running()


def test_everything_is_killed_again_and_again(apium):
    jobs = push_counts(apium, 400)
    for round_ in range(4):
        goal = 80 * (round_ + 1)
        wait_for(lambda: len(counts(apium)) >= goal, "some counts")
        apium.worker.kill()
        apium.start_worker()
    assert succeeded(apium, jobs)
    assert_counted(apium, 400)


def test_redis_is_killed_under_load(apium):
    jobs = sleepers(apium) + push_counts(apium, 300)
    wait_for(lambda: len(counts(apium)) > 20, "some counts")
    time.sleep(0)  # nothing to wait for: anywhere is fine
    apium.redis.restart()
    assert succeeded(apium, [job for job in jobs if apium.result(job)])
    wait_for(lambda: len(counts(apium)) == 300, "all counts")
    apium.wait_empty()
    assert_counted(apium, 300)
    assert apium.worker.is_running()


def test_redis_is_stopped_and_started_again_and_again(apium):
    jobs = push_counts(apium, 300)
    for _ in range(3):
        apium.redis.restart(signal.SIGTERM)
    assert succeeded(apium, jobs)
    apium.wait_empty()
    assert_counted(apium, 300)


def test_postgres_is_restarted(apium):
    jobs = push_counts(apium, 300)
    wait_for(lambda: len(counts(apium)) > 20, "some counts")
    apium.postgres.restart()
    assert succeeded(apium, jobs)
    assert_counted(apium, 300)


def test_postgres_is_killed(apium):
    jobs = push_counts(apium, 200)
    wait_for(lambda: len(counts(apium)) > 20, "some counts")
    apium.postgres.restart(signal.SIGQUIT)  # as a crash: recovery from the log
    assert succeeded(apium, jobs)
    assert_counted(apium, 200)


def test_scripts_are_flushed_under_load(apium):
    jobs = push_counts(apium, 200)
    wait_for(lambda: len(counts(apium)) > 10, "some counts")
    apium.redis.call("SCRIPT", "FLUSH")
    assert succeeded(apium, jobs)
    assert_counted(apium, 200)
    apium.wait_empty()


def test_connections_are_cut_under_load(apium):
    jobs = push_counts(apium, 300)
    for _ in range(5):
        apium.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        done = len(counts(apium))
        wait_for(lambda: len(counts(apium)) > min(done + 5, 299), "some progress")
    assert succeeded(apium, jobs)
    assert_counted(apium, 300)
    apium.wait_empty()


def test_replies_that_are_lost(apium):
    """Redis has moved jobs into the in-flight list, or acknowledged them, and nobody was told."""
    proxy = Proxy(apium.redis.port)
    worker = apium.start_worker(REDIS_URL=proxy.url, APIUM_QUEUES="proxied")
    try:
        apium.final(apium.push("diag.noop", queue="proxied"))
        proxy.loses_replies = True
        taken = apium.push_many("diag.count", 3, lambda i: {"key": f"k{i}"}, queue="proxied")
        wait_for(lambda: apium.in_flight("proxied") and not apium.waiting("proxied"), "them to be taken")
        assert counts(apium) == {}
        proxy.cut()
        assert succeeded(apium, taken)
        assert_counted(apium, 3)
        running = apium.push_many("diag.sleep", 3, lambda i: {"seconds": 0.5}, queue="proxied")
        wait_for(lambda: sum(len(m) for m in apium.in_flight("proxied").values()) == 3, "them to run")
        proxy.loses_replies = True
        assert succeeded(apium, running)  # their ends were heard by Redis
        proxy.cut()
        apium.wait_empty("proxied")
        assert apium.letters("proxied") == []
    finally:
        worker.stop()
        proxy.close()


@pytest.fixture
def clock(tmp_path):
    """(settings of a worker, a function that moves its clock to so many seconds from the right time)"""
    library, shift = tmp_path / "clock_shift.so", tmp_path / "shift"
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support", "clock_shift.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    shift.write_bytes(struct.pack("q", 0))

    def move(seconds):
        with open(shift, "r+b") as file:
            file.write(struct.pack("q", seconds))
    yield {"LD_PRELOAD": library, "CLOCK_SHIFT": shift,
           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}, move


def test_the_clock_jumps(apium, clock):
    """Nothing is lost, nothing done twice, no lease ends: they count beats, and what waits for its time asks Redis for it."""
    settings, move = clock
    jumping = apium.start_worker(APIUM_QUEUES="jumps", **settings)
    other = apium.start_worker(APIUM_QUEUES="jumps")
    for jump in (3600, -86400, 86400 * 400, 0):
        running = apium.push_many("diag.sleep", 6, lambda i: {"seconds": 0.5}, queue="jumps")
        quick = apium.push_many("diag.count", 20, lambda i: {"key": f"{jump}.{i}"}, queue="jumps")
        eta = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)).isoformat()
        later = apium.push_many("diag.count", 5, lambda i: {"key": f"{jump}.later.{i}"}, queue="jumps", eta=eta)
        wait_for(lambda: apium.in_flight("jumps"), "them to be taken")
        move(jump)
        assert succeeded(apium, running + quick + later)
        apium.wait_empty("jumps")
        days = {apium.result(job)["date_done"][:10] for job in running + quick + later}
        assert len(days) > 1 or abs(jump) < 86400, "both workers have the same time"
    counted = counts(apium)
    assert len(counted) == 4 * 25 and set(counted.values()) == {1}
    assert apium.letters("jumps") == [] and len(apium.redis.call("HKEYS", "apium:{jumps}:workers")) >= 2
    assert jumping.stop() == 0 and other.stop() == 0


def test_same_key_counts_once(apium):
    jobs = [apium.push("diag.count", (), {"key": "one"}, apium_key="order-17") for _ in range(20)]
    assert succeeded(apium, jobs)
    assert counts(apium) == {"one": 1}
    assert {apium.result(job)["result"] for job in jobs} == {1}


def test_same_message_twice_counts_once(apium):
    jobs = [apium.push("diag.count", (), {"key": "one"}, job="the-same") for _ in range(20)]
    assert succeeded(apium, jobs)
    apium.wait_empty()
    assert counts(apium) == {"one": 1}


def test_a_lost_machine_is_swept(apium):
    """SIGSTOP of the whole group: nobody can say that it is gone."""
    jobs = apium.push_many("diag.sleep", 10, lambda i: {"seconds": 1.0}) + push_counts(apium, 50)
    wait_for(lambda: len(apium.in_flight()) > 0, "jobs in flight")
    stopped = apium.worker
    os.killpg(stopped.pid, signal.SIGSTOP)
    start = time.monotonic()
    apium.start_worker()
    assert all(apium.final(job, 40)["status"] == "SUCCESS" for job in jobs)
    assert 14 < time.monotonic() - start < 25
    # It comes back: its acknowledgements are refused, and it works on under a new lease.
    os.killpg(stopped.pid, signal.SIGCONT)
    wait_for(lambda: "its lease was taken away" in stopped.log, "the refusal")
    more = [apium.push("diag.noop") for _ in range(20)]
    assert succeeded(apium, more)
    apium.wait_empty()
    assert_counted(apium, 50)


def test_redis_away_makes_nobody_dead(apium):
    other = apium.start_worker()
    jobs = apium.push_many("diag.sleep", 4, lambda i: {"seconds": 1.0})
    wait_for(lambda: sum(len(m) for m in apium.in_flight().values()) == 4, "jobs in flight")
    apium.redis.process.send_signal(signal.SIGSTOP)
    # Longer than a gap that the sweep forgives, shorter than a test may take.
    deadline = time.monotonic() + 7
    wait_for(lambda: time.monotonic() > deadline, "a while", 20)
    apium.redis.process.send_signal(signal.SIGCONT)
    assert succeeded(apium, jobs)
    assert "gave back" not in other.log and "gave back" not in apium.workers[0].log
    apium.wait_empty()


def test_redis_is_full():
    """Producers filled the memory: what takes jobs out must go on."""
    from jobs_stack import RedisError, envelope
    with Stack(worker=False) as apium:
        used = int(dict(line.split(":", 1) for line in apium.redis.call("INFO", "memory").decode()
                        .splitlines() if ":" in line)["used_memory"])
        apium.redis.call("CONFIG", "SET", "maxmemory", used + 3_000_000)
        jobs = []
        with pytest.raises(RedisError, match="OOM"):
            while True:
                job, message = envelope("diag.sleep", (0.01,))
                apium.redis.call("LPUSH", "default", message)
                jobs.append(job)
        assert len(jobs) > 500
        apium.start_worker()
        wait_for(lambda: apium.waiting() == 0, "the queue to drain")
        apium.wait_empty()
        assert succeeded(apium, jobs)
        assert apium.worker.log.count("resyncing") < 10
        apium.redis.call("CONFIG", "SET", "maxmemory", 0)
        assert apium.final(apium.push("diag.add", (1, 2)))["result"] == 3
