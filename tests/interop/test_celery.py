"""The newest Python Celery as the client of this worker: what it sends runs, and it reads what came of it."""

import celery
import pytest

import apium


@pytest.fixture(scope="module")
def stack():
    with apium.Stack() as stack:
        stack.start_worker(APIUM_DIAG="on")
        yield stack


@pytest.fixture(scope="module")
def client(stack):
    app = celery.Celery(broker=stack.redis_server.url, backend=stack.redis_server.url)
    yield app
    app.close()


def test_a_result_comes_back(client):
    assert client.send_task("diag.add", args=[2, 3]).get(timeout=20) == 5
    assert client.send_task("diag.add", kwargs={"x": 2, "y": 0.5}).get(timeout=20) == 2.5


def test_what_python_can_say_survives_the_way(client):
    sent = {"text": "Grüße \u2028 \U0001f600", "big": 2**70, "float": 0.1, "none": None, "list": [1, [2, {"a": True}]]}
    assert client.send_task("diag.echo", kwargs=sent).get(timeout=20) == sent


def test_a_countdown_is_waited_for_in_redis(client, stack):
    result = client.send_task("diag.add", args=[1, 1], countdown=1)
    stack.wait_for("the schedule", lambda: stack.redis.zcard("apium:{celery}:schedule") == 1 or result.ready())
    assert result.get(timeout=20) == 2


def test_a_failure_is_an_exception(client):
    with pytest.raises(Exception, match="no attempt left"):
        client.send_task("diag.fail", kwargs={"times": 9, "error": "no attempt left", "retries": 0}).get(timeout=30)


def test_a_priority_list_is_served(client):
    assert client.send_task("diag.add", args=[4, 4], priority=9).get(timeout=20) == 8


def test_a_task_nobody_knows_is_kept_as_it_came(client, stack):
    client.send_task("shop.unheard_of", args=[1])
    stack.wait_for("the dead letter", lambda: "shop.unheard_of" in stack.apium("dead", "list", "--queue", "celery"))
