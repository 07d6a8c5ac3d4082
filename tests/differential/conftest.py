"""Django and Apium side by side: a database of one PostgreSQL and a Redis database for each, and no worker at either."""

import os
import subprocess
import sys
from types import SimpleNamespace

import psycopg
import pytest

import apium
import replay

PROJECT = apium.TOP / "tests/django"
ADMIN = ("admin@example.com", "Sup3r-Secret-Pass!")
SECRET = "differential-secret-key-0123456789-0123456789"


def start_django(stack):
    """Its base address, when it answers."""
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE django")
    media = stack.folder / "django-media"
    media.mkdir()
    port = apium.free_port()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(PROJECT),
        "DJANGO_SETTINGS_MODULE": "config.settings", "DJANGO_SUPERUSER_PASSWORD": ADMIN[1], "APIUM_SECRET_KEY": SECRET,
        "DATABASE_URL": stack.postgres.url.replace("@/apium?", "@/django?"),
        "REDIS_URL": stack.redis_server.url.removesuffix("/0") + "/1",
        "APIUM_MEDIA_ROOT": str(media), "APIUM_MAIL_URL": f"file://{stack.folder}/django-mail",
    }
    for arguments in (["migrate", "--no-input", "-v", "0"],
                      ["ensure_superuser", "--email", ADMIN[0], "--username", "admin"]):
        done = subprocess.run([sys.executable, str(PROJECT / "manage.py"), *arguments], env=environment, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    server = apium.Program("django", [sys.executable, "-m", "gunicorn", "config.wsgi", "-b", f"127.0.0.1:{port}", "-w", "1",
                                      "--chdir", str(PROJECT), "--timeout", "60", "--log-level", "warning"],
                           environment, stack.folder)
    stack.programs.append(server)
    base = f"http://127.0.0.1:{port}"

    def answers():
        assert server.is_running(), server.log
        try:
            return replay.send(settings(base, "check"), "GET", "/readyz", {}, None).status == 200
        except replay.Trouble:
            return False

    apium.wait_for("Django", answers, 60)
    return base


def settings(base, command):
    return replay.Settings(SimpleNamespace(base=base, command=command, timeout=30 * apium.PATIENCE, secret=SECRET,
                                           mail_dir=None, admin=":".join(ADMIN)))


@pytest.fixture
def both():
    """(Django's runner, which records; Apium's, which checks)"""
    with apium.Stack(APIUM_SECRET_KEY=SECRET) as stack:
        stack.apium("createsuperuser", "--email", ADMIN[0], "--password-stdin", text=ADMIN[1] + "\n")
        stack.start_gateway()
        django = replay.Runner(settings(start_django(stack), "record"), None, {})
        ours = replay.Runner(settings(f"http://127.0.0.1:{stack.port}", "check"), None, {})
        ours.variables["unique"] = django.variables["unique"]
        yield django, ours
