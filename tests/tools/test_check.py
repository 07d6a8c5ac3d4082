"""`apium check`: one line for each thing that gateway and worker need, and what to do about what is missing."""

import subprocess

import pytest

from apium import BUILD, TOP, Stack, free_port

pytestmark = pytest.mark.slow

FOLDER = ("--folder", str(TOP / "migrations"))


@pytest.fixture(scope="module")
def checked():
    with Stack() as stack:
        yield stack


def check(stack, status, **environment):
    before = dict(stack.environment)
    stack.environment.update(environment)
    try:
        done = subprocess.run([str(BUILD / "apium"), "check", *FOLDER], env=stack.environment, capture_output=True,
                              text=True, timeout=120)
    finally:
        stack.environment = before
    assert done.returncode == status, done.stdout + done.stderr
    lines = {}
    for line in done.stdout.splitlines():
        word, name, said = line[:6].strip(), line[6:18].strip(), line[19:]
        if word in ("ok", "warn", "FAIL"):
            lines[name] = (word, said)
    return lines


def test_all_is_well(checked):
    lines = check(checked, 0)
    assert set(lines) == {"settings", "open files", "media", "private", "mail", "migrations", "postgresql", "connections", "redis",
                          "eviction", "persistence", "clocks"}
    assert lines["settings"] == ("warn", "APIUM_ENV=test: not for real users")
    assert {name for name, (word, _) in lines.items() if word == "ok"} >= set(lines) - {"settings", "open files"}


def test_each_thing_that_is_missing_is_named(checked):
    lines = check(checked, 1, APIUM_ENV="production", APIUM_MEDIA_ROOT="/nowhere/media",
                  APIUM_MAIL_URL=f"smtp://127.0.0.1:{free_port()}")
    assert lines["settings"][0] == "FAIL" and "APIUM_SECRET_KEY" in lines["settings"][1]
    assert lines["media"][0] == "FAIL" and "/nowhere/media cannot be written" in lines["media"][1]
    assert lines["mail"][0] == "FAIL" and "APIUM_MAIL_URL" in lines["mail"][1]
    assert lines["postgresql"][0] == "ok"


def test_servers_that_do_not_answer(checked):
    lines = check(checked, 1, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert lines["redis"][0] == "FAIL" and "REDIS_URL" in lines["redis"][1]
    assert "eviction" not in lines and lines["postgresql"][0] == "ok"
    lines = check(checked, 1, DATABASE_URL="host=/nowhere dbname=x")
    assert lines["postgresql"][0] == lines["migrations"][0] == "FAIL" and "DATABASE_URL" in lines["postgresql"][1]
    assert lines["redis"][0] == "ok" and "connections" not in lines


def test_a_redis_that_may_lose_jobs(checked):
    checked.redis.config_set("maxmemory-policy", "allkeys-lru")
    checked.redis.config_set("appendonly", "no")
    try:
        lines = check(checked, 1)
    finally:
        checked.redis.config_set("maxmemory-policy", "noeviction")
        checked.redis.config_set("appendonly", "yes")
    assert lines["eviction"][0] == "FAIL" and "noeviction" in lines["eviction"][1]
    assert lines["persistence"][0] == "warn"


def test_migrations_that_are_not_applied(checked):
    checked.apium("migrate", "down", *FOLDER)
    try:
        lines = check(checked, 1)
    finally:
        checked.apium("migrate", "up", *FOLDER)
    assert lines["migrations"] == ("FAIL", "1 not applied: run `apium migrate up`")


def test_contradicting_settings_are_refused_with_both_names(checked):
    checked.environment["APIUM_SOFT_TIME_LIMIT"], checked.environment["APIUM_TIME_LIMIT"] = "20", "10"
    try:
        said = checked.apium("check", status=2)
    finally:
        del checked.environment["APIUM_SOFT_TIME_LIMIT"], checked.environment["APIUM_TIME_LIMIT"]
    assert "APIUM_SOFT_TIME_LIMIT and APIUM_TIME_LIMIT contradict each other" in said
