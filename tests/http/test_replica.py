"""Reads from a standby (DATABASE_REPLICA_URL): whoever has just written never sees less than that."""

import pytest

from apium import Stack, Standby
from doors import Doors
from shop import PASSWORD, Shop, unique

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack():
    with Stack() as stack:
        stack.standby = Standby(stack.postgres, stack.folder)
        try:
            stack.start_gateway(DATABASE_REPLICA_URL=stack.standby.url, APIUM_METRICS_LISTEN="127.0.0.1:0", APIUM_THREADS="1",
                                APIUM_NUM_PROXIES="1")
            yield stack
        finally:
            stack.standby.stop("immediate")


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


@pytest.fixture(scope="module")
def writer(shop):
    return shop.staff()


@pytest.fixture(scope="module")
def bob(shop):
    return shop.user("bob")


@pytest.fixture(scope="module")
def other(stack):
    """Another gateway on the same servers."""
    with Doors(stack) as doors:
        yield doors.open(DATABASE_REPLICA_URL=stack.standby.url, APIUM_THREADS="1", APIUM_NUM_PROXIES="1")


@pytest.fixture
def behind(stack, writer, bob):
    """The standby has stopped to replay; before, it has caught up with everything, and the gateway knows it."""
    read_by_standby(stack, bob)
    stack.standby.pause()
    yield
    stack.standby.resume()


def ask(stack, user, path, method="GET", json=None, address="10.0.0.1", door=None):
    headers = {"X-Forwarded-For": address, **({"Authorization": f"Bearer {user.access}"} if user else {})}
    if door:
        return door.ask(method, path, headers=headers)
    return stack.http(method, path, json, headers=headers)


def hidden_row(stack):
    """The name of a product that somebody wrote past the gateway: visible at the primary only while replay is paused."""
    name = unique("hidden")
    stack.sql("INSERT INTO categories VALUES (gen_random_uuid(), now(), now(), %s, %s, '')", name, name)
    return name


def written(stack, user):
    """(name, path) of a category written by this one."""
    name = unique("written")
    made = ask(stack, user, "/api/v1/categories/", "POST", {"name": name})
    assert made.status == 201, made.body
    return name, f"/api/v1/categories/{made.json['id']}/"


def sees(stack, user, name, **options):
    answer = ask(stack, user, f"/api/v1/categories/?search={name}", **options)
    assert answer.status == 200, answer.body
    return answer.json["count"] == 1


def read_by_standby(stack, user, **options):
    """Waits until this one's requests go there: what is written behind a pause is not seen."""
    def unseen():
        stack.standby.pause()
        try:
            return not sees(stack, user, hidden_row(stack), **options)
        finally:
            stack.standby.resume()
    stack.wait_for("reads from the standby", unseen)


def test_who_has_not_written_reads_from_the_standby(stack, bob, behind):
    name = hidden_row(stack)
    assert not sees(stack, bob, name, address="10.0.0.2")
    stack.standby.resume()
    stack.wait_for("the row", lambda: sees(stack, bob, name, address="10.0.0.2"))


def test_who_has_written_sees_it_at_every_gateway(stack, writer, bob, other, behind):
    name, path = written(stack, writer)
    for door in (None, other):
        assert ask(stack, writer, path, door=door).status == 200
        assert sees(stack, writer, name, door=door)
        assert ask(stack, bob, path, address="10.0.0.2", door=door).status == 404
    stack.standby.resume()
    stack.wait_for("the row", lambda: ask(stack, bob, path, address="10.0.0.2").status == 200)


def test_who_has_just_registered_is_there(stack, behind):
    email = unique("new") + "@example.com"
    fields = {"email": email, "first_name": "N", "last_name": "E", "password": PASSWORD, "password_confirm": PASSWORD}
    made = ask(stack, None, "/api/v1/users/", "POST", fields, address="10.0.0.9")
    assert made.status == 201, made.body
    login = ask(stack, None, "/api/v1/auth/login/", "POST", {"email": email, "password": PASSWORD}, address="10.0.0.9")
    assert login.status == 200, login.body
    me = stack.http("GET", "/api/v1/users/me/", token=login.json["tokens"]["access"], headers={"X-Forwarded-For": "10.0.0.9"})
    assert me.status == 200 and me.json["email"] == email


def test_a_cache_is_filled_from_the_primary(stack, bob, behind):
    with Doors(stack) as doors:
        door = doors.open(DATABASE_REPLICA_URL=stack.standby.url, APIUM_CACHE="on", APIUM_NUM_PROXIES="1", APIUM_THREADS="1")
        name = hidden_row(stack)
        assert sees(stack, bob, name, address="10.0.0.2", door=door)


def test_without_redis_the_primary_answers(stack, bob, writer, behind):
    """And when it is back without its marks, whoever wrote meanwhile still sees it."""
    name = hidden_row(stack)
    assert not sees(stack, bob, name, address="10.0.0.2")
    stack.redis_server.stop()
    assert sees(stack, bob, name, address="10.0.0.2")
    _, path = written(stack, writer)
    stack.redis_server.start()
    stack.wait_for("Redis", lambda: stack.http("GET", "/readyz").json["status"] == "ok")
    for _ in range(20):
        assert ask(stack, writer, path).status == 200


def test_without_the_standby_the_primary_answers(stack, bob):
    read_by_standby(stack, bob, address="10.0.0.2")
    stack.standby.stop("immediate")
    try:
        name = hidden_row(stack)
        stack.wait_for("an answer of the primary", lambda: sees(stack, bob, name, address="10.0.0.2"))
    finally:
        stack.standby.start()
    read_by_standby(stack, bob, address="10.0.0.2")


def test_a_standby_too_far_behind_is_not_read(stack, bob, behind):
    with Doors(stack) as doors:
        door = doors.open(DATABASE_REPLICA_URL=stack.standby.url, APIUM_REPLICA_LAG="1", APIUM_NUM_PROXIES="1", APIUM_THREADS="1")
        stack.standby.resume()
        stack.wait_for("reads from the standby", lambda: not _unseen(stack, bob, door))
        name = hidden_row(stack)
        stack.wait_for("the primary's answer", lambda: sees(stack, bob, name, address="10.0.0.2", door=door))


def _unseen(stack, bob, door):
    stack.standby.pause()
    seen = sees(stack, bob, hidden_row(stack), address="10.0.0.2", door=door)
    if seen:
        stack.standby.resume()
    return seen


def test_what_is_no_standby_is_not_read(stack, bob):
    with Doors(stack) as doors:
        door = doors.open(DATABASE_REPLICA_URL=stack.postgres.url, APIUM_THREADS="1")
        stack.wait_for("the warning", lambda: "is no standby" in door.program.log)
        assert sees(stack, bob, hidden_row(stack), door=door)


def test_a_bad_url_is_named(stack):
    from test_start import start
    status, said = start(DATABASE_REPLICA_URL="mysql://x")
    assert status == 1 and "DATABASE_REPLICA_URL" in said
