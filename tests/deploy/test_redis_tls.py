"""rediss://: a real Redis that speaks TLS only, who is believed and who is not, and jobs through it."""

import json
import re
import shutil
import signal
import subprocess

import pytest

from apium import BUILD, Stack, free_port
from authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def client(authority):
    return authority.issue("client", "DNS:client.example")


@pytest.fixture(scope="module")
def stack(authority, client):
    """Redis takes only clients with a certificate of the authority; its own names are redis.example and 127.0.0.1."""
    certificate, key = authority.issue("server", "DNS:redis.example,IP:127.0.0.1")
    port = free_port()
    with Stack(redis_settings=("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
                               "--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", "yes"),
               APIUM_DIAG="on") as stack:
        stack.tls_port = port
        stack.environment["REDIS_URL"] = url(stack, authority, client)
        yield stack


def url(stack, authority, client, host="127.0.0.1", more=""):
    return (f"rediss://{host}:{stack.tls_port}/0?ssl_ca_certs={authority.certificate}&ssl_certfile={client[0]}"
            f"&ssl_keyfile={client[1]}{more}")


def try_it(stack, url):
    """(exit status, words) of a command that needs Redis."""
    done = subprocess.run([BUILD / "apium", "queues"], env={**stack.environment, "REDIS_URL": url}, capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_jobs_go_through_it(stack):
    stack.start_gateway()
    worker = stack.start_worker()
    for number in range(200):
        stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": f"tls-{number % 10}"}))
    stack.wait_for("every job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)], 60)
    assert stack.sql("SELECT count(*), min(count), max(count) FROM diag_counter WHERE starts_with(key, 'tls-')") == [(10, 20, 20)]
    # Answers that end within, at and behind the bounds of TLS's records and of our reads.
    for size in (16_300, 65_000, 66_000, 90_000, 120_000):
        text = "x" * size
        assert text in stack.apium("enqueue", "diag.echo", "--kwargs", json.dumps({"text": text}), "--wait")
    names = {line["name"] for line in stack.redis.client_list()}
    assert "apium-gateway" in names and any(name.startswith("apium-worker") for name in names), names
    assert worker.is_running()


def test_its_address_and_its_name_are_checked(stack, authority, client):
    assert try_it(stack, url(stack, authority, client))[0] == 0
    status, said = try_it(stack, url(stack, authority, client, "localhost"))
    assert status != 0 and "hostname mismatch" in said, said
    assert try_it(stack, url(stack, authority, client, "localhost", "&ssl_server_name=redis.example"))[0] == 0
    assert try_it(stack, url(stack, authority, client, "localhost", "&ssl_check_hostname=false"))[0] == 0


def test_another_authority_is_not_believed(stack, authority, client, tmp_path):
    other = Authority(tmp_path, "Other")
    status, said = try_it(stack, url(stack, other, client))
    assert status != 0 and "certificate is refused" in said, said
    assert try_it(stack, url(stack, other, client, more="&ssl_cert_reqs=none"))[0] == 0


def test_the_server_refuses_who_has_no_certificate(stack, authority):
    status, said = try_it(stack, f"rediss://127.0.0.1:{stack.tls_port}/0?ssl_ca_certs={authority.certificate}")
    assert status != 0 and "redis" in said, said


def test_plain_and_tls_do_not_mix(stack, authority, client):
    assert try_it(stack, f"redis://127.0.0.1:{stack.tls_port}/0")[0] != 0
    plain = f"rediss://127.0.0.1:{stack.redis_server.port}/0?ssl_ca_certs={authority.certificate}"
    status, said = try_it(stack, plain)
    assert status != 0 and "securing" in said, said  # a plain Redis waits for the end of a line


@pytest.mark.parametrize("option, words", [("ssl_ca_certs=/nonexistent", "ssl_ca_certs=/nonexistent"),
                                           ("ssl_keyfile=/nonexistent", "ssl_keyfile is given without ssl_certfile"),
                                           ("ssl_certfile=/nonexistent", "ssl_certfile=/nonexistent")])
def test_a_wrong_file_is_named_at_start(stack, option, words):
    for program in ("apium-gateway", "apium-worker"):
        done = subprocess.run([BUILD / program], env={**stack.environment, "REDIS_URL": f"rediss://127.0.0.1/0?{option}",
                                                      "APIUM_LISTEN": f"127.0.0.1:{free_port()}"},
                              capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and words in done.stderr, (program, done.stderr)


# --- renewed files, at SIGHUP

PARTS = ("ca.pem", "client.pem", "client.key")
PROGRAMS = ("apium-gateway", "apium-worker", "apium-host", "apium-beat")


class Renewed:
    """Gateway, worker and beat at a Redis that can be moved to another authority; their own files lie in a folder."""

    def __init__(self, stack, folder):
        self.stack, self.files = stack, folder
        folder.mkdir()

    def write(self, authority):
        key = authority.issue("client", "DNS:client.example")
        for name, source in zip(PARTS, (authority.certificate, *key)):
            shutil.copy(source, self.files / name)

    def start(self, port):
        ca, certificate, key = (self.files / name for name in PARTS)
        self.stack.environment["REDIS_URL"] = (f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={ca}&ssl_certfile={certificate}"
                                               f"&ssl_keyfile={key}")
        self.programs = [self.stack.start_gateway(), self.stack.start_worker(), self.stack.start("apium-beat")]
        self.stack.wait_for("all of them", self.are_connected, 30)

    def connected(self):
        names = {line["name"] for line in self.stack.redis.client_list()}
        return {program for program in PROGRAMS if any(name.startswith(program) for name in names)}

    def are_connected(self):
        return self.connected() == set(PROGRAMS)

    def hang_up(self, words):
        """SIGHUP, and every program says this once more; the worker's hosts in its log."""
        before = [len(re.findall(words, program.log)) for program in self.programs]
        for program in self.programs:
            program.kill(signal.SIGHUP)
        for program, count in zip(self.programs, before):
            processes = 1 + (len([line for line in program.children().values() if " host " in line + " "])
                             if program.name == "apium-worker" else 0)
            self.stack.wait_for(f"{program.name} to have read", lambda: len(re.findall(words, program.log)) == count + processes)

    def cut(self):
        for kind in ("normal", "pubsub"):
            self.stack.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def test_renewed_files_are_read_at_sighup(tmp_path):
    old, new = Authority(tmp_path, "Old"), Authority(tmp_path, "New")
    servers = [authority.issue("server", "IP:127.0.0.1") for authority in (old, new)]
    port = free_port()
    with Stack(redis_settings=("--tls-port", str(port), "--tls-cert-file", str(servers[0][0]), "--tls-key-file", str(servers[0][1]),
                               "--tls-ca-cert-file", str(old.certificate), "--tls-auth-clients", "yes"), APIUM_DIAG="on") as stack:
        renewed = Renewed(stack, tmp_path / "files")
        renewed.write(old)
        renewed.start(port)

        # A broken file: said, and the old ones serve.
        (renewed.files / "client.key").write_text("-----BEGIN PRIVATE KEY-----\nhalf of i")
        renewed.hang_up(r"TLS to Redis: its files stay as they were: .*ssl_keyfile=\S+client\.key")
        renewed.cut()
        stack.wait_for("the old files to serve", renewed.are_connected, 20)

        # Another authority signs for the server, and is asked for by it.
        stack.redis.execute_command("CONFIG", "SET", "tls-cert-file", str(servers[1][0]), "tls-key-file", str(servers[1][1]),
                                    "tls-ca-cert-file", str(new.certificate))
        renewed.cut()
        renewed.write(old)
        status, said = try_it(stack, stack.environment["REDIS_URL"])
        assert status != 0 and "certificate is refused" in said, said
        renewed.write(new)
        renewed.hang_up("TLS to Redis: its files were read again")
        stack.wait_for("the new files to serve", renewed.are_connected, 20)
        stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": "renewed"}))
        stack.wait_for("a job", lambda: stack.sql("SELECT count FROM diag_counter WHERE key = 'renewed'") == [(1,)], 30)
        assert all(program.is_running() for program in renewed.programs)
