"""A private PostgreSQL, a private Redis and the programs under test, for suites in Python.

    with apium.Stack() as stack:                    # servers, migrated; nothing of ours runs yet
        stack.start_gateway()
        worker = stack.start_worker(APIUM_DIAG="on")
        stack.wait_for("the job's result", lambda: stack.redis.get("…"))

Everything lies in one temporary folder, listens on unix sockets or free loopback ports, and is stopped and removed at
the end, also after a failure.  PostgreSQL refuses to run as root: then it runs as the user `postgres`.
No sleeps: `wait_for` asks until a deadline.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import redis

from ending import end_all

TOP = Path(os.environ.get("APIUM_TEST_TOP", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("APIUM_TEST_BUILD", TOP / "build"))
# Sanitized programs are several times slower; deadlines of tests grow with them.
PATIENCE = 4 if "asan" in BUILD.name else 1


class Waited(AssertionError):
    """A condition did not come true in time."""


def wait_for(what, condition, seconds=10):
    """The condition's first true value; Waited after `seconds`."""
    deadline = time.monotonic() + seconds * PATIENCE
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Waited(f"waited {seconds * PATIENCE} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def as_postgres():
    """What subprocess needs to run a program as `postgres`; nothing when we are not root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _quiet(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}"


class Postgres:
    """A cluster of its own on a unix socket; `kill` and `start` again keep the data."""

    def __init__(self, folder, settings=(), port=5432):
        self.bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        self.folder = folder / "pg"
        self.folder.mkdir()
        self.settings = settings
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"
        _quiet([self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                "-N"], **as_postgres())
        self.url = f"postgresql://postgres@/apium?host={self.folder}&port={port}"
        self.start()
        with psycopg.connect(f"postgresql://postgres@/postgres?host={self.folder}&port={port}", autocommit=True) as connection:
            connection.execute("CREATE DATABASE apium")

    def start(self):
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}", "-c", "max_connections=200",
                   "-c", "synchronous_commit=on", "-c", "shared_buffers=64MB"]
        for setting in self.settings:
            options += ["-c", setting]
        _quiet([self.bin / "pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "-o",
                " ".join(f"'{word}'" for word in options), "start"], **as_postgres())

    def stop(self, mode="fast"):
        if (self.data / "postmaster.pid").exists():
            _quiet([self.bin / "pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop"], **as_postgres())


class Standby(Postgres):
    """A copy that follows `primary`; `pause` stops its replay until `resume`."""

    def __init__(self, primary, folder):  # no cluster is made: it is copied
        self.bin, self.settings = primary.bin, ()
        self.folder = folder / "standby"
        self.folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"
        _quiet([self.bin / "pg_basebackup", "-D", self.data, "-h", primary.folder, "-U", "postgres", "-R", "-X", "stream",
                "--checkpoint=fast", "--no-sync"], **as_postgres())
        self.url = f"postgresql://postgres@/apium?host={self.folder}"
        self.start()

    def ask(self, statement):
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchone()[0]

    def pause(self):
        self.ask("SELECT pg_wal_replay_pause()")
        wait_for("the pause", lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self):
        self.ask("SELECT pg_wal_replay_resume()")


class Redis:
    """A server of its own on a loopback port with an append-only file; `stop` and `start` again keep the data."""

    def __init__(self, folder, settings=()):
        self.folder = folder / "redis"
        self.folder.mkdir()
        self.port = free_port()
        self.settings = settings
        self.process = None
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "",
                   "--appendonly", "yes", "--appendfsync", "everysec", *self.settings]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        client = redis.Redis(port=self.port)

        def answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                return client.ping()
            except redis.RedisError:
                return False

        wait_for("Redis", answers, 30)
        client.close()

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


class Program:
    """One of our programs, its standard error in a file."""

    def __init__(self, name, command, environment, folder):
        self.name = name
        self.log_path = folder / f"{name}-{time.monotonic_ns()}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def children(self):
        """{pid: command line} of the direct children."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(status[1]) == self.pid and status[0] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def kill(self, number=signal.SIGKILL):
        if self.is_running():
            self.process.send_signal(number)

    def wait(self, seconds=40):
        return self.process.wait(seconds * PATIENCE)

    def stop(self, seconds=40):
        """SIGTERM, then the exit status; SIGKILL when it does not end in time."""
        self.kill(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
            raise Waited(f"{self.name} did not end after SIGTERM:\n{self.log[-4000:]}")


class Stack:
    """All of it.  `environment` goes to every program."""

    def __init__(self, postgres_settings=(), redis_settings=(), migrate=True, **environment):
        self.folder = Path(tempfile.mkdtemp(prefix="apium-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.programs = []
        self.mail = self.folder / "mail"
        self.media = self.folder / "media"
        self.private = self.folder / "private"
        self.mail.mkdir()
        self.media.mkdir()
        self.private.mkdir()
        self.port = None
        try:
            self.postgres = Postgres(self.folder, postgres_settings)
            self.redis_server = Redis(self.folder, redis_settings)
        except BaseException:
            self.close()
            raise
        self.redis = redis.Redis(port=self.redis_server.port)
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis_server.url,
            "APIUM_ENV": "test",
            "APIUM_MAIL_URL": f"file://{self.mail}",
            "APIUM_MEDIA_ROOT": str(self.media),
            "APIUM_PRIVATE_ROOT": str(self.private),
            "APIUM_THREADS": "2",
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
            **environment,
        }
        if migrate:
            self.apium("migrate", "up", "--folder", str(TOP / "migrations"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for program in self.programs:
                print(f"--- {program.name} (pid {program.pid})\n{program.log[-6000:]}")
        self.close()

    def close(self):
        try:
            end_all(getattr(self, "programs", []))
        finally:
            self._close_servers()

    def _close_servers(self):
        for server in ("redis_server", "postgres"):
            if hasattr(self, server):
                getattr(self, server).stop(*((signal.SIGKILL,) if server == "redis_server" else ("immediate",)))
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- programs

    def start(self, program, *arguments, **environment):
        started = Program(Path(program).name, [str(BUILD / program), *arguments], {**self.environment, **environment}, self.folder)
        self.programs.append(started)
        return started

    def start_gateway(self, program="apium-gateway", **environment):
        """Returns when /readyz answers."""
        self.port = self.port or free_port()
        gateway = self.start(program, APIUM_LISTEN=f"127.0.0.1:{self.port}", **environment)

        def answers():
            assert gateway.is_running(), gateway.log
            try:
                return self.http("GET", "/readyz").status == 200
            except OSError:
                return False

        wait_for("the gateway", answers, 20)
        return gateway

    def start_worker(self, *arguments, **environment):
        """Returns at once; jobs wait in their lists until it is up."""
        return self.start("apium-worker", *arguments, **environment)

    def apium(self, *arguments, text=None, status=0):
        """Runs the operator's command; its standard output."""
        done = subprocess.run([str(BUILD / "apium"), *arguments], env=self.environment, input=text, capture_output=True,
                              text=True, errors="backslashreplace", timeout=60 * PATIENCE)
        assert done.returncode == status, f"apium {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    # -- looking

    def sql(self, query, *values):
        """Rows of one statement, in a transaction of its own."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def wait_for(self, what, condition, seconds=10):
        return wait_for(what, condition, seconds)

    def http(self, method, path, body=None, token=None, headers=None):
        """An Answer; a body that is no bytes is sent as JSON."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         headers={"Accept": "application/json", **(headers or {})})
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
                request.add_header("Content-Type", "application/json")
            request.data = body
        try:
            with _opener.open(request, timeout=30 * PATIENCE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"
