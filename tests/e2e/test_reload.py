"""SIGHUP: what may change without a start changes, in the gateway, the supervisor and its hosts; the rest is spoken of."""

import signal

import pytest

import apium


@pytest.fixture()
def stack():
    with apium.Stack(APIUM_DIAG="on", APIUM_PROCESSES="1") as stack:
        stack.file = stack.folder / "apium.env"
        stack.environment["APIUM_SETTINGS_FILE"] = str(stack.file)
        stack.file.write_text("APIUM_LOG_LEVEL=info\n")
        yield stack


def test_the_gateway_takes_another_level(stack):
    gateway = stack.start_gateway()
    stack.file.write_text("APIUM_LOG_LEVEL=warn\nAPIUM_GRACE=5\n")
    gateway.kill(signal.SIGHUP)
    stack.wait_for("the warning", lambda: "APIUM_GRACE has another value now" in gateway.log)
    assert stack.http("GET", "/healthz?after").status == 200
    stack.file.write_text("APIUM_LOG_LEVEL=info\n")
    gateway.kill(signal.SIGHUP)
    stack.wait_for("the reload", lambda: "settings were read again" in gateway.log)
    assert stack.http("GET", "/healthz").status == 200
    stack.wait_for("the line of the access log", lambda: "path=/healthz" in gateway.log)  # it comes behind the answer
    assert gateway.log.count("path=/healthz") == 1 and gateway.is_running()


def test_a_bad_file_changes_nothing(stack):
    gateway = stack.start_gateway()
    stack.file.write_text("APIUM_LOG_LEVEL=loud\n")
    gateway.kill(signal.SIGHUP)
    stack.wait_for("the warning", lambda: "settings stay as they are: APIUM_LOG_LEVEL" in gateway.log)
    assert stack.http("GET", "/healthz").status == 200


def test_the_worker_passes_it_to_its_hosts(stack):
    worker = stack.start_worker()
    stack.apium("enqueue", "diag.add", "--args", "[1, 2]", "--wait")
    hosts = [pid for pid, line in worker.children().items() if " host " in line + " "]
    assert "job ended" not in worker.log
    stack.file.write_text("APIUM_LOG_LEVEL=debug\n")
    worker.kill(signal.SIGHUP)
    stack.wait_for("all of them", lambda: worker.log.count("settings were read again") >= 1 + len(hosts))
    stack.apium("enqueue", "diag.add", "--args", "[1, 2]", "--wait")
    stack.wait_for("the job's line", lambda: "job ended" in worker.log)
    assert set(hosts) <= set(worker.children())
    assert worker.stop() == 0
