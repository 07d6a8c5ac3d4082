"""Groups, permissions and grants of single rows: who sees and does what, and that a change of them holds at once."""

import pytest

from apium import Stack
from engine_side import PROGRAM, SCHEMA, make_user, statements
from shop import unique

FORBIDDEN = {"detail": "You do not have permission to perform this action."}
ARTICLES = "/api/v1/articles/"


def article(stack, owner, published=False, **fields):
    title = fields.get("title") or unique("article")
    return str(stack.sql("INSERT INTO articles (id, title, body, owner_id, published) VALUES (gen_random_uuid(), %s, %s, %s, %s) "
                         "RETURNING id", title, fields.get("body", "words"), owner.id, published)[0][0])


def email(stack, user):
    return stack.sql("SELECT email FROM users WHERE id = %s", user.id)[0][0]


def grant(stack, *words):
    return stack.apium("grant", *words)


def listed(stack, user):
    return {row["id"] for row in stack.http("GET", ARTICLES + "?page=last", token=user.access).json["results"]}


def change(stack, user, row, **more):
    return stack.http("PATCH", f"{ARTICLES}{row}/", {"body": "changed"}, user.access, **more)


def test_who_has_no_right_may_not(stack, new_user):
    ann, bob = new_user(), new_user()
    row = article(stack, ann, published=True)
    for answer in (stack.http("POST", ARTICLES, {"title": "New"}, bob.access), change(stack, bob, row),
                   stack.http("DELETE", f"{ARTICLES}{row}/", token=bob.access)):
        assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert stack.http("POST", ARTICLES, {"title": "New"}).status == 401
    assert change(stack, ann, row).status == 200


@pytest.mark.parametrize("through", ["user", "group"])
def test_a_permission_of_oneself_or_of_a_group(stack, new_user, through):
    ann, bob = new_user(), new_user()
    row = article(stack, ann, published=True)
    group = unique("staff")
    if through == "group":
        stack.apium("groups", "create", group)
        stack.apium("groups", "add", group, email(stack, bob))
    holder = ("--user", email(stack, bob)) if through == "user" else ("--group", group)
    assert "may now" in grant(stack, "press.change_article", *holder)
    grant(stack, "press.delete_article", *holder)
    assert change(stack, bob, row).status == 200
    stack.apium("revoke-grant", "press.change_article", *holder)
    assert change(stack, bob, row).status == 403
    assert stack.http("DELETE", f"{ARTICLES}{row}/", token=bob.access).status == 204


def test_conditions_are_put_together(stack, new_user):
    """has_perm or in_group and not in_group: `and` binds before `or`."""
    bob = new_user()
    for name in ("writers", "guests"):
        stack.sql("INSERT INTO auth_group (name) VALUES (%s) ON CONFLICT DO NOTHING", name)
    address = email(stack, bob)

    def may():
        return stack.http("POST", ARTICLES, {"title": unique("new")}, bob.access).status == 201

    assert not may()
    stack.apium("groups", "add", "writers", address)
    assert may()
    stack.apium("groups", "add", "guests", address)
    assert not may()
    grant(stack, "press.add_article", "--user", address)
    assert may()
    stack.apium("groups", "remove", "guests", address)
    stack.apium("groups", "remove", "writers", address)
    assert may()
    # In SQL, of a row: has_perm and not in_group.
    row = article(stack, new_user(), published=True)
    grant(stack, "press.change_article", "--user", address)
    assert change(stack, bob, row).status == 200
    stack.apium("groups", "add", "guests", address)
    assert change(stack, bob, row).status == 403


@pytest.mark.parametrize("through", ["user", "group"])
def test_a_grant_of_one_row(stack, new_user, through):
    ann, bob = new_user(), new_user()
    row, other = article(stack, ann), article(stack, ann)
    group = unique("readers")
    stack.apium("groups", "create", group)
    stack.apium("groups", "add", group, email(stack, bob))
    holder = ("--user", email(stack, bob)) if through == "user" else ("--group", group)
    assert stack.http("GET", f"{ARTICLES}{row}/", token=bob.access).status == 404
    grant(stack, "view", "--on", f"article/{row}", *holder)
    assert stack.http("GET", f"{ARTICLES}{row}/", token=bob.access).status == 200
    assert stack.http("GET", f"{ARTICLES}{other}/", token=bob.access).status == 404
    assert stack.http("GET", f"{ARTICLES}{row}/").status == 404
    assert change(stack, bob, row).status == 403, "to see is not to change"
    grant(stack, "change", "--on", f"article/{row}", *holder)
    assert change(stack, bob, row).status == 200
    assert change(stack, bob, other).status == 404
    stack.apium("revoke-grant", "view", "--on", f"article/{row}", *holder)
    assert stack.http("GET", f"{ARTICLES}{row}/", token=bob.access).status == 404


def test_lists_obey_grants(stack, new_user):
    ann, bob = new_user(), new_user()
    rows = {article(stack, ann, title=unique("zz")) for _ in range(3)}
    shown = next(iter(rows))
    before = stack.http("GET", ARTICLES, token=bob.access).json["count"]
    grant(stack, "view", "--on", f"article/{shown}", "--user", email(stack, bob))
    assert stack.http("GET", ARTICLES, token=bob.access).json["count"] == before + 1
    assert listed(stack, bob) & rows == {shown}
    # A permission shows all of them.
    grant(stack, "press.view_article", "--user", email(stack, bob))
    assert listed(stack, bob) >= rows


def test_a_superuser_may_everything(stack, new_user):
    row = article(stack, new_user())
    chief = new_user(superuser=True)
    assert stack.http("GET", f"{ARTICLES}{row}/", token=chief.access).status == 200
    assert change(stack, chief, row).status == 200
    assert stack.http("POST", ARTICLES, {"title": "Chief's"}, chief.access).status == 201
    assert stack.http("DELETE", f"{ARTICLES}{row}/", token=chief.access).status == 204


def test_what_they_cost(stack, new_user):
    """A page, its count, and without the cache the caller's rights."""
    bob = new_user()
    row = article(stack, bob, published=True)
    assert statements(stack, bob, ARTICLES) == 3
    assert statements(stack, bob, f"{ARTICLES}{row}/") == 2


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keeping():
    with Stack(APIUM_ENV="development", APIUM_THREADS="2", APIUM_CACHE="on", APIUM_CACHE_PREFIX="t:") as stack:
        stack.sql(SCHEMA.read_text())
        stack.start_gateway(program=PROGRAM)
        yield stack


def test_rights_are_kept_until_somebody_writes_them(keeping):
    bob = make_user(keeping)
    path = ARTICLES
    # Each loop reads who he is once; then only the page and its count are left.
    keeping.wait_for("the set from the cache", lambda: statements(keeping, bob, path) == 2)
    assert keeping.redis.exists(f"t:user_perms:{bob.id}")
    version = keeping.redis.get("t:apium:cache:group:user_perms")
    row = article(keeping, make_user(keeping), published=True)
    assert change(keeping, bob, row).status == 403
    # Another program writes the tables: a plain INSERT.
    keeping.sql("WITH p AS (INSERT INTO auth_permission (name, codename) VALUES ('Can change article', 'press.change_article') "
                "RETURNING id) INSERT INTO users_user_permissions (user_id, permission_id) SELECT %s, id FROM p", bob.id)
    keeping.wait_for("the right", lambda: all(change(keeping, bob, row).status == 200 for _ in range(6)))
    assert keeping.redis.get("t:apium:cache:group:user_perms") != version
    keeping.sql("DELETE FROM users_user_permissions WHERE user_id = %s", bob.id)
    keeping.wait_for("its end", lambda: all(change(keeping, bob, row).status == 403 for _ in range(6)))


# --- the command -----------------------------------------------------------------------------------------------------


def test_groups_are_listed_and_shown(stack, new_user):
    bob = new_user()
    name = unique("editors")
    stack.apium("groups", "create", name)
    stack.apium("groups", "add", name, email(stack, bob))
    grant(stack, "press.view_article", "--group", name)
    assert any(line.split() == [name, "1", "member", "1", "permission"] for line in stack.apium("groups", "list").splitlines())
    shown = stack.apium("groups", "show", name)
    assert email(stack, bob) in shown and "press.view_article" in shown
    stack.apium("groups", "drop", name)
    assert name not in stack.apium("groups", "list")


@pytest.mark.parametrize("words, status, sentence", [
    (("grant", "nonsense", "--user", "a@example.com"), 2, "nonsense is no permission like blog.change_post"),
    (("grant", "press.view_article"), 2, "needs --user ADDRESS or --group NAME"),
    (("grant", "press.view_article", "--user", "nobody@example.com"), 1, "there is no user with the address nobody@example.com"),
    (("grant", "view", "--on", "article", "--group", "x"), 2, "--on takes RESOURCE/ID"),
    (("groups", "show", "nowhere"), 1, "there is no group nowhere"),
    (("groups", "drop"), 2, "groups drop takes"),
    (("groups", "shw"), 2, "did you mean show"),
])
def test_a_command_says_what_is_wrong(stack, words, status, sentence):
    assert sentence in stack.apium(*words, status=status)
