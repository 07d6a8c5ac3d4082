"""Idempotency-Key: a POST has its effect once, and who asks again gets the same answer."""

import json
import threading
import uuid

import psycopg
import pytest

from apium import Stack
from shop import PASSWORD, Shop, multipart, picture, unique

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack():
    """A gateway of our own: one of these tests kills it."""
    with Stack() as stack:
        stack.start_gateway()
        yield stack


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


@pytest.fixture(scope="module")
def ann(shop):
    return shop.user("ann")


def key():
    return str(uuid.uuid4())


def post(stack, path, body, key, token=None, headers=None):
    return stack.http("POST", path, body, token, headers={"Idempotency-Key": key, **(headers or {})})


def product(**fields):
    return {"name": unique("Once"), "price": "1.50", **fields}


def count(stack, name):
    return stack.sql("SELECT count(*) FROM products WHERE name = %s", name)[0][0]


def is_replayed(answer):
    return answer.headers["Idempotency-Replayed"] == "true"


def test_asked_twice_it_is_done_once(stack, ann):
    body, mine = product(sku=unique("sku")), key()
    first = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert first.status == 201 and not is_replayed(first), first
    again = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert is_replayed(again)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert count(stack, body["name"]) == 1
    assert post(stack, "/api/v1/products/", product(), key(), ann.access).status == 201, "another key is another product"


def test_without_a_key_nothing_is_kept(stack, ann):
    before = stack.sql("SELECT count(*) FROM idempotency_key")
    body = product()
    for _ in range(2):
        assert stack.http("POST", "/api/v1/products/", body, ann.access).status == 201
    assert count(stack, body["name"]) == 2
    assert stack.sql("SELECT count(*) FROM idempotency_key") == before


def test_another_body_is_refused(stack, ann):
    mine = key()
    assert post(stack, "/api/v1/products/", product(), mine, ann.access).status == 201
    other = product()
    answer = post(stack, "/api/v1/products/", other, mine, ann.access)
    assert (answer.status, answer.json) == (422, {"detail": "This Idempotency-Key was used for another request."})
    assert count(stack, other["name"]) == 0
    answer = post(stack, "/api/v1/categories/", {"name": unique("c")}, mine, ann.access)
    assert answer.status in (403, 422)


def test_a_key_is_its_owners(stack, shop, ann):
    bob, mine, body = shop.user("bob"), key(), product()
    first = post(stack, "/api/v1/products/", body, mine, ann.access)
    second = post(stack, "/api/v1/products/", body, mine, bob.access)
    assert second.status == 201 and not is_replayed(second)
    assert first.json["id"] != second.json["id"]


def test_a_refused_request_may_be_corrected(stack, ann):
    mine, name = key(), unique("Corrected")
    for _ in range(2):
        answer = post(stack, "/api/v1/products/", {"name": name, "price": "much"}, mine, ann.access)
        assert answer.status == 400 and not is_replayed(answer)
    answer = post(stack, "/api/v1/products/", {"name": name, "price": "1"}, mine, ann.access)
    assert answer.status == 201 and not is_replayed(answer)


def test_keys_that_are_none(stack, ann):
    for bad in ("", "x" * 256, "caf\u00e9"):
        answer = post(stack, "/api/v1/products/", product(), bad, ann.access)
        assert answer.status == 400, bad
        assert answer.json == {"detail": "Idempotency-Key must be 1 to 255 printable ASCII characters."}
    assert post(stack, "/api/v1/products/", product(), "x" * 255, ann.access).status == 201


def test_one_mail(stack):
    mine, email = key(), f"{unique('once')}@example.com"
    body = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    answers = [post(stack, "/api/v1/users/", body, mine) for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3, answers
    assert [is_replayed(answer) for answer in answers] == [False, True, True]
    assert len(stack.sql("SELECT 1 FROM job_outbox WHERE position(%s in kwargs::text) > 0", email)) == 1


def test_one_upload(stack, shop, ann):
    product = shop.product(ann)
    body, kind = multipart({"product": product["id"]}, [("image", "a.png", "image/png", picture("png 300x200"))])
    mine = key()
    answers = [post(stack, "/api/v1/product-images/", body, mine, ann.access, {"Content-Type": kind}) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201], answers
    assert is_replayed(answers[1]) and answers[0].body == answers[1].body
    assert stack.sql("SELECT count(*) FROM product_images WHERE product_id = %s", product["id"]) == [(1,)]


def test_what_carries_tokens_is_never_stored(stack):
    mine, email = key(), f"{unique('secret')}@example.com"
    body = {"email": email, "password": PASSWORD, "password_confirm": PASSWORD}
    assert post(stack, "/api/v1/auth/register/", body, mine).status == 201
    for _ in range(2):
        answer = post(stack, "/api/v1/auth/login/", {"email": email, "password": PASSWORD}, key())
        assert answer.status == 200 and not is_replayed(answer)
    for path in ("token", "auth/token"):
        tokens = post(stack, f"/api/v1/{path}/", {"email": email, "password": PASSWORD}, key()).json
        assert post(stack, f"/api/v1/{path}/refresh/", {"refresh": tokens["refresh"]}, key()).json["access"]
    assert stack.sql("SELECT count(*) FROM idempotency_key WHERE body LIKE %s", '%"access"%') == [(0,)]
    assert stack.sql("SELECT count(*) FROM idempotency_key WHERE key = %s", mine) == [(0,)]


def test_the_table_tells_nothing_of_bodies(stack, ann):
    import hashlib
    mine, body = key(), product()
    post(stack, "/api/v1/products/", body, mine, ann.access)
    [(fingerprint,)] = stack.sql("SELECT fingerprint FROM idempotency_key WHERE key = %s", mine)
    assert len(fingerprint) == 32 and fingerprint != hashlib.sha256(json.dumps(body).encode()).digest()


def test_expired_keys_begin_anew_and_go(stack, ann):
    mine, body = key(), product()
    post(stack, "/api/v1/products/", body, mine, ann.access)
    stack.sql("UPDATE idempotency_key SET expires_at = now() - interval '1 second'")
    answer = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert answer.status == 201 and not is_replayed(answer)
    assert count(stack, body["name"]) == 2
    [(before,)] = stack.sql("SELECT count(*) FROM idempotency_key WHERE expires_at <= now()")
    for _ in range(before):
        post(stack, "/api/v1/products/", product(), key(), ann.access)
    assert stack.sql("SELECT count(*) FROM idempotency_key WHERE expires_at <= now()") == [(0,)]


class Gate:
    """A COMMIT that inserted a product of this name waits until the gate opens."""

    def __init__(self, stack, name):
        self.stack = stack
        stack.sql("""CREATE OR REPLACE FUNCTION test_gate() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$""")
        stack.sql(f"""CREATE CONSTRAINT TRIGGER test_gate AFTER INSERT ON products DEFERRABLE INITIALLY DEFERRED
                      FOR EACH ROW WHEN (NEW.name = '{name}') EXECUTE FUNCTION test_gate()""")
        self.connection = psycopg.connect(stack.postgres.url, autocommit=True)
        self.connection.execute("SELECT pg_advisory_lock(4711)")

    def wait_for_commit(self):
        self.stack.wait_for("the COMMIT to reach the gate", lambda: self.stack.sql(
            "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'advisory'"))

    def open(self):
        self.connection.close()

    def remove(self):
        self.stack.sql("DROP TRIGGER test_gate ON products")


@pytest.fixture
def gated(stack):
    body = product()
    gate = Gate(stack, body["name"])
    yield gate, body
    gate.open()
    gate.remove()


def in_background(work):
    result = []

    def run():
        try:
            result.append(work())
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return lambda: (thread.join(), result[0])[1]


def test_two_at_once(stack, ann, gated):
    gate, body = gated
    mine = key()
    first = in_background(lambda: post(stack, "/api/v1/products/", body, mine, ann.access))
    gate.wait_for_commit()
    second = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert (second.status, second.json) == (
        409, {"detail": "A request with this Idempotency-Key is still being worked on."})
    gate.open()
    assert first().status == 201
    third = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert third.body == first().body and is_replayed(third)
    assert count(stack, body["name"]) == 1


def test_killed_between_commit_and_answer(stack, ann, gated):
    gate, body = gated
    mine = key()
    lost = in_background(lambda: post(stack, "/api/v1/products/", body, mine, ann.access))
    gate.wait_for_commit()
    gateway = stack.programs[-1]
    gateway.kill()
    gateway.wait()
    gate.open()
    assert isinstance(lost(), OSError), "nobody has answered"
    stack.wait_for("the COMMIT to end", lambda: count(stack, body["name"]) == 1)
    stack.start_gateway()
    answer = post(stack, "/api/v1/products/", body, mine, ann.access)
    assert answer.status == 201 and is_replayed(answer)
    assert answer.json["name"] == body["name"]
    assert count(stack, body["name"]) == 1
