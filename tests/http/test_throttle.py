"""Throttles as Django REST Framework's, by the recording and beyond it."""

import re

import pytest

from apium import Stack
from golden_steps import hold
from shop import PASSWORD, unique

pytestmark = pytest.mark.slow

SECRET = "golden-secret-key-0123456789-0123456789"


@pytest.fixture(scope="module")
def stack():
    """The recording wants a fresh server with three log-ins a minute."""
    with Stack(APIUM_SECRET_KEY=SECRET, APIUM_THROTTLE="on", APIUM_THROTTLE_LOGIN="3/min", APIUM_THROTTLE_ANON="60/min",
               APIUM_THROTTLE_USER="80/min", APIUM_NUM_PROXIES="1") as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


def ask(stack, address, path="/api/v1/auth/verify-email/", body={}, token=None):
    """Anybody may, and is told that the body will not do."""
    return stack.http("POST", path, body, token, headers={"X-Forwarded-For": address})


def log_in(stack, address):
    return ask(stack, address, "/api/v1/auth/login/", {"email": "x@example.com", "password": "x"})


def test_the_recording(stack):
    hold(stack, "optional/throttle", SECRET)


def test_the_words_and_the_header(stack):
    for _ in range(3):
        assert log_in(stack, "10.0.0.1").status == 400
    answer = log_in(stack, "10.0.0.1")
    assert answer.status == 429
    wait = int(answer.headers["Retry-After"])
    assert 50 < wait <= 60
    assert answer.json == {"detail": f"Request was throttled. Expected available in {wait} seconds."}
    assert answer.headers["Allow"] == "POST, OPTIONS"


def test_who_is_refused_by_one_scope_uses_up_the_others(stack):
    statuses = [log_in(stack, "10.0.0.2").status for _ in range(60)]
    assert statuses[:3] == [400] * 3 and set(statuses[3:]) == {429}
    assert ask(stack, "10.0.0.2").status == 429
    assert ask(stack, "10.0.0.3").status == 400


def test_the_client_is_the_place_that_the_proxy_wrote(stack):
    for n in range(60):
        assert ask(stack, f"192.0.2.{n}, 10.0.0.4").status == 400
    assert ask(stack, "192.0.2.99, 10.0.0.4").status == 429, "what a client writes itself moves it nowhere"
    assert ask(stack, "10.0.0.4, 192.0.2.98").status == 400


def test_users_have_a_budget_of_their_own(stack):
    answer = stack.http("POST", "/api/v1/auth/register/", {"email": f"{unique('ann')}@example.com", "password": PASSWORD,
                                                           "password_confirm": PASSWORD})
    access = answer.json["tokens"]["access"]
    answers = [ask(stack, "10.0.0.5", token=access).status for _ in range(90)]
    assert answers[0] == 400 and answers[-1] == 429 and answers.count(400) <= 80
    assert answers.count(400) > 60, "the anonymous rate is not theirs"
    assert ask(stack, "10.0.0.6", token=access).status == 429, "wherever they are"


def test_health_is_never_throttled(stack):
    assert {stack.http("GET", "/healthz").status for _ in range(150)} == {200}


def test_a_bad_rate_is_refused_at_start(stack):
    gateway = stack.start("apium-gateway", APIUM_THROTTLE_USER="ten an hour", APIUM_LISTEN="127.0.0.1:0")
    assert gateway.wait() == 1
    assert re.search(r'APIUM_THROTTLE_USER.*"ten an hour" is no rate', gateway.log)
