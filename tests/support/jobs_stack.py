"""Private servers and Apium's programs for tests in Python: standard library only.

    with Stack(worker=True) as apium:
        apium.enqueue("diag.add", kwargs={"x": 2, "y": 3})
        apium.wait_for(lambda: ...)

Everything lives in one temporary folder and on unix sockets or free loopback ports, and is stopped at the
end, also when the test fails.  PostgreSQL refuses to run as root: then it runs as the user `postgres`.
Nothing here sleeps for a fixed time: it waits for a condition, with a deadline.
"""

import base64
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from ending import end_all

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APIUM_TEST_BUILD", os.path.join(ROOT, "build"))
POSTGRES = "/usr/lib/postgresql/15/bin"
PATIENCE = float(os.environ.get("APIUM_TEST_PATIENCE", "30"))
SEPARATOR = b"\x06\x16"


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, what="the condition", patience=PATIENCE):
    """Calls `condition` until it is true and returns what it returned."""
    deadline = time.monotonic() + patience
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"waited {patience:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RedisError(Exception):
    pass


class RedisClient:
    """RESP2 over a socket; just enough for tests.  Replies are bytes, int, list, None or str (status)."""

    def __init__(self, path, timeout=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    @staticmethod
    def _words(words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            if not isinstance(word, bytes):
                word = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        return b"".join(parts)

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        n = int(rest)
        if n < 0:
            return None
        if kind == b"$":
            data = self.file.read(n + 2)
            if len(data) != n + 2:
                raise ConnectionError("Redis has gone")
            return data[:-2]
        return [self._reply() for _ in range(n)]

    def call(self, *words):
        self.socket.sendall(self._words(words))
        reply = self._reply()
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def pipeline(self, commands):
        self.socket.sendall(b"".join(self._words(words) for words in commands))
        return [self._reply() for _ in commands]


class Redis:
    """A private server with AOF everysec; on a loopback port too, for clients that know no unix socket."""

    def __init__(self, folder, appendonly=True):
        self.folder = os.path.join(folder, "redis")
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "socket")
        self.port = free_port()
        self.appendonly = appendonly
        self.process = None
        self.client = None

    @property
    def url(self):
        return "unix://" + self.path

    def tcp_url(self, database=0):
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--dir", self.folder,
             "--save", "", "--appendonly", "yes" if self.appendonly else "no",
             "--appendfsync", "everysec"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        wait_for(self._is_up, "Redis to start")
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("redis-server ended: see " + self.folder)
        with contextlib.suppress(OSError, RedisError):
            client = RedisClient(self.path)
            try:
                client.call("PING")
                self._forget_client()
                self.client = client
                return True
            except RedisError:
                client.close()
        return False

    def _forget_client(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def call(self, *words):
        return self.client.call(*words)

    def kill(self, number=signal.SIGKILL):
        self._forget_client()
        self.process.send_signal(number)
        self.process.wait()

    def restart(self, number=signal.SIGKILL):
        self.kill(number)
        self.start()

    def stop(self):
        self._forget_client()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)


class Postgres:
    """A private cluster with one database, `apium`."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "postgres")
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.folder)
        self.user = None
        if os.getuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.process = None

    @property
    def url(self):
        return f"host={self.folder} dbname=apium user=apium"

    def _as_user(self):
        if self.user is None:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _run(self, *words):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       cwd=self.folder, **self._as_user())

    def create(self):
        self._run(f"{POSTGRES}/initdb", "-D", self.data, "-U", "apium", "--auth=trust", "-E", "UTF8",
                  "--locale=C", "--no-sync")
        self.start()
        self._run("createdb", "-h", self.folder, "-U", "apium", "apium")
        return self

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [f"{POSTGRES}/postgres", "-D", self.data, "-c", f"unix_socket_directories={self.folder}",
             "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=64MB",
             "-c", "synchronous_commit=on"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **self._as_user())
        log.close()
        wait_for(self._is_up, "PostgreSQL to start")
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("postgres ended: see " + self.folder)
        return subprocess.run(["pg_isready", "-q", "-h", self.folder], check=False).returncode == 0

    def sql(self, text, **variables):
        """Rows as lists of texts; NULL is ''."""
        words = ["psql", "-h", self.folder, "-U", "apium", "-d", "apium", "-X", "-q", "-A", "-t",
                 "-F", "\x1f", "-v", "ON_ERROR_STOP=1"]
        for name, value in variables.items():
            words += ["-v", f"{name}={value}"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError("psql: " + done.stderr)
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def migrate(self):
        folder = os.path.join(ROOT, "migrations")
        for name in sorted(os.listdir(folder)):
            if name.endswith(".up.sql"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    self.sql(file.read())

    def restart(self, number=signal.SIGINT):
        """SIGINT is the fast shutdown: connections are cut, nothing is lost."""
        self.process.send_signal(number)
        self.process.wait()
        self.start()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)


class Program:
    """One of Apium's programs, started from the build folder; its log is in `log`."""

    def __init__(self, name, folder, environment, number=0, arguments=()):
        self.name = name
        self.log_path = os.path.join(folder, f"{name}.{number}.log")
        self.environment = environment
        self.arguments = list(arguments)
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, self.name), *self.arguments], env=self.environment,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def children(self):
        """Process numbers of its children that live."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def wait(self, patience=PATIENCE):
        return self.process.wait(patience)

    def stop(self, patience=PATIENCE):
        """SIGTERM; the exit status."""
        if not self.is_running():
            return None if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"{self.name} did not end in {patience:g} s:\n{self.log}") from None

    def destroy(self):
        """Whatever is left of its process group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def host_slots(pid):
    """The slots of a host process, from its command line; 0 if it is none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return 0
    return int(words[2]) if len(words) > 2 and words[1] == b"host" else 0


def envelope(task, args=(), kwargs=None, job=None, **headers):
    """A message as Python Celery writes it.  Returns (id, bytes)."""
    job = job or str(uuid.uuid4())
    body = json.dumps([list(args), kwargs or {},
                       {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": task, "id": job, "shadow": None, "eta": None, "expires": None,
            "group": None, "group_index": None, "retries": 0, "timelimit": [None, None],
            "root_id": job, "parent_id": None, "argsrepr": repr(tuple(args)),
            "kwargsrepr": repr(kwargs or {}), "origin": "gen1@test", "ignore_result": False,
            "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {}, **headers,
        },
        "properties": {
            "correlation_id": job, "reply_to": str(uuid.uuid4()), "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "default"}, "priority": 0,
            "body_encoding": "base64", "delivery_tag": str(uuid.uuid4()),
        },
    }
    return job, json.dumps(message).encode()


class Stack:
    """PostgreSQL, Redis and the programs, in one folder."""

    def __init__(self, worker=False, workers=None, postgres=True, keep=False, **settings):
        self.folder = tempfile.mkdtemp(prefix="apium-test-")
        os.chmod(self.folder, 0o711)  # the user postgres passes through
        self.keep = keep or "APIUM_TEST_KEEP" in os.environ
        self.settings = {name: str(value) for name, value in settings.items()}
        self.postgres = Postgres(self.folder) if postgres else None
        self.redis = Redis(self.folder)
        self.programs = []
        self.workers = []
        self.worker_count = workers if workers is not None else int(worker)

    def environment(self, **more):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "APIUM_ENV": "test",
            "REDIS_URL": self.redis.url,
            "APIUM_DIAG": "on",
            "APIUM_PROCESSES": "2",
            "APIUM_LOG_LEVEL": "debug" if "APIUM_TEST_DEBUG" in os.environ else "info",
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1"),
            "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1"),
            **self.settings,
            **{name: str(value) for name, value in more.items()},
        }
        if self.postgres is not None:
            environment["DATABASE_URL"] = self.postgres.url
        return environment

    def start(self):
        self.redis.start()
        if self.postgres is not None:
            self.postgres.create()
            self.postgres.migrate()
        for _ in range(self.worker_count):
            self.start_worker()
        return self

    def start_program(self, name, arguments=(), **settings):
        program = Program(name, self.folder, self.environment(**settings), len(self.programs),
                          arguments)
        self.programs.append(program)
        return program.start()

    def start_worker(self, **settings):
        worker = self.start_program("apium-worker", **settings)
        self.workers.append(worker)
        return worker

    @property
    def worker(self):
        return self.workers[-1]

    def stop(self):
        try:
            end_all(self.programs)
        finally:
            for program in self.programs:
                program.destroy()
            self.redis.stop()
            if self.postgres is not None:
                self.postgres.stop()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind, value, traceback):
        self.stop()
        if kind is not None:
            for program in self.programs:
                print(f"--- {program.log_path}\n{program.log[-6000:]}")
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Jobs.

    def push(self, task, args=(), kwargs=None, queue="default", job=None, priority=0, **headers):
        """LPUSH of a Celery message; its id."""
        job, message = envelope(task, args, kwargs, job, **headers)
        step = max(step for step in (0, 3, 6, 9) if step <= priority)
        key = queue.encode() + (SEPARATOR + str(step).encode() if step else b"")
        self.redis.call("LPUSH", key, message)
        return job

    def apium(self, *words, **settings):
        """What the operator's command prints."""
        done = subprocess.run([os.path.join(BUILD, "apium"), *words], env=self.environment(**settings), capture_output=True,
                              text=True, check=False, timeout=PATIENCE)
        if done.returncode != 0:
            raise AssertionError(f"apium {words}: {done.stderr}")
        return done.stdout

    def push_many(self, task, count, make=None, queue="default", **headers):
        """Many at once; `make(i)` gives keyword arguments.  Their ids."""
        jobs, messages = [], []
        for i in range(count):
            job, message = envelope(task, (), make(i) if make else None, None, **headers)
            jobs.append(job)
            messages.append(message)
        for at in range(0, count, 500):
            self.redis.call("LPUSH", queue, *messages[at:at + 500])
        return jobs

    def result(self, job):
        """The stored document, or None."""
        text = self.redis.call("GET", "celery-task-meta-" + job)
        return None if text is None else json.loads(text)

    def final(self, job, patience=PATIENCE):
        """The document once it is final."""
        def ready():
            document = self.result(job)
            if document is not None and document["status"] in ("SUCCESS", "FAILURE", "REVOKED"):
                return document
            return None
        return wait_for(ready, f"the result of {job}", patience)

    def letters(self, queue="default"):
        """Dead letters: [(record, raw bytes)], oldest first."""
        letters = []
        for name in self.redis.call("ZRANGE", f"apium:{{{queue}}}:dead", 0, -1):
            record, raw = self.redis.call("HMGET", f"apium:{{{queue}}}:letters", name, name + b":raw")
            letters.append((json.loads(record), raw))
        return letters

    def in_flight(self, queue="default"):
        """Messages in all in-flight lists of the queue ('' left out), by token."""
        found = {}
        for token in self.redis.call("HKEYS", f"apium:{{{queue}}}:workers"):
            key = f"apium:{{{queue}}}:fly:".encode() + token
            try:
                messages = [m for m in self.redis.call("LRANGE", key, 0, -1) if m]
            except RedisError:
                messages = []  # taken away
            if messages:
                found[token.decode()] = messages
        return found

    def waiting(self, queue="default"):
        return sum(self.redis.call("LLEN", queue.encode() + suffix)
                   for suffix in (b"", SEPARATOR + b"3", SEPARATOR + b"6", SEPARATOR + b"9"))

    def is_empty(self, queue="default"):
        """Nothing waits, nothing is in flight, nothing is scheduled."""
        return (self.waiting(queue) == 0 and not self.in_flight(queue)
                and self.redis.call("ZCARD", f"apium:{{{queue}}}:schedule") == 0)

    def wait_empty(self, queue="default", patience=PATIENCE):
        wait_for(lambda: self.is_empty(queue), f"queue {queue} to be empty", patience)

    def hosts(self, alone=False, worker=None):
        """Process numbers of a worker's hosts of one kind, that live."""
        worker = worker or self.worker
        return [pid for pid in worker.children()
                if (host_slots(pid) == 1) == alone and host_slots(pid) > 0]
