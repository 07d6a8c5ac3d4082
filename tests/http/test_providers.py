"""What is off by default: lock-out, DRF's tokens, tokens of an outside provider, pbkdf2 as what is written."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis

import jwt
from apium import PATIENCE, Stack
from shop import PASSWORD, Shop, unique
from test_accounts import pbkdf2, stored
from test_start import start

pytestmark = pytest.mark.slow

ISSUER, AUDIENCE = "https://id.example.com/", "shop"
COOLOFF = 300
LOCKED = {"detail": "Account locked: too many login attempts. Please try again later."}


class Provider:
    """Serves a key set on a free port, and counts how often it is asked."""

    def __init__(self):
        self.keys, self.asked, provider = [], 0, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked += 1
                body = json.dumps({"keys": provider.keys}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def provider():
    provider = Provider()
    yield provider
    provider.server.shutdown()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {"rsa": jwt.Key(folder, "RSA", "rsa-1"), "ec": jwt.Key(folder, "EC", "ec-1"),
            "weak": jwt.Key(folder, "RSA", "weak", bits=1024), "stranger": jwt.Key(folder, "RSA", "rsa-9")}


@pytest.fixture(scope="module")
def stack(provider, keys):
    provider.keys = [keys["rsa"].jwk(), keys["ec"].jwk(alg="ES256"), keys["weak"].jwk(),
                     {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, {"kty": "RSA"}, "no key", None]
    with Stack(APIUM_LOGIN_FAILURES="3", APIUM_LOGIN_COOLOFF=str(COOLOFF), APIUM_TOKEN_AUTHENTICATION="on",
               APIUM_PASSWORD_WRITE="pbkdf2_sha256", APIUM_PASSWORD_UPGRADE="off",
               APIUM_JWKS_URL=provider.url, APIUM_JWT_ISSUER=ISSUER, APIUM_JWT_AUDIENCE=AUDIENCE) as stack:
        stack.start_gateway()
        yield stack


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


@pytest.fixture(scope="module")
def eve(shop):
    return shop.user("eve")


def me(stack, token, scheme="Bearer"):
    return stack.http("GET", "/api/v1/users/me/", headers={"Authorization": f"{scheme} {token}"})


# --- lock-out ------------------------------------------------------------------------------------------------------


def attempt(stack, user, password="wrong", path="/api/v1/auth/login/"):
    return stack.http("POST", path, {"email": user.email, "password": password})


def check_lock(stack, user, cooloff=COOLOFF):
    assert [attempt(stack, user).status for _ in range(3)] == [400, 400, 400]
    for path in ("/api/v1/auth/login/", "/api/v1/token/"):
        answer = attempt(stack, user, PASSWORD, path)
        assert (answer.status, answer.json) == (429, LOCKED)
        assert 1 <= int(answer.headers["Retry-After"]) <= cooloff


def test_three_wrong_passwords_lock_the_account_for_a_while(stack, shop):
    victim, other = shop.user("victim"), shop.user("other")
    check_lock(stack, victim)
    assert attempt(stack, other, PASSWORD).status == 200
    with redis.Redis.from_url(stack.redis_server.url) as client:
        key, = client.keys("apium:lockout:*")
        assert victim.email.encode() not in key and 0 < client.pttl(key) <= COOLOFF * 1000
        client.pexpire(key, 1)
    stack.wait_for("the end of the lock", lambda: attempt(stack, victim, PASSWORD).status == 200)


def test_the_right_password_takes_the_count_back(stack, shop):
    user = shop.user("careless")
    for _ in range(3):
        assert [attempt(stack, user).status for _ in range(2)] == [400, 400]
        assert attempt(stack, user, PASSWORD).status == 200


def test_an_unknown_address_is_locked_like_a_known_one(stack):
    class nobody:
        email = f"{unique('nobody')}@example.com"

    check_lock(stack, nobody)


def test_without_redis_the_process_counts_for_itself():
    cooloff = 5 * PATIENCE
    with Stack(APIUM_LOGIN_FAILURES="3", APIUM_LOGIN_COOLOFF=str(cooloff)) as stack:
        stack.start_gateway()
        victim = Shop(stack).user("victim")
        stack.redis_server.stop()
        check_lock(stack, victim, cooloff)
        stack.wait_for("the end of the lock", lambda: attempt(stack, victim, PASSWORD).status == 200, 15)


# --- DRF's tokens --------------------------------------------------------------------------------------------------


def test_drf_s_token_opens_what_an_access_token_opens(stack, eve):
    said = stack.apium("drf_create_token", eve.email)
    key = said.split()[2]
    assert said == f"Generated token {key} for user {eve.email}\n" and len(key) == 40
    assert stack.apium("drf_create_token", eve.email) == said
    for scheme in ("Token", "token", "TOKEN"):
        assert me(stack, key, scheme).json["id"] == eve.id
    new = stack.apium("drf_create_token", eve.email, "--reset").split()[2]
    assert new != key and me(stack, key, "Token").status == 401 and me(stack, new, "Token").status == 200
    assert "there is no user" in stack.apium("drf_create_token", "nobody@example.com", status=1)


@pytest.mark.parametrize("header, words", [
    ("Token", "Invalid token header. No credentials provided."),
    ("Token a b", "Invalid token header. Token string should not contain spaces."),
    ("Token x", "Invalid token."),
    (f"Token {'a' * 40}", "Invalid token."),
    ("Token ' OR '1'='1", "Invalid token header. Token string should not contain spaces."),
])
def test_a_wrong_token_is_refused_in_drf_s_words(stack, header, words):
    answer = stack.http("GET", "/api/v1/users/me/", headers={"Authorization": header})
    assert (answer.status, answer.json) == (401, {"detail": words})


def test_a_token_ends_with_its_user(stack, shop):
    user = shop.user("leaver")
    key = stack.apium("drf_create_token", user.email).split()[2]
    assert stack.http("POST", f"/api/v1/users/{user.id}/deactivate/", headers={"Authorization": f"Token {key}"}).status == 200
    assert me(stack, key, "Token").json == {"detail": "User inactive or deleted."}


# --- an outside provider -------------------------------------------------------------------------------------------


def outside(user, **changed):
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "iat": now, "user_id": user.id, **changed}
    return {name: value for name, value in claims.items() if value is not None}


def test_its_tokens_are_taken_with_either_algorithm(stack, eve, keys):
    for key in (keys["rsa"], keys["ec"]):
        for claims in (outside(eve), outside(eve, aud=["other", AUDIENCE]), outside(eve, token_type="access"),
                       outside(eve, scope="x" * 5000)):
            assert me(stack, key.sign(claims)).json["id"] == eve.id
        assert me(stack, key.sign(outside(eve), kid=None)).status == 200, "the only key of its kind needs no name"
    assert me(stack, eve.access).status == 200, "our own are taken as before"


def attacks(user, keys):
    rsa, ec, now = keys["rsa"], keys["ec"], int(time.time())
    good = rsa.sign(outside(user))
    return {
        "the public key as the secret": jwt.hs(outside(user), rsa.public, kid="rsa-1"),
        "the public key as the secret, of our form": jwt.hs(jwt.access_claims(user.id), rsa.public),
        "the public key in DER": jwt.hs(jwt.access_claims(user.id), rsa.der),
        "alg none": jwt.unsigned(outside(user)),
        "a stranger's key": keys["stranger"].sign(outside(user)),
        "a stranger's key under a known name": keys["stranger"].sign(outside(user), kid="rsa-1"),
        "a weak key": keys["weak"].sign(outside(user)),
        "ES256 with the RSA key's name": ec.sign(outside(user), kid="rsa-1"),
        "RS256 with the EC key's name": rsa.sign(outside(user), kid="ec-1"),
        "another algorithm in the header": rsa.sign(outside(user), alg="RS512"),
        "PS256": rsa.sign(outside(user), alg="PS256"),
        "a symmetric key's name": rsa.sign(outside(user), kid="oct"),
        "kid of another type": rsa.sign(outside(user), kid=["rsa-1"]),
        "another issuer": rsa.sign(outside(user, iss="https://evil.example.com/")),
        "no issuer": rsa.sign(outside(user, iss=None)),
        "a list of issuers": rsa.sign(outside(user, iss=[ISSUER])),
        "another audience": rsa.sign(outside(user, aud="other")),
        "no audience": rsa.sign(outside(user, aud=None)),
        "expired": rsa.sign(outside(user, exp=now - 1)),
        "for ever": rsa.sign(outside(user, exp=None)),
        "not valid yet": rsa.sign(outside(user, nbf=now + 100)),
        "a refresh token": rsa.sign(outside(user, token_type="refresh")),
        "no user": rsa.sign(outside(user, user_id=None)),
        "no key of a user": rsa.sign(outside(user, user_id="eve")),
        "cut": good[:-10],
        "changed": good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:],
        "huge": good.replace(".", "." + "A" * 30000, 1),
    }


def test_no_forged_one_is(stack, eve, keys):
    for name, token in attacks(eve, keys).items():
        answer = me(stack, token)
        assert answer.status == 401, (name, answer)
        # Nor is any good for what our refresh tokens do.
        assert stack.http("POST", "/api/v1/token/refresh/", {"refresh": token}).status == 401, name
    assert stack.http("POST", "/api/v1/token/refresh/", {"refresh": keys["rsa"].sign(outside(eve))}).status == 401


def test_unknown_key_names_do_not_make_the_provider_work(stack, eve, keys, provider):
    me(stack, keys["rsa"].sign(outside(eve)))
    before = provider.asked
    for number in range(20):
        assert me(stack, keys["stranger"].sign(outside(eve), kid=f"made-up-{number}")).status == 401
    assert provider.asked - before <= 1


def test_keys_are_fetched_when_the_first_token_asks(keys, provider):
    """A gateway of its own, whose first try is still to come."""
    provider.keys = [keys["rsa"].jwk()]
    with Stack(APIUM_JWKS_URL=provider.url, APIUM_JWT_ISSUER=ISSUER) as stack:
        stack.start_gateway()
        before = provider.asked
        eve = Shop(stack).user("eve")
        assert me(stack, eve.access).status == 200 and provider.asked == before, "nobody needed a key"
        for _ in range(3):
            assert me(stack, keys["rsa"].sign(outside(eve, aud=None))).status == 200
        assert provider.asked == before + 1


def test_keys_from_a_file(keys, tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [keys["ec"].jwk()]}))
    with Stack(APIUM_JWKS_URL=str(path), APIUM_JWT_ISSUER=ISSUER, APIUM_JWT_USER_CLAIM="sub") as stack:
        stack.start_gateway()
        eve = Shop(stack).user("eve")
        assert me(stack, keys["ec"].sign(outside(eve, sub=eve.id, user_id=None))).json["id"] == eve.id
        assert me(stack, keys["rsa"].sign(outside(eve, sub=eve.id))).status == 401


@pytest.mark.parametrize("environment, words", [
    ({"APIUM_JWKS_URL": "https://id.example.com/keys"}, "APIUM_JWKS_URL is set but not APIUM_JWT_ISSUER"),
    ({"APIUM_JWKS_URL": "/nowhere.json", "APIUM_JWT_ISSUER": ISSUER}, "/nowhere.json cannot be opened"),
    ({"APIUM_JWKS_URL": "/dev/null", "APIUM_JWT_ISSUER": ISSUER}, "holds no JWKS"),
    ({"APIUM_JWKS_URL": "ftp://x/y", "APIUM_JWT_ISSUER": ISSUER}, "keys come by https:// or from a file"),
    ({"APIUM_JWKS_URL": "http://x/y", "APIUM_JWT_ISSUER": ISSUER, "APIUM_ENV": "production", "APIUM_ALLOWED_HOSTS": "x",
      "APIUM_SECRET_KEY": "only-for-me-0123456789-0123456789"}, "keys come by https:// or from a file"),
    ({"APIUM_LOGIN_COOLOFF": "0"}, "APIUM_LOGIN_COOLOFF"),
])
def test_settings_that_make_no_sense_are_refused_at_start(environment, words):
    status, said = start(**environment)
    assert status == 1 and words in said, said


# --- pbkdf2 --------------------------------------------------------------------------------------------------------


def test_pbkdf2_is_written_and_nothing_is_rewritten(stack, shop, eve):
    assert stored(stack, eve).startswith("pbkdf2_sha256$1000000$")
    user = shop.user("kept")
    old = pbkdf2("From-Django-1")
    stack.sql("UPDATE users SET password = %s WHERE id = %s", old, user.id)
    shop.log_in(user.email, "From-Django-1")
    assert stored(stack, user) == old


# --- what is forgotten ---------------------------------------------------------------------------------------------


def test_expired_tokens_and_old_attempts_are_forgotten(stack, shop):
    user = shop.user("old")
    stack.sql("INSERT INTO token_blacklist_outstandingtoken (user_id, jti, token, created_at, expires_at) SELECT %s, "
              "'old-' || n, 'x', now() - interval '8 days', now() - interval '1 second' FROM generate_series(1, 6000) n", user.id)
    stack.sql("INSERT INTO token_blacklist_blacklistedtoken (token_id, blacklisted_at) SELECT id, now() FROM "
              "token_blacklist_outstandingtoken WHERE jti LIKE 'old-%%'")
    stack.sql("INSERT INTO login_event (user_id, time, ip, agent, ok) VALUES (%s, now() - interval '91 days', '', '', true)",
              user.id)
    assert stack.apium("flush_expired_tokens") == "forgot 6000 expired tokens and 1 attempts to log in\n"
    assert stack.apium("flush_expired_tokens") == "forgot 0 expired tokens and 0 attempts to log in\n"
    assert stack.http("POST", "/api/v1/token/refresh/", {"refresh": user.refresh}).status == 200
