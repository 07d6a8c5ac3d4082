"""Periodic jobs: each planned time is decided once, whatever dies, and operators see and change what is planned."""

import json
import os
import random
import signal
import subprocess
import urllib.request

import pytest

from crontabs import rows
from jobs_stack import BUILD, Stack, free_port, wait_for

# Of a leader that is killed; the usual five seconds would only make the tests slow.
LEASE = {"APIUM_BEAT_LEASE": 1}


@pytest.fixture(scope="module")
def apium():
    """A worker and no beat."""
    with Stack(worker=True, **LEASE) as stack:
        stack.final(stack.push("diag.noop"))
        yield stack


@pytest.fixture
def beat(apium):
    program = start_beat(apium)
    yield program
    assert program.stop() in (0, -signal.SIGKILL)
    apium.postgres.sql("DELETE FROM beat_schedule WHERE NOT is_declared")


def start_beat(apium, **settings):
    return apium.start_program("apium-beat", **settings)


def is_leading(program):
    last = [line for line in program.log.splitlines() if "leading" in line]
    return bool(last) and "leading, term" in last[-1]


def refused(apium, *words, status=2):
    """What `apium` says when it does not do it."""
    done = subprocess.run([os.path.join(BUILD, "apium"), *words], env=apium.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == status, done
    return done.stderr


def add(apium, name, task, kwargs, *options):
    apium.apium("schedule", "add", name, "--task", task, "--kwargs", json.dumps(kwargs), *options)


def value(apium, query, **variables):
    rows = apium.postgres.sql(query, **variables)
    return rows[0][0] if rows else None


def number(apium, query, **variables):
    return int(value(apium, query, **variables) or 0)


RUNS = "SELECT count(*) FROM beat_tick JOIN beat_schedule s ON s.id = schedule_id WHERE s.name = :'name' AND outcome = 'run'"


def runs(apium, name):
    return number(apium, RUNS, name=name)


def counted(apium, key):
    return number(apium, "SELECT count FROM diag_counter WHERE key = :'key'", key=key)


def outcomes(apium, name):
    """{outcome: planned times}"""
    return {outcome: int(times) for outcome, times in apium.postgres.sql(
        "SELECT outcome, sum(times) FROM beat_tick JOIN beat_schedule s ON s.id = schedule_id WHERE s.name = :'name' "
        "GROUP BY outcome", name=name)}


def assert_each_second_once(apium, name):
    """From the first planned time to the last one, none is missing; and each was counted once."""
    apium.apium("schedule", "pause", name)
    wait_for(lambda: number(apium, "SELECT count(*) FROM job_outbox") == 0, "the jobs to end", 60)
    ran, span = apium.postgres.sql(
        "SELECT count(*), extract(epoch FROM max(planned_at) - min(planned_at))::bigint + 1 FROM beat_tick "
        "JOIN beat_schedule s ON s.id = schedule_id WHERE s.name = :'name' AND outcome = 'run'", name=name)[0]
    assert int(ran) == int(span) == counted(apium, name) >= 6


def test_crontabs_mean_what_celerys_mean(apium, tmp_path):
    """Random ones, asked of both."""
    seed = int(os.environ.get("APIUM_TEST_SEED", random.SystemRandom().randrange(1 << 30)))
    table = tmp_path / "crontabs"
    table.write_text("\n".join(rows(random.Random(seed), 600)) + "\n")
    # The program wants servers, also for a test that needs none.
    environment = {**os.environ, "APIUM_TEST_CRONTABS": str(table), "APIUM_TEST_REDIS_URL": apium.redis.url,
                   "APIUM_TEST_DATABASE_URL": f"postgresql:///apium?host={apium.postgres.folder}&user=apium"}
    done = subprocess.run([os.path.join(BUILD, "tests/unit/test-beat"), "--filter", "when/next_is_what_celery_says"], env=environment,
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"APIUM_TEST_SEED={seed}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert "Tested: 1 | Passing: 1" in done.stderr + done.stdout


# --- nothing is lost, nothing comes twice

def test_a_leader_is_killed_while_redis_forgets(apium, beat):
    wait_for(lambda: is_leading(beat), "a leader")
    other = start_beat(apium)
    add(apium, "seconds", "diag.count", {"key": "seconds"}, "--every", "1", "--missed", "all")
    wait_for(lambda: counted(apium, "seconds") >= 2, "some runs")
    beat.kill()
    apium.redis.call("FLUSHALL")
    wait_for(lambda: is_leading(other), "the other to lead")
    before = runs(apium, "seconds")
    wait_for(lambda: runs(apium, "seconds") >= before + 3, "more runs")
    apium.redis.kill()
    before = runs(apium, "seconds")
    wait_for(lambda: runs(apium, "seconds") >= before + 2, "runs without Redis")
    apium.redis.start()
    assert_each_second_once(apium, "seconds")
    assert other.stop() == 0


def test_a_leader_is_stopped_and_comes_back(apium, beat):
    """SIGSTOP in the middle: when it goes on, its lease is over, and it knows before it does anything."""
    wait_for(lambda: is_leading(beat), "a leader")
    add(apium, "stopped", "diag.count", {"key": "stopped"}, "--every", "1", "--missed", "all")
    other = start_beat(apium)
    wait_for(lambda: counted(apium, "stopped") >= 2, "some runs")
    beat.kill(signal.SIGSTOP)
    wait_for(lambda: is_leading(other), "the other to lead", 20)
    beat.kill(signal.SIGCONT)
    wait_for(lambda: not is_leading(beat), "the first to see it")
    wait_for(lambda: runs(apium, "stopped") >= 6, "more runs")
    assert is_leading(other)
    assert_each_second_once(apium, "stopped")
    assert other.stop() == 0


def test_postgres_is_restarted(apium, beat):
    add(apium, "restarted", "diag.count", {"key": "restarted"}, "--every", "1", "--missed", "all")
    wait_for(lambda: counted(apium, "restarted") >= 2, "some runs")
    apium.postgres.restart()
    wait_for(lambda: runs(apium, "restarted") >= 6, "more runs")
    assert_each_second_once(apium, "restarted")


def test_the_lead_is_given_up_at_the_end(apium):
    one = start_beat(apium, APIUM_BEAT_LEASE=60)
    wait_for(lambda: is_leading(one), "a leader")
    two = start_beat(apium, APIUM_BEAT_LEASE=60)
    wait_for(lambda: "beat " in two.log, "the other")
    assert not is_leading(two)
    assert one.stop() == 0
    wait_for(lambda: is_leading(two), "the other to lead", 10)
    assert two.stop() == 0


# --- what nobody ran in time, what has not ended

def test_missed_runs_by_their_policies(apium, beat):
    for policy in ("one", "skip", "all"):
        add(apium, policy, "diag.noop", {}, "--every", "1", "--missed", policy)
    wait_for(lambda: all(runs(apium, policy) >= 1 for policy in ("one", "skip", "all")), "some runs")
    assert beat.stop() == 0
    wait_for(lambda: value(apium, "SELECT bool_and(decided_until < now() - interval '4 seconds') FROM beat_schedule "
                                  "WHERE name IN ('one', 'skip', 'all')") == "t", "four seconds")
    second = start_beat(apium)
    wait_for(lambda: value(apium, "SELECT bool_and(decided_until > now() - interval '2 seconds') FROM beat_schedule "
                                  "WHERE name IN ('one', 'skip', 'all')") == "t", "them to be decided")
    assert second.stop() == 0
    assert outcomes(apium, "one")["missed"] >= 3 and outcomes(apium, "skip")["missed"] >= 3
    assert "missed" not in outcomes(apium, "all")
    assert sum(outcomes(apium, "all").values()) >= 5


def test_no_run_while_the_last_one_has_not_ended(apium, beat):
    add(apium, "slow", "diag.sleep", {"seconds": 2.2}, "--every", "1", "--overlap", "skip")
    most = 0
    while runs(apium, "slow") < 3:
        most = max(most, number(apium, "SELECT count(*) FROM job_outbox WHERE task = 'diag.sleep'"))
    assert most == 1
    assert outcomes(apium, "slow")["overlap"] >= 2
    apium.apium("schedule", "pause", "slow")


def test_arguments_that_do_not_fit_are_told(apium, beat):
    add(apium, "theirs", "theirs.task", {"whatever": 1}, "--every", "1", "--paused")
    apium.postgres.sql("UPDATE beat_schedule SET task = 'diag.add', is_paused = false WHERE name = 'theirs'")
    wait_for(lambda: outcomes(apium, "theirs").get("refused"), "it to be refused")
    assert "diag.add() got an unexpected keyword argument 'whatever'" in apium.apium("schedule", "history", "theirs")


# --- operators

def test_the_command(apium, beat):
    add(apium, "mine", "diag.count", {"key": "mine"}, "--crontab", "0 3 29 2 *", "--zone", "Europe/Berlin")
    wait_for(lambda: value(apium, "SELECT next_at FROM beat_schedule WHERE name = 'mine'"), "its next time")
    assert "2028-02-29T02:00:00Z" in apium.apium("schedule", "list")
    said = apium.apium("schedule", "show", "mine")
    assert '{"key": "mine"}' in said and "Europe/Berlin" in said and "declared in code   no" in said
    apium.apium("schedule", "change", "mine", "--zone", "UTC", "--missed", "skip")
    wait_for(lambda: "2028-02-29T03:00:00Z" in apium.apium("schedule", "show", "mine"), "its new time")
    job = apium.apium("schedule", "run", "mine").strip()
    assert apium.final(job)["result"] == 1
    assert job in apium.apium("schedule", "history", "mine", "--count", "1")
    apium.apium("schedule", "pause", "mine")
    assert "paused" in apium.apium("schedule", "show", "mine")
    apium.apium("schedule", "change", "mine", "--every", "1")
    assert runs(apium, "mine") == 0
    apium.apium("schedule", "resume", "mine")
    wait_for(lambda: runs(apium, "mine") >= 1, "a run")
    apium.apium("schedule", "remove", "mine")
    assert "there is no schedule mine" in refused(apium, "schedule", "show", "mine", status=1)


@pytest.mark.parametrize("words, sentence", [
    ((), "schedule takes list, show, add"),
    (("pause",), "schedule pause takes the name of one schedule"),
    (("list", "x"), "schedule list takes no name"),
    (("add", "x", "--every", "1"), "schedule add needs --task"),
    (("add", "x", "--task", "diag.noop"), "either a crontab or an interval is needed"),
    (("add", "x", "--task", "diag.noop", "--crontab", "* * * * 7"), "day of the week: 7 is not from 0 to 6"),
    (("add", "x", "--task", "diag.noop", "--crontab", "* * * * *", "--zone", "Here"), "there is no time zone Here"),
    (("add", "x", "--task", "diag.add", "--every", "1"), "missing 2 required arguments"),
    (("add", "x", "--task", "diag.noop", "--every", "1", "--missed", "some"), "missed is one of one, skip, all"),
])
def test_the_command_says_what_is_wrong(apium, words, sentence):
    assert sentence in refused(apium, "schedule", *words)


def test_what_the_code_declares(apium, beat):
    """Tokens that have expired are purged by the schedule of the code, some thousands at a time."""
    wait_for(lambda: value(apium, "SELECT next_at FROM beat_schedule WHERE name = 'purge-expired-tokens'"), "the declaration")
    assert value(apium, "SELECT crontab || zone FROM beat_schedule WHERE name = 'purge-expired-tokens'") == "0 2 * * *UTC"
    apium.postgres.sql("""
        INSERT INTO token_blacklist_outstandingtoken (token, jti, created_at, expires_at)
        SELECT 'x', i::text, now(), now() + CASE WHEN i <= 12000 THEN -1 ELSE 1 END * interval '1 hour' FROM generate_series(1, 12003) i;
        INSERT INTO token_blacklist_blacklistedtoken (token_id, blacklisted_at) SELECT id, now() FROM token_blacklist_outstandingtoken;
        INSERT INTO login_event (time, ip, agent, ok) SELECT now() - i * interval '60 days', '::1', 'x', true FROM generate_series(1, 3) i""")
    job = apium.apium("schedule", "run", "purge-expired-tokens").strip()
    assert apium.final(job)["result"] == {"tokens": 12000, "attempts": 2}
    assert number(apium, "SELECT count(*) FROM token_blacklist_outstandingtoken") == 3
    assert number(apium, "SELECT count(*) FROM token_blacklist_blacklistedtoken") == 3
    for verb in ("change", "remove"):
        assert "is declared in the code" in refused(apium, "schedule", verb, "purge-expired-tokens", status=1)
    apium.apium("schedule", "pause", "purge-expired-tokens")
    apium.apium("schedule", "resume", "purge-expired-tokens")


def test_it_tells_how_it_is(apium):
    port, health = free_port(), os.path.join(apium.folder, "beat.health")
    settings = {"APIUM_METRICS_LISTEN": f"127.0.0.1:{port}", "APIUM_HEALTH_FILE": health}

    def asked():
        return subprocess.run([os.path.join(BUILD, "apium"), "beat", "health"], env=apium.environment(**settings), capture_output=True,
                              text=True, check=False)

    assert asked().returncode == 1
    beat = start_beat(apium, **settings)
    wait_for(lambda: asked().returncode == 0, "its health")
    wait_for(lambda: '"state": "leading"' in asked().stdout, "it to lead")
    add(apium, "told", "diag.noop", {}, "--every", "1")
    wait_for(lambda: runs(apium, "told") >= 1, "a run")

    def metrics():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("apium_beat"))

    wait_for(lambda: float(metrics().get('apium_beat_ticks_total{outcome="run"}', 0)) >= 1, "the count")
    assert float(metrics()["apium_beat_leader"]) == 1 and 0 <= float(metrics()["apium_beat_lag_seconds"]) < 5
    assert -1 < float(metrics()["apium_beat_look_age_seconds"]) < 5
    apium.apium("schedule", "remove", "told")
    beat.kill(1)  # SIGHUP
    wait_for(lambda: "settings" in beat.log, "the settings to be read")
    assert beat.stop() == 0
    assert "beat has ended" in beat.log


def test_wrong_words(apium):
    done = subprocess.run([os.path.join(BUILD, "apium-beat"), "now"], env=apium.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "takes no argument but health and --version" in done.stderr
    done = subprocess.run([os.path.join(BUILD, "apium"), "beat", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("apium-beat ")
