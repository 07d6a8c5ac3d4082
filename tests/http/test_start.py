"""Starting with settings that are wrong, and ending: SIGTERM lets what runs finish."""

import signal
import socket
import subprocess
import threading

import psycopg
import pytest

from apium import BUILD, PATIENCE, Stack, free_port
from shop import Shop

pytestmark = pytest.mark.slow


def start(**environment):
    """(exit status, what it said) of a gateway that must not come up."""
    done = subprocess.run([BUILD / "apium-gateway"], env={"PATH": "/usr/bin", "APIUM_ENV": "test", **environment},
                          capture_output=True, text=True, timeout=20 * PATIENCE)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("environment, words", [
    ({"APIUM_THREDS": "2"}, ["APIUM_THREDS", "did you mean APIUM_THREADS?"]),
    ({"APIUM_THREADS": "many"}, ["APIUM_THREADS", "many"]),
    ({"APIUM_THREADS": "65"}, ["APIUM_THREADS", "64"]),
    ({"APIUM_ENV": "staging"}, ["APIUM_ENV", "production", "development", "test"]),
    ({"APIUM_MAX_BODY": "12 potatoes"}, ["APIUM_MAX_BODY"]),
    ({"APIUM_ENV": "production"}, ["APIUM_SECRET_KEY"]),
    ({"APIUM_LISTEN": "nowhere"}, ["APIUM_LISTEN=nowhere"]),
    ({"APIUM_LISTEN": ""}, ["APIUM_LISTEN"]),
    ({"APIUM_HTTP2": "on"}, ["APIUM_HTTP2", "APIUM_TLS_CERT", "contradict"]),
    ({"DATABASE_URL": "mysql://x"}, ["DATABASE_URL"]),
    ({"REDIS_URL": "http://x"}, ["REDIS_URL"]),
], ids=lambda value: "=".join(*value.items()) if isinstance(value, dict) else "")
def test_a_bad_setting_names_itself(environment, words):
    status, said = start(**{"APIUM_LISTEN": f"127.0.0.1:{free_port()}", **environment})
    assert status == 1, said
    assert all(word in said for word in words), said
    errors = [line for line in said.splitlines() if " error " in line]
    assert len(errors) == 1, said


def test_a_secret_setting_is_not_shown():
    secret = "only-for-me-0123456789-0123456789"
    status, said = start(APIUM_SECRET_KEY=secret, APIUM_NOTHING="1", DATABASE_URL=f"postgresql://u:{secret}@localhost/x")
    assert status == 1 and secret not in said, said


def test_an_address_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, said = start(APIUM_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
    assert status == 1 and "Address already in use" in said or "address already in use" in said, said


def test_it_takes_no_words():
    done = subprocess.run([BUILD / "apium-gateway", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "settings" in done.stderr
    done = subprocess.run([BUILD / "apium-gateway", "--version"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout.startswith("apium-gateway 0.")


@pytest.fixture(scope="module")
def stack():
    """Servers; each test starts a gateway of its own."""
    with Stack() as stack:
        yield stack


class Slow:
    """A change of a product that waits for a row which we hold."""

    def __init__(self, stack, shop):
        self.ann = shop.user("ann")
        self.product = shop.product(self.ann)
        self.stack = stack
        self.lock = psycopg.connect(stack.postgres.url)
        self.lock.execute("SELECT 1 FROM products WHERE id = %s FOR UPDATE", [self.product["id"]])
        self.answer = None
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        stack.wait_for("the change to wait for the row", lambda: stack.sql(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'apium-gateway'"))

    def ask(self):
        try:
            self.answer = self.stack.http("PATCH", f"/api/v1/products/{self.product['id']}/", {"stock": 5}, self.ann.access)
        except OSError as error:
            self.answer = error

    def let_go(self):
        self.lock.rollback()
        self.lock.close()
        self.thread.join(30)
        return self.answer


def is_closed(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0


def test_sigterm_lets_a_request_finish(stack):
    gateway = stack.start_gateway()
    slow = Slow(stack, Shop(stack))
    gateway.kill(signal.SIGTERM)
    stack.wait_for("the door to close", lambda: is_closed(stack.port))
    assert gateway.is_running() and slow.answer is None
    answer = slow.let_go()
    assert (answer.status, answer.json["stock"]) == (200, 5)
    assert gateway.wait() == 0
    assert "drained" in gateway.log
    assert stack.sql("SELECT stock FROM products WHERE id = %s", slow.product["id"]) == [(5,)]


def test_what_is_not_done_within_the_grace_time_is_given_up(stack):
    gateway = stack.start_gateway(APIUM_GRACE="1")
    slow = Slow(stack, Shop(stack))
    gateway.kill(signal.SIGTERM)
    assert gateway.wait(15) == 0, gateway.log
    answer = slow.let_go()
    assert isinstance(answer, OSError) or answer.status == 503, answer
    assert stack.sql("SELECT stock FROM products WHERE id = %s", slow.product["id"]) == [(0,)]


def test_a_second_signal_ends_it_at_once(stack):
    gateway = stack.start_gateway(APIUM_GRACE="60")
    slow = Slow(stack, Shop(stack))
    gateway.kill(signal.SIGTERM)
    stack.wait_for("the door to close", lambda: is_closed(stack.port))
    gateway.kill(signal.SIGTERM)
    assert gateway.wait(10) == 128 + signal.SIGTERM
    slow.let_go()


def test_an_idle_connection_does_not_hold_it_up(stack):
    gateway = stack.start_gateway(APIUM_GRACE="30")
    with socket.create_connection(("127.0.0.1", stack.port)) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in idle.recv(4096)
        gateway.kill(signal.SIGTERM)
        assert gateway.wait(10) == 0
        assert idle.recv(4096) == b""


def health(**environment):
    done = subprocess.run([BUILD / "apium-gateway", "health"], env={"PATH": "/usr/bin", "APIUM_ENV": "test", **environment},
                          capture_output=True, text=True, timeout=20 * PATIENCE)
    return done.returncode, done.stdout.strip()


def test_its_health_is_whether_it_answers():
    with Stack() as stack:
        gateway = stack.start_gateway(APIUM_ALLOWED_HOSTS="127.0.0.1")
        address = f"127.0.0.1:{stack.port}"
        assert health(APIUM_LISTEN=address) == (0, "healthy")
        assert health(APIUM_LISTEN=f"0.0.0.0:{stack.port},127.0.0.1:1") == (0, "healthy")  # 400: a host that it does not serve
        gateway.stop()
        status, said = health(APIUM_LISTEN=address)
        assert status == 1 and said.startswith(f"unhealthy: {address}: "), said
