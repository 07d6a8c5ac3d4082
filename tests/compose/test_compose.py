"""compose.yaml as it stands: everything becomes healthy, the README's main job runs through it, nobody is root, and a
killed program comes back.

Runs with `./dev test compose` only: it needs a Docker engine with Compose, and builds the images.  Where there is none,
APIUM_COMPOSE may name a program that takes `run -p PROJECT --keep COMMAND`, `exec`, `crash`, `down -v -p PROJECT` and brings an
engine of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request

import pytest

from apium import TOP, free_port, wait_for

PROJECT = "apium-test"
OTHER = os.environ.get("APIUM_COMPOSE")


def run(command, seconds=2400, status=0, **environment):
    done = subprocess.run(command, cwd=TOP, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds)
    assert done.returncode == status, f"{command}: exit status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


class Compose:
    def __init__(self):
        self.port, self.mail_port = free_port(), free_port()
        self.environment = {"APIUM_PORT": str(self.port), "MAIL_PORT": str(self.mail_port)}

    def main_job(self):
        return [sys.executable, str(TOP / "tools/main_job.py"), "--base", f"http://127.0.0.1:{self.port}", "--mail",
                f"http://127.0.0.1:{self.mail_port}"]


class Docker(Compose):
    def up(self):
        if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode != 0:
            pytest.fail("there is no Docker engine here: start one, or name a program in APIUM_COMPOSE")
        self.compose("up", "--build", "--wait", "--detach")

    def compose(self, *words, **options):
        return run(["docker", "compose", "-p", PROJECT, *words], **options, **self.environment)

    def exec(self, service, *words):
        return self.compose("exec", "-T", service, *words)

    def crash(self, service):
        name = self.compose("ps", "-q", service).split()[0]
        pid = run(["docker", "inspect", "--format", "{{.State.Pid}}", name]).strip()
        os.kill(int(pid), 9)
        wait_for("its restart", lambda: run(["docker", "inspect", "--format", "{{.State.Running}} {{.State.Pid}}", name])
                 .split() not in (["true", pid], ["false", "0"]), 60)

    def images(self):
        return run(["docker", "images", "--format", "{{json .}}"])

    def down(self):
        self.compose("down", "-v")


class Other(Compose):
    def up(self):
        run([OTHER, "up", "-p", PROJECT], **self.environment)

    def exec(self, service, *words):
        return run([OTHER, "exec", "-p", PROJECT, service, *words], **self.environment)

    def crash(self, service):
        run([OTHER, "crash", "-p", PROJECT, service], **self.environment)

    def images(self):
        return run([OTHER, "docker", "images", "--format", "{{json .}}"])

    def down(self):
        run([OTHER, "down", "-v", "-p", PROJECT], **self.environment)


@pytest.fixture(scope="module")
def compose():
    compose = Other() if OTHER else Docker()
    try:
        compose.up()
        yield compose
    finally:
        compose.down()


def test_the_main_job_is_done(compose):
    done = run(compose.main_job(), 120)
    assert done.count("\n ok ") + done.startswith(" ok ") == 9 and "8 variants" in done, done


def test_nobody_is_root(compose):
    for service in ("gateway", "worker", "beat"):
        assert compose.exec(service, "id", "-u").split()[-1] == "10001"


def test_images_hold_no_compiler(compose):
    for service in ("gateway", "worker", "beat"):
        said = compose.exec(service, "sh", "-c", "command -v cc gcc meson ninja || echo none of them")
        assert "none of them" in said


def ask_postgres(compose, statement):
    return compose.exec("postgres", "psql", "-qXAt", "-U", "apium", "-c", statement).split()[-1:]


def is_leading(compose):
    try:
        return '"state": "leading"' in compose.exec("beat", "apium-beat", "health")
    except AssertionError:  # its exit status while it starts
        return False


def test_beat_leads_and_a_schedule_runs(compose):
    wait_for("beat to lead", lambda: is_leading(compose), 60)
    ask_postgres(compose, "INSERT INTO beat_schedule (name, task, every) VALUES ('compose', 'auth.purge_tokens', 1)")
    ticks = "beat_tick WHERE outcome = 'run' AND schedule_id = (SELECT id FROM beat_schedule WHERE name = 'compose')"
    wait_for("three runs", lambda: int(ask_postgres(compose, f"SELECT count(*) FROM {ticks}")[0]) >= 3, 60)
    ask_postgres(compose, "UPDATE beat_schedule SET is_paused = true WHERE name = 'compose'")
    left = f"SELECT count(*) FROM job_outbox WHERE id IN (SELECT id FROM {ticks})"
    wait_for("their jobs to have ended", lambda: ask_postgres(compose, left) == ["0"], 60)


def test_a_crashed_program_comes_back(compose):
    for service in ("gateway", "worker", "beat"):
        compose.crash(service)

    def is_ready():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{compose.port}/readyz", timeout=5) as answer:
                return json.load(answer)["status"] == "ok"
        except (OSError, ValueError):
            return False

    wait_for("the gateway to be ready again", is_ready, 60)
    wait_for("beat to lead again", lambda: is_leading(compose), 60)
    assert "8 variants" in run(compose.main_job(), 120)
