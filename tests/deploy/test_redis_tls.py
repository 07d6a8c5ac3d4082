"""rediss://: a real Redis that speaks TLS only, who is believed and who is not, and jobs through it."""

import json
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
    large = "x" * 3_000_000
    said = stack.apium("enqueue", "diag.echo", "--kwargs", json.dumps({"size": 1, "text": large[:100_000]}), "--wait")
    assert large[:100_000] in said
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
