"""Redis stopped, then gone, for seconds under load: what was accepted is done, nothing fails, and all of it comes back."""

import os
import re
import signal
import threading
import time

import pytest

from apium import PATIENCE, Stack
from shop import PASSWORD, Shop, unique

pytestmark = pytest.mark.slow
AWAY = int(os.environ.get("APIUM_TEST_AWAY", "5"))  # seconds; a minute shows no more, but shows it for a minute
CLIENTS = 3


@pytest.fixture(scope="module")
def stack():
    """Everything that asks Redis is on; only the log-in's rate can be reached."""
    with Stack(APIUM_CACHE="on", APIUM_THROTTLE="on", APIUM_THROTTLE_ANON="1000000/min", APIUM_THROTTLE_USER="1000000/min",
               APIUM_THROTTLE_LOGIN="5/min", APIUM_NUM_PROXIES="1") as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


class Client(threading.Thread):
    """Registers users, each with a mail to be sent, and reads, one request after another until told to end."""

    def __init__(self, stack, token):
        super().__init__()
        self.stack, self.token = stack, token
        self.accepted, self.statuses, self.slowest = [], [], 0.0
        self.is_over = threading.Event()

    def ask(self, *arguments, **options):
        start = time.monotonic()
        answer = self.stack.http(*arguments, **options)
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.statuses.append(answer.status)
        return answer

    def run(self):
        while not self.is_over.is_set():
            email = f"{unique('away')}@example.com"
            answer = self.ask("POST", "/api/v1/users/", {"email": email, "password": PASSWORD, "password_confirm": PASSWORD})
            if answer.status == 201:
                self.accepted.append(email)
            for _ in range(5):
                self.ask("GET", "/api/v1/products/", token=self.token)


@pytest.fixture
def load(stack):
    user = Shop(stack).user("reader")
    clients = [Client(stack, user.access) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    yield clients
    for client in clients:
        client.is_over.set()
        client.join()


def ready(stack):
    answer = stack.http("GET", "/readyz")
    return answer.status, answer.json["status"]


def log_in(stack, address):
    return stack.http("POST", "/api/v1/auth/login/", {"email": "x@example.com", "password": "x"},
                      headers={"X-Forwarded-For": address}).status


def accepted(clients):
    return sum(len(client.accepted) for client in clients)


def mails(stack):
    """How often each address got its mail."""
    found = {}
    for path in stack.mail.glob("*.eml"):
        for address in re.findall(r"^To: .*?(\S+@example\.com)", path.read_text(errors="replace"), re.MULTILINE):
            found[address] = found.get(address, 0) + 1
    return found


def hold_on_without_redis(stack, clients, address):
    """While Redis is away: says so, still accepts, and still counts log-ins."""
    stack.wait_for("/readyz to say so", lambda: ready(stack) == (200, "degraded"))
    before, end = accepted(clients), time.monotonic() + AWAY
    statuses = [log_in(stack, address) for _ in range(12)]
    assert 429 in statuses and set(statuses) <= {400, 429}, statuses
    assert statuses.count(400) <= 5, "one table serves all loops"
    while time.monotonic() < end:
        assert ready(stack) == (200, "degraded")
        time.sleep(0.2)
    assert accepted(clients) > before + CLIENTS


def come_back(stack):
    stack.wait_for("/readyz to say that all is well", lambda: all(ready(stack) == (200, "ok") for _ in range(10)), 30)


def test_under_load(stack, load):
    stack.wait_for("the first to be accepted", lambda: accepted(load) > CLIENTS)
    stack.redis_server.process.send_signal(signal.SIGSTOP)
    try:
        hold_on_without_redis(stack, load, "10.1.0.1")
    finally:
        stack.redis_server.process.send_signal(signal.SIGCONT)
    come_back(stack)

    stack.redis_server.stop()
    try:
        hold_on_without_redis(stack, load, "10.1.0.2")
    finally:
        stack.redis_server.start()
    come_back(stack)

    for client in load:
        client.is_over.set()
        client.join()
        assert set(client.statuses) <= {200, 201}, client.statuses
        assert client.slowest < 5 * PATIENCE, client.slowest
    wanted = {email for client in load for email in client.accepted}
    stack.wait_for("every mail that was accepted", lambda: wanted <= set(mails(stack)), 60)
    stack.wait_for("the outbox to empty", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)], 60)


def test_the_caches_and_the_throttles_are_back(stack):
    user = Shop(stack).user("back")
    for _ in range(3):
        assert stack.http("GET", "/api/v1/products/", token=user.access).status == 200
    assert stack.redis.keys(f"api:product-list:{user.id}:*")
    for _ in range(7):
        log_in(stack, "10.1.0.3")
    assert stack.redis.llen("throttle:{ip:10.1.0.3}:login") == 5
