"""The lock of common/coord against redis-py's Lock on the other side: each keeps the other out."""

import subprocess

import pytest
import redis.exceptions

from apium import BUILD, wait_for

pytestmark = pytest.mark.slow

HOLDER = BUILD / "tests/unit/coord/lock-holder"


class Holder:
    def __init__(self, stack, name, wait=0):
        self.process = subprocess.Popen([HOLDER, stack.redis_server.url, name, str(wait * 1000)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def says(self):
        return self.process.stdout.readline().strip()

    def release(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


@pytest.fixture
def client(stack):
    return stack.redis


def python_lock(client, name, **options):
    return client.lock(f"lock:{name}", timeout=10, **options)


def test_ours_keeps_theirs_out(stack, client):
    holder = Holder(stack, "a")
    assert holder.says().startswith("held ")
    theirs = python_lock(client, "a")
    # Longer than the lock's own second: it is renewed.
    assert not theirs.acquire(blocking_timeout=2.5)
    holder.release()
    assert theirs.acquire(blocking_timeout=10)
    theirs.release()


def test_theirs_keeps_ours_out(stack, client):
    theirs = python_lock(client, "b")
    assert theirs.acquire()
    holder = Holder(stack, "b")
    assert holder.says() == "refused: Could not acquire lock for b"
    holder.release()
    waiting = Holder(stack, "b", wait=20)
    theirs.release()
    assert waiting.says().startswith("held ")
    with pytest.raises(redis.exceptions.LockError):
        theirs.release()
    assert client.exists("lock:b"), "theirs has deleted ours"
    waiting.release()
    wait_for("the release", lambda: not client.exists("lock:b"))


def test_each_holder_has_a_greater_number(stack):
    fences = []
    for _ in range(3):
        holder = Holder(stack, "c", wait=10)
        fences.append(int(holder.says().removeprefix("held ")))
        holder.release()
    assert fences == sorted(set(fences))


def test_a_holder_that_dies_is_followed_when_its_time_is_over(stack):
    dead = Holder(stack, "d")
    assert dead.says().startswith("held ")
    dead.process.kill()
    dead.process.wait()
    next_one = Holder(stack, "d", wait=20)
    assert next_one.says().startswith("held ")
    next_one.release()
