"""Tasks that kill their process, hold it, or take too long."""

import time

import pytest

from jobs_stack import Stack, wait_for


@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True) as stack:
        stack.final(stack.push("diag.noop"))
        yield stack


def letter(apium, job):
    found = [record for record, _ in apium.letters() if record["id"] == job]
    assert len(found) == 1
    return found[0]


def test_a_crash_is_survived(apium):
    assert apium.final(apium.push("diag.crash", (2,)))["result"] == 3


def test_three_crashes_are_the_end_and_neighbours_are_done(apium):
    neighbours = apium.push_many("diag.sleep", 30, lambda i: {"seconds": 0.3})
    bad = apium.push("diag.crash", (9,))
    more = apium.push_many("diag.sleep", 30, lambda i: {"seconds": 0.3})
    document = apium.final(bad)
    assert document["status"] == "FAILURE"
    assert document["result"] == {"exc_type": "WorkerLostError",
                                  "exc_message": ["killed its worker 3 times: SIGSEGV"],
                                  "exc_module": "billiard.exceptions"}
    assert letter(apium, bad)["reason"] == "killed its worker 3 times: SIGSEGV"
    for job in neighbours + more:
        assert apium.final(job)["status"] == "SUCCESS"
    assert [record["id"] for record, _ in apium.letters()].count(bad) == 1
    apium.wait_empty()
    # Nothing of them is left in the books.
    assert apium.redis.call("HLEN", "apium:{default}:crash") == 0


def test_two_bad_ones_at_once(apium):
    bad = [apium.push("diag.crash", (9,)) for _ in range(2)]
    good = apium.push_many("diag.sleep", 10, lambda i: {"seconds": 0.2})
    assert [apium.final(job)["status"] for job in bad] == ["FAILURE"] * 2
    assert all(apium.final(job)["status"] == "SUCCESS" for job in good)


def test_crashes_use_up_no_retries(apium):
    job = apium.push("diag.crash", (2,), retries=3)
    document = apium.final(job)
    assert document["status"] == "FAILURE" or document["result"] == 4
    # Three retries and no crash before: attempt 4, which is beyond the two that kill.
    assert document["result"] == 4


def test_a_short_spin_is_suffered(apium):
    """The supervisor goes on and no lease is lost while a host computes."""
    host = apium.hosts()[0]
    lease = {t: int(n) for t, n in leases(apium).items()}
    spin = apium.push("diag.spin", (1.5,))
    wait_for(lambda: apium.in_flight(), "the job in flight")
    burn = apium.push("diag.burn", (0.1,))
    start = time.monotonic()
    assert apium.final(burn)["status"] == "SUCCESS"
    assert time.monotonic() - start < 1.4
    assert apium.final(spin)["status"] == "SUCCESS"
    assert apium.hosts()[0] == host
    after = leases(apium)
    assert set(after) == set(lease)


def leases(apium):
    flat = apium.redis.call("HGETALL", "apium:{default}:workers")
    return dict(zip(flat[::2], flat[1::2]))


def test_a_long_spin_is_killed_and_its_neighbours_are_not_blamed(apium):
    before = set(leases(apium))
    neighbours = apium.push_many("diag.sleep", 5, lambda i: {"seconds": 4})
    wait_for(lambda: sum(len(m) for m in apium.in_flight().values()) >= 5, "neighbours in flight")
    spin = apium.push("diag.spin", (60,))
    document = apium.final(spin, 40)
    assert document["result"]["exc_message"] == [
        "killed its worker 3 times: SIGKILL, no yield for 2 s"]
    assert all(apium.final(job)["status"] == "SUCCESS" for job in neighbours)
    assert set(leases(apium)) == before


def test_hard_limit_of_a_waiting_job(apium):
    job = apium.push("diag.sleep", (60,), timelimit=[0.3, None], retries=3)
    document = apium.final(job)
    assert document["status"] == "FAILURE"
    assert document["result"]["exc_type"] == "TimeLimitExceeded"


def test_soft_limit_of_a_waiting_job(apium):
    job = apium.push("diag.sleep", (60,), timelimit=[None, 0.3], retries=3)
    document = apium.final(job)
    assert document["result"]["exc_type"] == "SoftTimeLimitExceeded"


def test_limits_are_tried_again_like_other_failures(apium):
    job = apium.push("diag.sleep", (60,), timelimit=[0.1, None], retries=2)
    assert apium.final(job)["result"]["exc_type"] == "TimeLimitExceeded"
    assert letter(apium, job)["attempts"] == 4


def test_hard_limit_of_a_burning_job(apium):
    """It does not yield: its process is killed, and that is not a crash of the job's."""
    job = apium.push("diag.burn", (60,), timelimit=[0.5, None], retries=3)
    start = time.monotonic()
    document = apium.final(job)
    assert time.monotonic() - start < 5
    assert document["result"]["exc_type"] == "TimeLimitExceeded"
    assert document["result"]["exc_message"] == ["The hard time limit of 0.5 s was exceeded."]
    assert apium.final(apium.push("diag.burn", (0.01,)))["status"] == "SUCCESS"


def test_a_setting_limits_what_has_no_limit_of_its_own():
    with Stack(worker=True, postgres=False, DATABASE_URL="host=/nowhere",
               APIUM_TIME_LIMIT="0.2") as apium:
        job = apium.push("diag.sleep", (60,), retries=3)
        assert apium.final(job)["result"]["exc_type"] == "TimeLimitExceeded"
        job = apium.push("diag.sleep", (0.5,), timelimit=[5, None])
        assert apium.final(job)["status"] == "SUCCESS"
