"""Accounts: what may not be set, whose account one may touch, passwords by mail, old encodings."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop import PASSWORD, UNKNOWN, unique

pytestmark = pytest.mark.slow

FORBIDDEN = {"detail": "You do not have permission to perform this action."}
NEW = "Silent-Lagoon-88"
PRIVATE = ("id", "password", "is_staff", "is_superuser", "is_active", "email_verified", "email_verification_token",
           "date_joined", "last_login")
EVERYTHING = {"id": UNKNOWN, "is_staff": True, "is_superuser": True, "is_active": False, "email_verified": True,
              "email_verification_token": UNKNOWN, "date_joined": "2001-01-01T00:00:00Z", "created_at": "2001-01-01T00:00:00Z",
              "updated_at": "2001-01-01T00:00:00Z", "last_login": "2001-01-01T00:00:00Z", "groups": [1],
              "user_permissions": [1], "following": [UNKNOWN], "full_name": "Root", "password_confirm": "x"}


def row(stack, user):
    return stack.sql(f"SELECT {', '.join(PRIVATE)} FROM users WHERE id = %s", user.id)[0]


@pytest.mark.parametrize("method, path", [
    ("PUT", "/api/v1/users/{id}/"), ("PATCH", "/api/v1/users/{id}/"),
    ("PUT", "/api/v1/users/update_profile/"), ("PATCH", "/api/v1/users/update_profile/"),
    ("POST", "/api/v1/users/{id}/follow/"), ("POST", "/api/v1/users/{id}/unfollow/"),
    ("POST", "/api/v1/auth/resend-verification/"), ("POST", "/api/v1/auth/password-reset/"),
])
def test_no_write_sets_what_is_not_the_clients(stack, shop, method, path):
    eve, target = shop.user("eve"), shop.user("eva")
    before, others = row(stack, eve), row(stack, target)
    named = target if "follow" in path else eve
    body = {**EVERYTHING, "email": eve.email, "password": NEW, "first_name": "Eve", "user": target.id, "from_user": target.id}
    answer = stack.http(method, path.format(id=named.id), body, eve.access)
    assert answer.status == 200, answer
    assert row(stack, eve) == before and row(stack, target) == others
    assert stack.sql("SELECT count(*) FROM users_following WHERE from_user_id = %s", target.id) == [(0,)]


@pytest.mark.parametrize("path", ["login/", "resend-verification/", "password-reset/"])
def test_an_address_too_long_to_be_one_is_told_once(stack, path):
    answer = stack.http("POST", f"/api/v1/auth/{path}", {"email": "a" * 400 + "@example.com", "password": "x"})
    assert (answer.status, answer.json) == (400, {"email": ["Enter a valid email address."]})


def test_setting_a_password_sets_nothing_else(stack, shop):
    eve = shop.user("eve")
    before = row(stack, eve)
    assert stack.http("POST", f"/api/v1/users/{eve.id}/set_password/", {**EVERYTHING, "password": NEW}, eve.access).status == 200
    after = row(stack, eve)
    assert after[1] != before[1] and after[:1] + after[2:] == before[:1] + before[2:]


@pytest.mark.parametrize("path", ["/api/v1/users/", "/api/v1/auth/register/"])
def test_registration_sets_nothing_that_is_not_the_clients(stack, path):
    email = f"{unique('eve')}@example.com"
    answer = stack.http("POST", path, {**EVERYTHING, "email": email, "password": NEW, "password_confirm": NEW})
    assert answer.status == 201, answer
    found = stack.sql("SELECT is_staff, is_superuser, is_active, email_verified, id::text, email_verification_token::text, "
                      "date_joined > now() - interval '1 minute' FROM users WHERE email = %s", email)[0]
    assert found[:4] == (False, False, True, False) and UNKNOWN not in found and found[6] is True


@pytest.mark.parametrize("method, action, body", [
    ("GET", "", None), ("PUT", "", {"first_name": "X"}), ("PATCH", "", {"first_name": "X"}), ("DELETE", "", None),
    ("POST", "set_password/", {"password": NEW}), ("POST", "deactivate/", None),
])
def test_nobody_touches_somebody_elses_account(stack, shop, ann, method, action, body):
    eve = shop.user("eve")
    path = f"/api/v1/users/{eve.id}/{action}"
    before = row(stack, eve)
    answer = stack.http(method, path, body, ann.access)
    assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert stack.http(method, path, body).status == 401
    # The key in another form is the same key.
    assert stack.http(method, f"/api/v1/users/{eve.id.upper()}/{action}", body, ann.access).status == 403
    assert stack.http(method, f"/api/v1/users/{UNKNOWN}/{action}", body, ann.access).status == 404
    assert stack.http(method, f"/api/v1/users/x'%20OR%20'1'='1/{action}", body, ann.access).status == 404
    assert row(stack, eve) == before


def test_staff_may(stack, shop, staff):
    eve = shop.user("eve")
    assert stack.http("POST", f"/api/v1/users/{eve.id}/set_password/", {"password": NEW}, staff.access).status == 200
    assert shop.log_in(eve.email, NEW).id == eve.id
    assert stack.http("POST", f"/api/v1/users/{eve.id}/deactivate/", token=staff.access).status == 200
    assert stack.http("GET", "/api/v1/users/me/", token=eve.access).json["code"] == "user_inactive"


def test_a_deactivated_user_is_refused_by_every_loop_from_the_answer_on(stack, shop):
    """Many connections, so that the kernel spreads them over the loops, all of which have seen the user before."""
    for _ in range(5):
        eve = shop.user("eve")

        def asked(_, eve=eve):
            return stack.http("GET", "/api/v1/users/me/", token=eve.access).status

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(asked, range(16))) == {200}
            assert stack.http("POST", f"/api/v1/users/{eve.id}/deactivate/", token=eve.access).status == 200
            assert set(pool.map(asked, range(16))) == {401}


def test_following_is_kept_once(stack, shop):
    eve, eva = shop.user("eve"), shop.user("eva")

    def kept():
        return stack.sql("SELECT to_user_id::text FROM users_following WHERE from_user_id = %s", eve.id)

    for action, status, rows in (("follow", "followed", [(eva.id,)]), ("follow", "followed", [(eva.id,)]),
                                 ("unfollow", "unfollowed", []), ("unfollow", "unfollowed", [])):
        answer = stack.http("POST", f"/api/v1/users/{eva.id}/{action}/", token=eve.access)
        assert (answer.status, answer.json, kept()) == (200, {"status": status}, rows)
    assert stack.http("POST", f"/api/v1/users/{eve.id}/follow/", token=eve.access).json == {
        "non_field_errors": ["You cannot follow yourself."]}


# --- passwords by mail ---------------------------------------------------------------------------------------------


def mails(stack, address):
    return [kwargs for (kwargs,) in stack.sql("SELECT kwargs FROM job_outbox WHERE task = 'email.send' AND "
                                              "position(%s in kwargs::text) > 0 ORDER BY created_at", address)]


def ask_for_reset(stack, user):
    answer = stack.http("POST", "/api/v1/auth/password-reset/", {"email": user.email})
    assert answer.json == {"status": "password reset email sent"}
    text = mails(stack, user.email)[-1]["message"]
    assert text.startswith("Hello "), text
    return {line.split(" is ")[0]: line.split(" is ")[1] for line in text.splitlines() if " is " in line}


def confirm(stack, said, password=NEW, **changed):
    return stack.http("POST", "/api/v1/auth/password-reset/confirm/",
                      {"uid": said["your uid"], "token": said["your reset token"], "password": password, **changed})


REFUSED = (400, {"token": ["Invalid or expired token."]})


def outcome(answer):
    return answer.status, answer.json


def test_a_reset_works_once_and_ends_every_session(stack, shop):
    eve = shop.user("eve")
    said = ask_for_reset(stack, eve)
    assert base64.urlsafe_b64decode(said["your uid"] + "==").decode() == eve.id
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: outcome(confirm(stack, said, f"{NEW}-{n}")), range(4)))
    assert sorted(answer[0] for answer in answers) == [200, 400, 400, 400]
    assert answers.count(REFUSED) == 3
    assert outcome(confirm(stack, said)) == REFUSED
    assert stack.http("POST", "/api/v1/token/refresh/", {"refresh": eve.refresh}).json["detail"] == "Token is blacklisted"


@pytest.mark.parametrize("what", ["a login", "another password", "another address", "deactivation"])
def test_a_reset_ends_with_what_it_is_bound_to(stack, shop, what):
    eve = shop.user("eve")
    # Logins are told apart by the second, as Django does.
    stack.sql("UPDATE users SET last_login = now() - interval '1 hour' WHERE id = %s", eve.id)
    said = ask_for_reset(stack, eve)
    if what == "a login":
        shop.log_in(eve.email)
    elif what == "another password":
        stack.http("POST", f"/api/v1/users/{eve.id}/set_password/", {"password": "Another-Lagoon-9"}, eve.access)
    elif what == "another address":
        stack.http("PATCH", "/api/v1/users/update_profile/", {"email": f"{unique('new')}@example.com"}, eve.access)
    else:
        stack.http("POST", f"/api/v1/users/{eve.id}/deactivate/", token=eve.access)
    assert outcome(confirm(stack, said)) == REFUSED


def test_a_reset_of_one_is_none_of_another(stack, shop):
    eve, eva = shop.user("eve"), shop.user("eva")
    said, hers = ask_for_reset(stack, eve), ask_for_reset(stack, eva)
    assert outcome(confirm(stack, said, uid=hers["your uid"])) == REFUSED
    for uid in ("", " ", "x", "é", "A" * 48, base64.urlsafe_b64encode(b"' OR '1'='1").decode(), said["your uid"] * 1000,
                base64.urlsafe_b64encode(b"0-1-8-9-0000000070008000000000000000").decode()):
        answer = confirm(stack, said, uid=uid)
        assert answer.status == 400 and ("token" in answer.json or "uid" in answer.json), answer
    for token in ("-", "a-b", said["your reset token"][:-1], "0" + said["your reset token"], "x" * 100000):
        assert outcome(confirm(stack, said, token=token)) == REFUSED
    assert confirm(stack, said, "k4#Zq").json == {
        "password": ["This password is too short. It must contain at least 8 characters."]}
    assert confirm(stack, said, is_staff=True, email="x@example.com").status == 200
    assert stack.sql("SELECT is_staff, email FROM users WHERE id = %s", eve.id) == [(False, eve.email)]


def test_nobody_is_mailed_for_who_is_not_there(stack, shop):
    eve = shop.user("eve")
    stack.http("POST", f"/api/v1/users/{eve.id}/deactivate/", token=eve.access)
    before = len(mails(stack, eve.email))
    for path in ("password-reset", "resend-verification"):
        for address in (eve.email, "nobody@example.com"):
            assert stack.http("POST", f"/api/v1/auth/{path}/", {"email": address}).status == 200
    assert len(mails(stack, eve.email)) == before and not mails(stack, "nobody@example.com")


def test_the_verification_is_sent_again_while_it_is_needed(stack, shop):
    eve = shop.user("eve")
    resend = ("POST", "/api/v1/auth/resend-verification/", {"email": eve.email})
    token = str(stack.sql("SELECT email_verification_token FROM users WHERE id = %s", eve.id)[0][0])
    before = len(mails(stack, eve.email))
    assert stack.http(*resend).status == 200 and len(mails(stack, eve.email)) == before + 1
    assert f"your verification token is {token}\n" in mails(stack, eve.email)[-1]["message"]
    assert stack.http("POST", "/api/v1/auth/verify-email/", {"token": token}).status == 200
    assert stack.http(*resend).status == 200 and len(mails(stack, eve.email)) == before + 1


# --- encodings -----------------------------------------------------------------------------------------------------


def pbkdf2(password, rounds=1000):
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", rounds)
    return f"pbkdf2_sha256${rounds}$salt${base64.b64encode(made).decode()}"


def stored(stack, user):
    return stack.sql("SELECT password FROM users WHERE id = %s", user.id)[0][0]


def test_an_old_encoding_is_rewritten_at_login_and_a_good_one_is_left(stack, shop):
    eve = shop.user("eve")
    old = pbkdf2("From-Django-1")
    stack.sql("UPDATE users SET password = %s WHERE id = %s", old, eve.id)
    assert stack.http("POST", "/api/v1/token/", {"email": eve.email, "password": "wrong"}).status == 401
    assert stored(stack, eve) == old
    shop.log_in(eve.email, "From-Django-1")
    new = stored(stack, eve)
    assert new.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    shop.log_in(eve.email, "From-Django-1")
    assert stored(stack, eve) == new


@pytest.mark.parametrize("text", ["", "!", "!abcdef", "plain", "md5$salt$hash", "argon2$", "pbkdf2_sha256$1$"])
def test_what_is_no_password_opens_nothing(stack, shop, text):
    eve = shop.user("eve")
    stack.sql("UPDATE users SET password = %s WHERE id = %s", text, eve.id)
    for password in (text or "x", "x", PASSWORD):
        assert stack.http("POST", "/api/v1/token/", {"email": eve.email, "password": password}).status == 401
