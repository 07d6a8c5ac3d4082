"""What stays up when Redis or PostgreSQL is away, and that all of it comes back by itself."""

import base64
import json

import pytest

from apium import Stack, free_port
from shop import Shop, unique

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack():
    """Servers of our own: these tests stop them."""
    with Stack() as stack:
        stack.start_gateway()
        yield stack


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


def ready(stack):
    answer = stack.http("GET", "/readyz")
    return answer.status, answer.json["status"], answer.json["checks"]


def test_both_say_that_all_is_well(stack):
    answer = stack.http("GET", "/healthz")
    assert (answer.status, answer.body) == (200, b'{"status": "ok"}')
    answer = stack.http("GET", "/readyz")
    assert (answer.status, answer.body) == (200, b'{"status": "ok", "checks": {"database": "ok", "redis": "ok"}}')
    assert stack.http("POST", "/healthz").status == 405


def waiting(stack, text):
    """The jobs of the outbox that have this in their arguments."""
    return stack.sql("SELECT task FROM job_outbox WHERE position(%s in kwargs::text) > 0", text)


def pushed(stack, text):
    """The messages of the default queue that have this in their body."""
    bodies = [base64.b64decode(json.loads(message)["body"]) for message in stack.redis.lrange("default", 0, -1)]
    return [body for body in bodies if text.encode() in body]


def test_without_redis_jobs_wait_in_the_outbox(stack, shop):
    stack.redis_server.stop()
    stack.wait_for("every loop to notice", lambda: all(
        ready(stack) == (200, "degraded", {"database": "ok", "redis": "unavailable"}) for _ in range(10)))
    email = f"{unique('late')}@example.com"
    answer = shop.register(email=email)
    assert answer.status == 201, answer
    assert waiting(stack, email) == [("email.send",)]
    ann = shop.log_in(email)
    assert stack.http("GET", "/api/v1/users/me/", token=ann.access).status == 200
    shop.product(ann)

    stack.redis_server.start()
    stack.wait_for("Redis to be found again", lambda: all(ready(stack)[1] == "ok" for _ in range(10)), 20)
    stack.wait_for("the relay to push what waited",
                   lambda: pushed(stack, email), 40)
    assert len(pushed(stack, email)) == 1


@pytest.mark.slow
def test_without_postgres_nothing_is_served_but_health(stack, shop):
    ann = shop.user("ann")
    stack.postgres.stop()
    answer = stack.http("GET", "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "unavailable", "checks": {"database": "unavailable", "redis": "ok"}})
    assert stack.http("GET", "/healthz").status == 200
    for method, path, body in (("GET", "/api/v1/products/", None), ("POST", "/api/v1/products/", {"name": "x", "price": "1"}),
                               ("POST", "/api/v1/auth/login/", {"email": "a@example.com", "password": "x"})):
        answer = stack.http(method, path, body, ann.access)
        assert answer.status == 503 and list(answer.json) == ["detail"], answer
        assert "postgres" not in answer.body.decode().lower()

    stack.postgres.start()
    stack.wait_for("PostgreSQL to be found again", lambda: all(ready(stack)[0] == 200 for _ in range(10)), 20)
    for _ in range(10):  # on every loop and connection
        assert stack.http("GET", "/api/v1/products/", token=ann.access).status == 200
        shop.product(ann)


@pytest.mark.slow
def test_a_postgres_that_loses_its_connections_is_hardly_noticed(stack, shop):
    ann = shop.user("ann")
    for _ in range(5):
        stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'apium-gateway'")
        stack.wait_for("an answer", lambda: stack.http("GET", "/api/v1/products/", token=ann.access).status == 200, 5)
    shop.product(ann)


@pytest.mark.slow
def test_a_gateway_starts_before_its_servers(stack):
    stack.redis_server.stop()
    stack.postgres.stop()
    port = free_port()
    gateway = stack.start("apium-gateway", APIUM_LISTEN=f"127.0.0.1:{port}")
    before, stack.port = stack.port, port

    def health():
        try:
            return stack.http("GET", "/healthz").status == 200
        except OSError:
            return False

    stack.wait_for("the gateway", health)
    assert ready(stack) == (503, "unavailable", {"database": "unavailable", "redis": "unavailable"})
    stack.postgres.start()
    stack.redis_server.start()
    stack.wait_for("both to be found", lambda: ready(stack)[:2] == (200, "ok"), 20)
    assert gateway.stop() == 0
    stack.port = before
