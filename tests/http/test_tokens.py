"""simplejwt's endpoints: what the recordings do not show, and an attack table."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import jwt
from shop import PASSWORD, UNKNOWN

pytestmark = pytest.mark.slow

SECRET = "development-only-secret-key-0123456789"  # APIUM_ENV=test has the default
INVALID = {"detail": "Token is invalid", "code": "token_not_valid"}
SPENT = {"detail": "Token is blacklisted", "code": "token_not_valid"}


def me(stack, token):
    return stack.http("GET", "/api/v1/users/me/", token=token)


def refresh(stack, token, path="/api/v1/token/refresh/"):
    return stack.http("POST", path, {"refresh": token})


def test_both_mounts_give_working_pairs(stack, ann):
    for path in ("/api/v1/token/", "/api/v1/auth/token/", "/api/token/", "/api/auth/token/"):
        answer = stack.http("POST", path, {"email": ann.email, "password": PASSWORD})
        assert answer.status == 200 and list(answer.json) == ["refresh", "access"]
        assert me(stack, answer.json["access"]).status == 200
        claims = jwt.claims_of(answer.json["refresh"])
        assert claims["token_type"] == "refresh" and claims["user_id"] == ann.id
        assert stack.sql("SELECT user_id::text, extract(epoch FROM expires_at)::bigint FROM token_blacklist_outstandingtoken "
                         "WHERE jti = %s AND token = %s", claims["jti"], answer.json["refresh"]) == [(ann.id, claims["exp"])]


def test_logging_in_is_noted_and_so_is_who_could_not(stack, shop):
    eve = shop.user("eve")
    assert stack.sql("SELECT last_login > now() - interval '1 minute' FROM users WHERE id = %s", eve.id) == [(True,)]
    agent = "Mozilla/5.0 " + "x" * 400
    stack.http("POST", "/api/v1/auth/login/", {"email": eve.email, "password": "wrong"}, headers={"User-Agent": agent})
    stack.http("POST", "/api/v1/token/", {"email": eve.email, "password": PASSWORD}, headers={"User-Agent": agent})
    rows = stack.sql("SELECT ok, ip, agent FROM login_event WHERE user_id = %s ORDER BY id", eve.id)
    assert rows[1:] == [(False, "127.0.0.1", agent[:255]), (True, "127.0.0.1", agent[:255])]
    before = stack.sql("SELECT count(*) FROM login_event WHERE user_id IS NULL AND NOT ok")[0][0]
    stack.http("POST", "/api/v1/token/", {"email": "nobody@example.com", "password": PASSWORD})
    assert stack.sql("SELECT count(*) FROM login_event WHERE user_id IS NULL AND NOT ok")[0][0] == before + 1


def test_of_many_who_refresh_one_token_at_once_one_succeeds(stack, shop):
    eve = shop.user("eve")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(stack, eve.refresh), range(8)))
    good = [answer for answer in answers if answer.status == 200]
    assert len(good) == 1, answers
    assert all((answer.status, answer.json) == (401, SPENT) for answer in answers if answer.status != 200), answers
    assert refresh(stack, good[0].json["refresh"]).status == 200
    # One that was made at registration's login, its successors; each spent or not, once.
    assert stack.sql("SELECT count(*), count(b.id) FROM token_blacklist_outstandingtoken o LEFT JOIN "
                     "token_blacklist_blacklistedtoken b ON b.token_id = o.id WHERE user_id = %s", eve.id) == [(3, 2)]


def test_a_login_beside_a_deactivation_leaves_no_token(stack, shop):
    for _ in range(5):
        eve = shop.user("eve")
        with ThreadPoolExecutor(4) as pool:
            pairs = [pool.submit(stack.http, "POST", "/api/v1/token/", {"email": eve.email, "password": PASSWORD}),
                     pool.submit(refresh, stack, eve.refresh),
                     pool.submit(stack.http, "POST", "/api/v1/token/", {"email": eve.email, "password": PASSWORD})]
            off = pool.submit(stack.http, "POST", f"/api/v1/users/{eve.id}/deactivate/", token=eve.access)
            assert off.result().status == 200
            tokens = [pair.result().json["refresh"] for pair in pairs if pair.result().status == 200]
        assert all(refresh(stack, token).json == SPENT for token in [eve.refresh, *tokens])
        assert stack.sql("SELECT count(*) FROM token_blacklist_outstandingtoken o WHERE user_id = %s AND NOT EXISTS "
                         "(SELECT 1 FROM token_blacklist_blacklistedtoken WHERE token_id = o.id)", eve.id) == [(0,)]


def test_a_token_made_elsewhere_with_the_key_is_known_once_it_is_spent(stack, shop):
    eve = shop.user("eve")
    claims = jwt.access_claims(f"urn:uuid:{eve.id}", token_type="refresh", role="admin")
    token = jwt.hs(claims, SECRET)
    pair = refresh(stack, token).json
    assert jwt.claims_of(pair["access"])["role"] == jwt.claims_of(pair["refresh"])["role"] == "admin"
    assert refresh(stack, token).json == SPENT
    assert stack.http("POST", "/api/v1/token/verify/", {"token": token}).json == {"non_field_errors": ["Token is blacklisted"]}
    assert stack.http("POST", "/api/v1/token/blacklist/", {"refresh": pair["refresh"]}).json == {}
    assert refresh(stack, pair["refresh"]).json == SPENT


def test_one_may_not_log_out_with_a_token_twice_but_with_somebody_elses(stack, shop):
    eve, eva = shop.user("eve"), shop.user("eva")
    def out(token):
        return stack.http("POST", "/api/v1/auth/logout/", {"refresh": token}, eve.access).status
    # As in the replaced application: whoever holds a refresh token may end it.
    assert [out(eve.refresh), out(eve.refresh), out(eva.refresh)] == [200, 400, 200]
    assert refresh(stack, eva.refresh).json == SPENT


def forgeries(user_id, good):
    """name: token; none may be taken for an access token"""
    claims, now = jwt.access_claims(user_id), int(time.time())
    head, body, signature = good.split(".")
    return {
        "another secret": jwt.hs(claims, "another secret of sufficient length"),
        "an empty secret": jwt.hs(claims, ""),
        "alg none": jwt.unsigned(claims),
        "alg None": jwt.unsigned(claims, "None"),
        "alg NONE": jwt.unsigned(claims, "NONE"),
        "alg none with a good signature": jwt.unsigned(claims) + signature,
        "alg empty": jwt.unsigned(claims, ""),
        "HS384 with the secret": jwt.hs(claims, SECRET, "HS384"),
        "HS512 with the secret": jwt.hs(claims, SECRET, "HS512"),
        "RS256 signed by HMAC": jwt.hs(claims, SECRET, "RS256"),
        "ES256 signed by HMAC": jwt.hs(claims, SECRET, "ES256"),
        "hs256 in small letters": jwt.hs(claims, SECRET, "hs256"),
        "no signature": f"{head}.{body}.",
        "no signature, no dot": f"{head}.{body}",
        "the claims of another": f"{head}.{jwt.b64(b'{}')}.{signature}",
        "one letter less": good[:-1],
        "half of it": good[: len(good) // 2],
        "one letter more": good + "A",
        "padding": good + "=",
        "five parts": f"{good}.a.b",
        "only dots": "..",
        "huge": head + "." + "A" * 20000 + "." + signature,
        "expired": jwt.hs(jwt.access_claims(user_id, exp=now - 1), SECRET),
        "not valid yet": jwt.hs(jwt.access_claims(user_id, nbf=now + 100), SECRET),
        "issued tomorrow": jwt.hs(jwt.access_claims(user_id, iat=now + 86400), SECRET),
        "for ever": jwt.hs(jwt.access_claims(user_id, exp=None), SECRET),
        "exp of another type": jwt.hs(jwt.access_claims(user_id, exp=[now + 100]), SECRET),
        "exp beyond reason": jwt.hs(jwt.access_claims(user_id, exp=1e300), SECRET),
        "a refresh token": jwt.hs(jwt.access_claims(user_id, token_type="refresh"), SECRET),
        "a sliding token": jwt.hs(jwt.access_claims(user_id, token_type="sliding"), SECRET),
        "type of another type": jwt.hs(jwt.access_claims(user_id, token_type=["access"]), SECRET),
        "without type": jwt.hs(jwt.access_claims(user_id, token_type=None), SECRET),
        "without jti": jwt.hs(jwt.access_claims(user_id, jti=None), SECRET),
        "a list of claims": jwt.hs([claims], SECRET),
        "claims that are text": jwt.hs("claims", SECRET),
        "nobody": jwt.hs(jwt.access_claims(UNKNOWN), SECRET),
        "SQL for a user": jwt.hs(jwt.access_claims(f"{user_id}' OR '1'='1"), SECRET),
        "a number for a user": jwt.hs(jwt.access_claims(1), SECRET),
        "a list of users": jwt.hs(jwt.access_claims([user_id]), SECRET),
        "no user": jwt.hs(jwt.access_claims(None), SECRET),
        "kid that is a path": jwt.hs(claims, b"", kid="../../../../dev/null"),
        "jwk in the header": jwt.hs(claims, "mine", jwk={"kty": "oct", "k": jwt.b64(b"mine")}),
    }


@pytest.fixture(scope="module")
def forged(stack, shop):
    eve = shop.user("eve")
    return forgeries(eve.id, eve.access)


@pytest.mark.parametrize("name", list(forgeries("x", "a.b.c")))
def test_no_forged_token_opens_anything(stack, forged, name):
    token = forged[name]
    answer = me(stack, token)
    assert answer.status == 401, answer
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer.json.get("code") in ("token_not_valid", "user_not_found", "bad_authorization_header"), answer
    # What is public is closed to a bad token too, and it serves for nothing else.
    assert stack.http("POST", "/api/v1/auth/register/", {}, token).status == 401
    assert stack.http("POST", "/api/v1/auth/logout/", {"refresh": token}).status == 401
    for path in ("/api/v1/token/blacklist/", "/api/v1/token/refresh/"):
        answer = stack.http("POST", path, {"refresh": token})
        # One that is rightly signed and typed may be refreshed or ended: by whom it names, if he is there.
        if name == "a refresh token" or (name in ("nobody", "no user") and "blacklist" in path):
            continue
        assert answer.status == 401, (path, answer)


def test_the_good_ones_are_not_refused(stack, shop):
    eve = shop.user("eve")
    for claims in (jwt.access_claims(eve.id), jwt.access_claims(f"urn:uuid:{eve.id}"), jwt.access_claims(eve.id.upper()),
                   jwt.access_claims(eve.id, iat=None), jwt.access_claims(eve.id, role="x"),
                   jwt.access_claims(eve.id, exp=time.time() + 100.5)):
        assert me(stack, jwt.hs(claims, SECRET)).status == 200


def test_deep_and_wide_bodies_do_no_harm(stack):
    for path, field in (("/api/v1/token/refresh/", "refresh"), ("/api/v1/token/verify/", "token"),
                        ("/api/v1/token/blacklist/", "refresh")):
        for value, status in (("x" * 500000, 401), ("é" * 1000, 401), ({"a": 1}, 400), ([[]], 400), (True, 400),
                              ("a.b.c\n", 401), (" ", 400)):
            answer = stack.http("POST", path, {field: value})
            assert answer.status == status, (path, str(value)[:20], answer)
        answer = stack.http("POST", path, {field: "x\0y"})
        assert answer.json == {field: ["Null characters are not allowed."]}
