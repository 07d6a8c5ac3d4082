"""PgBouncer in transaction mode between the programs and PostgreSQL, with fewer server connections than clients: sessions
are shared, so nothing may be left in one, and everything works."""

import json
import os
import signal
import subprocess
import sys

import page
import psycopg
import pytest

from apium import PATIENCE, TOP, Stack, as_postgres, free_port, wait_for
from shop import Shop


class Bouncer:
    def __init__(self, stack):
        self.port = free_port()
        self.folder = stack.folder / "bouncer"
        self.folder.mkdir()
        self.configuration = self.folder / "pgbouncer.ini"
        (self.folder / "users").write_text('"postgres" ""\n')
        text = page.file("pgbouncer.ini", apium=f"host={stack.postgres.folder} dbname=apium", listen_port=self.port,
                         auth_type="trust", auth_file=self.folder / "users", default_pool_size=3)
        self.configuration.write_text(f"{text}unix_socket_dir =\n")
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/apium"
        self.process = None
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["pgbouncer", str(self.configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            **as_postgres())
        wait_for("PgBouncer", self.answers, 20)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def stop(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(20)


@pytest.fixture(scope="module")
def stack():
    # Times that are not UTC's unless a session says so.
    with Stack(postgres_settings=("timezone=Asia/Tokyo", "datestyle=German"), APIUM_DIAG="on", APIUM_DB_PREPARE="off") as stack:
        bouncer = stack.bouncer = Bouncer(stack)
        try:
            stack.environment["DATABASE_DIRECT_URL"] = stack.environment["DATABASE_URL"]
            stack.environment["DATABASE_URL"] = bouncer.url
            stack.start_gateway()
            stack.start_worker()
            yield stack
        finally:
            bouncer.stop()


def jobs_are_done(stack):
    stack.wait_for("every job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)], 60)


def test_migrations_go_past_it(stack):
    assert "applied" in stack.apium("migrate", "status", "--folder", str(TOP / "migrations"))


def test_the_main_job_is_done(stack):
    done = subprocess.run([sys.executable, str(TOP / "tools/main_job.py"), "--base", f"http://127.0.0.1:{stack.port}", "--mail",
                           str(stack.mail)], capture_output=True, text=True, timeout=90 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs_are_done(stack)


def test_jobs_have_their_effects_once(stack):
    for number in range(400):
        stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": f"pool-{number % 20}"}))
    jobs_are_done(stack)
    assert stack.sql("SELECT count(*), min(count), max(count) FROM diag_counter WHERE starts_with(key, 'pool-')") == [(20, 20, 20)]


def test_one_beat_leads(stack):
    """Its lease is a row, not a session's lock."""
    stack.apium("schedule", "add", "pooled", "--task", "diag.count", "--kwargs", '{"key": "beat"}', "--every", "1", "--missed", "all")
    beats = [stack.start("apium-beat", APIUM_BEAT_LEASE="1") for _ in range(2)]
    ran = "SELECT count(*) FROM beat_tick WHERE outcome = 'run'"
    stack.wait_for("some runs", lambda: stack.sql(ran)[0][0] >= 2)
    [leader] = [beat for beat in beats if "leading, term" in beat.log]
    leader.kill()
    stack.wait_for("more runs", lambda: stack.sql(ran)[0][0] >= 5)
    stack.apium("schedule", "pause", "pooled")
    jobs_are_done(stack)
    count, span = stack.sql("SELECT count(*), extract(epoch FROM max(planned_at) - min(planned_at))::int + 1 FROM beat_tick "
                            "WHERE outcome = 'run'")[0]
    assert [(count,)] == [(span,)] == stack.sql("SELECT count FROM diag_counter WHERE key = 'beat'")
    assert [beat.stop() for beat in beats if beat is not leader] == [0]


def test_every_time_is_utc_whichever_session_answers(stack):
    ann = Shop(stack).user("pooled")
    zones = set()
    for _ in range(60):
        joined = stack.http("GET", "/api/v1/users/me/", token=ann.access).json["date_joined"]
        zones.add(joined)
    assert len(zones) == 1 and zones.pop().endswith("Z"), zones


def test_nothing_is_left_in_the_sessions(stack):
    ann = Shop(stack).user("tidy")
    assert stack.http("PATCH", "/api/v1/users/update_profile/", {"first_name": "Tidy"}, token=ann.access).status == 200
    with psycopg.connect(stack.bouncer.url, autocommit=True, prepare_threshold=None) as other:
        for _ in range(40):
            assert other.execute("SELECT current_setting('idle_in_transaction_session_timeout'), "
                                 "current_setting('default_transaction_read_only'), current_setting('TimeZone')").fetchone() \
                == ("0", "off", "Asia/Tokyo")
    backends = stack.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^apium' AND backend_type = 'client backend'")
    assert backends[0][0] <= 3
    assert stack.sql("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_a_transaction_whose_process_stands_still_is_ended(stack):
    """The limit that a session cannot carry comes with each transaction."""
    [worker] = [program for program in stack.programs if program.name == "apium-worker"]
    key = "stopped"
    stack.sql("INSERT INTO diag_counter VALUES (%s, 0)", key)
    with psycopg.connect(stack.postgres.url) as lock:
        lock.execute("SELECT 1 FROM diag_counter WHERE key = %s FOR UPDATE", (key,))
        stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": key}))
        stack.wait_for("the job to wait for the row", lambda: stack.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == [(1,)])
        pids = [worker.pid, *worker.children()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    try:
        def state():
            return stack.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")[0][0]

        stack.wait_for("its transaction to be open", lambda: state() == 1)
        stack.wait_for("its transaction to be ended", lambda: state() == 0, 20)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    jobs_are_done(stack)
    assert stack.sql("SELECT count FROM diag_counter WHERE key = %s", key) == [(1,)]


def test_a_pooler_that_was_killed_is_found_again(stack):
    stack.bouncer.stop()
    assert stack.http("GET", "/readyz").status == 503
    stack.bouncer.start()
    stack.wait_for("the gateway to be ready again", lambda: stack.http("GET", "/readyz").status == 200, 20)
    stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": "again"}))
    jobs_are_done(stack)
    assert stack.sql("SELECT count FROM diag_counter WHERE key = 'again'") == [(1,)]
