"""The operator's command: what it does, and that whoever mistypes is told in one sentence."""

import json
import subprocess

import pytest

from apium import BUILD, PATIENCE, TOP, Stack

MIGRATIONS = str(TOP / "migrations")
EVERY = sorted(path.name.removesuffix(".up.sql").replace("_", " ", 1) for path in (TOP / "migrations").glob("*.up.sql"))


def refused(stack, status, *words, text=""):
    """The one sentence on standard error."""
    said = stack.apium(*words, text=text, status=status)
    lines = [line for line in said.splitlines() if line.startswith("apium: ")]
    assert len(lines) == 1, said
    return lines[0].removeprefix("apium: ")


@pytest.mark.parametrize("words, sentence", [
    (["migrat", "up"], "there is no command migrat; did you mean migrate?"),
    (["frobnicate"], "there is no command frobnicate; `apium help` lists them"),
    (["migrate"], "migrate takes up, down or status, and perhaps a number of files"),
    (["migrate", "sideways"], "migrate takes up, down or status, not sideways"),
    (["migrate", "up", "many"], "migrate takes up, down or status, and perhaps a number of files"),
    (["migrate", "up", "--foldr", "x"], "there is no --foldr; did you mean --folder?"),
    (["migrate", "up", "--folder"], "--folder needs FOLDER"),
    (["createsuperuser", "--email", "a@example.com"], "createsuperuser needs --email ADDRESS and --password-stdin"),
    (["createsuperuser", "--mail", "a@example.com"], "there is no --mail; did you mean --email?"),
    (["settings", "all"], "settings takes no words, not all"),
    (["queues", "all"], "queues takes no words, not all"),
    (["enqueue"], "enqueue takes the name of one task"),
    (["drf_create_token"], "drf_create_token takes one address of a user"),
    (["warm-cache"], "warm-cache needs --as ADDRESS"),
    (["warm-cache", "--as", "a@example.com", "all"], "warm-cache takes no words, not all"),
    (["flush_expired_tokens", "all"], "flush_expired_tokens takes no words, not all"),
    (["flush_expired_token"], "there is no command flush_expired_token; did you mean flush_expired_tokens?"),
    (["dead", "sing"], "dead takes list, show, retry or purge, not sing"),
    (["dead", "show"], "dead show needs a letter; `apium dead list` names them"),
])
def test_a_slip_is_told_in_one_sentence(stack, words, sentence):
    assert refused(stack, 2, *words) == sentence


def test_help_names_every_command(stack):
    said = stack.apium("help")
    assert stack.apium() == said == stack.apium("--help")
    for name in ("migrate", "createsuperuser", "settings", "enqueue", "queues", "dead", "drf_create_token",
                 "flush_expired_tokens", "warm-cache", "schedule", "worker|gateway|beat"):
        assert f"apium {name} " in said
    assert stack.apium("--version").startswith("apium 0.")


def test_settings_are_printed_with_their_meaning_and_no_secret(stack):
    said = stack.apium("settings")
    assert "APIUM_ENV=test" in said and "APIUM_THREADS=2" in said
    assert f"APIUM_MEDIA_ROOT={stack.media}" in said
    assert "Event loops of the gateway" in said
    assert stack.postgres.url not in said and "DATABASE_URL=***" in said
    names = [line.split("=")[0] for line in said.splitlines() if line[:1].isupper() and "=" in line]
    rows = (TOP / "common/base/settings.def").read_text().split('SETTING("')[1:]
    assert names == [row.split('"')[0] for row in rows]


def test_a_bad_setting_is_told_in_one_sentence(stack):
    done = subprocess.run([BUILD / "apium", "settings"], env={**stack.environment, "APIUM_THREDS": "2"},
                          capture_output=True, text=True, timeout=20 * PATIENCE)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "APIUM_THREDS" in done.stderr and "did you mean APIUM_THREADS?" in done.stderr


# --- migrations --------------------------------------------------------------------------------------------------------


def migrate(stack, *words, status=0):
    return stack.apium("migrate", *words, "--folder", MIGRATIONS, status=status)


def tables(stack):
    return {name for name, in stack.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_migrations_go_up_and_down(stack):
    assert len(EVERY) >= 3
    before = tables(stack)
    status = migrate(stack, "status")
    assert all(name in status for name in EVERY) and tables(stack) == before, "status changes nothing"
    first = migrate(stack, "up", "1")
    assert EVERY[0] in first and EVERY[1] not in first
    assert "users" in tables(stack) and "products" not in tables(stack)
    rest = migrate(stack, "up")
    assert EVERY[0] not in rest and all(name in rest for name in EVERY[1:])
    assert {"users", "products", "product_images", "job_outbox"} <= tables(stack)
    whole = tables(stack)
    schema = stack.sql("SELECT table_name, column_name, data_type FROM information_schema.columns "
                       "WHERE table_schema = 'public' ORDER BY 1, 2")
    again = migrate(stack, "up")
    assert not any(name in again for name in EVERY)
    queue = next(i for i, name in enumerate(EVERY) if name.endswith(" queue"))
    migrate(stack, "down", str(len(EVERY) - queue))
    assert "job_outbox" not in tables(stack) and "products" in tables(stack)
    migrate(stack, "down", str(len(EVERY)))
    assert not {"users", "products"} & tables(stack)
    migrate(stack, "up")
    assert tables(stack) == whole
    assert schema == stack.sql("SELECT table_name, column_name, data_type FROM information_schema.columns "
                               "WHERE table_schema = 'public' ORDER BY 1, 2")


def test_a_migration_that_fails_changes_nothing(stack, tmp_path):
    (tmp_path / "202601010000_one.up.sql").write_text("CREATE TABLE one (id int);\n")
    (tmp_path / "202601010001_two.up.sql").write_text("CREATE TABLE two (id int);\nCREATE TABLE\n  two (id int);\n")
    said = stack.apium("migrate", "up", "--folder", str(tmp_path), status=1)
    assert "202601010001_two.up.sql" in said and 'relation "two" already exists' in said
    assert "one" in tables(stack) and "two" not in tables(stack)
    stack.sql("DROP TABLE one")


def test_a_folder_that_is_not_there_is_named(stack):
    assert "/nowhere" in refused(stack, 2, "migrate", "up", "--folder", "/nowhere")


# --- users -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running():
    """Servers, a gateway and a worker with the diagnostic tasks."""
    with Stack(APIUM_DIAG="on") as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


def create(stack, email, password, status=0):
    return stack.apium("createsuperuser", "--email", email, "--password-stdin", text=password, status=status)


def test_a_superuser_may_log_in_and_do_everything(running):
    create(running, "root@example.com", "Any-Password-1\n")
    answer = running.http("POST", "/api/v1/auth/login/", {"email": "root@example.com", "password": "Any-Password-1"})
    assert answer.status == 200 and answer.json["user"]["is_staff"] is True
    token = answer.json["tokens"]["access"]
    assert running.http("GET", "/api/v1/users/", token=token).status == 200
    row = running.sql("SELECT is_superuser, is_staff, is_active, email_verified FROM users WHERE email = 'root@example.com'")
    assert row == [(True, True, True, True)]


def test_a_second_one_of_that_address_is_refused(running):
    create(running, "twin@example.com", "Any-Password-1\n")
    assert refused(running, 1, "createsuperuser", "--email", "twin@example.com", "--password-stdin", text="Other-1\n") == \
        "a user with the address twin@example.com exists already"


def test_an_empty_password_is_refused(running):
    for text, sentence in (("", "there is no password on standard input"), ("\n", "the password on standard input is empty")):
        assert refused(running, 2, "createsuperuser", "--email", "no@example.com", "--password-stdin", text=text) == sentence
    assert running.sql("SELECT count(*) FROM users WHERE email = 'no@example.com'") == [(0,)]


# --- jobs ------------------------------------------------------------------------------------------------------------------


def test_a_job_is_run_and_its_result_printed(running):
    for words, result in ((["diag.add", "--args", "[2, 3]"], 5), (["diag.echo", "--kwargs", '{"größe": [1, null]}'], {"größe": [1, None]})):
        said = json.loads(running.apium("enqueue", *words, "--wait"))
        assert (said["status"], said["result"]) == ("SUCCESS", result)


def test_without_waiting_the_key_of_the_job_is_printed(running):
    id = running.apium("enqueue", "diag.add", "--kwargs", '{"x": 1, "y": 2}').strip()
    assert len(id) == 36
    running.wait_for("the result", lambda: running.redis.get(f"celery-task-meta-{id}"))


@pytest.mark.parametrize("words, sentence", [
    (["diag.ad"], "there is no task diag.ad; did you mean diag.add?"),
    (["nothing.at.all"], "there is no task nothing.at.all"),
    (["diag.add", "--args", "[1"], "--args is not JSON: Expecting ',' delimiter: line 1 column 3 (char 2)"),
    (["diag.add", "--args", "{}"], "--args must be an array"),
    (["diag.add", "--kwargs", "[]"], "--kwargs must be an object"),
    (["diag.add", "--args", "[1]"], "diag.add() missing 1 required argument: 'y'"),
    (["diag.add", "--args", "[1, 2]", "--eta", "soon"], "--eta takes a time such as 2026-01-31T12:00:00Z, not soon"),
])
def test_a_wrong_job_is_refused_at_once(running, words, sentence):
    assert refused(running, 2, "enqueue", *words) == sentence


def counts(stack):
    """{queue: [waiting, in flight, scheduled, dead]}"""
    head, *rows = stack.apium("queues").splitlines()
    assert head.split() == ["queue", "waiting", "in", "flight", "scheduled", "dead"]
    return {row.split()[0]: list(map(int, row.split()[1:])) for row in rows}


def test_what_lies_in_a_queue_is_counted(running):
    running.wait_for("rest", lambda: counts(running) == {"default": [0, 0, 0, 0], "celery": [0, 0, 0, 0]})
    running.apium("enqueue", "diag.noop", "--eta", "2999-01-01T00:00:00Z")
    running.wait_for("the job to be scheduled", lambda: counts(running)["default"] == [0, 0, 1, 0])
    running.apium("enqueue", "diag.noop", "--queue", "celery", "--eta", "2999-01-01T00:00:00Z")
    running.wait_for("the other one too", lambda: counts(running)["celery"] == [0, 0, 1, 0])


def letters(stack):
    return [json.loads(line) for line in stack.apium("dead", "list").splitlines()]


def test_a_dead_letter_is_shown_tried_again_and_purged(running):
    running.redis.lpush("default", b"no message at all \xff")
    letter, = running.wait_for("the letter", lambda: letters(running))
    assert letter["queue"] == "default" and letter["reason"].startswith("undecodable: ")
    assert "no message at all \\xff" in running.apium("dead", "show", letter["letter"]), "the raw bytes are lost"
    running.apium("dead", "retry", letter["letter"])
    again, = running.wait_for("it to die again", lambda: letters(running))
    assert again["reason"] == letter["reason"]
    assert counts(running)["default"][3] == 1
    running.apium("dead", "purge", again["letter"])
    assert letters(running) == []
    assert again["letter"] in refused(running, 1, "dead", "show", again["letter"])


def test_a_task_that_nobody_knows_becomes_a_dead_letter(running):
    running.sql("SELECT apium_enqueue('no.such_task', '{}')")
    letter, = running.wait_for("the letter", lambda: letters(running))
    assert letter["task"] == "no.such_task"
    running.apium("dead", "purge", letter["letter"])


def test_servers_that_are_away_are_named():
    with Stack(migrate=False) as stack:
        stack.redis_server.stop()
        assert "redis" in refused(stack, 1, "queues").lower()
        stack.postgres.stop()
        assert "connection to server" in refused(stack, 1, "migrate", "status", "--folder", MIGRATIONS)
        assert refused(stack, 1, "createsuperuser", "--email", "a@example.com", "--password-stdin", text="x\n").startswith(
            "no connection to PostgreSQL")
