"""/metrics of gateway and worker: the text is what Prometheus reads, and the numbers move as they must."""

import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import apium
from shop import Shop


class Exporter:
    """The last text of one program's /metrics, looked up by name and labels."""

    def __init__(self, stack):
        self.stack = stack
        self.port = apium.free_port()
        self.listen = f"127.0.0.1:{self.port}"

    def text(self):
        with urllib.request.urlopen(f"http://{self.listen}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()

    def samples(self):
        return [sample for family in text_string_to_metric_families(self.text()) for sample in family.samples]

    def get(self, name, **labels):
        found = [sample.value for sample in self.samples() if sample.name == name
                 and all(sample.labels.get(key) == value for key, value in labels.items())]
        return sum(found) if found else None

    def wait(self, least, name, **labels):
        return self.stack.wait_for(f"{name}{labels} >= {least}",
                                   lambda: (self.get(name, **labels) or 0) >= least, 15)


@pytest.fixture(scope="module")
def stack():
    with apium.Stack(APIUM_DIAG="on", APIUM_PROCESSES="1") as stack:
        yield stack


@pytest.fixture(scope="module")
def gateway(stack):
    exporter = Exporter(stack)
    exporter.program = stack.start_gateway(APIUM_METRICS_LISTEN=exporter.listen)
    return exporter


@pytest.fixture(scope="module")
def worker(stack):
    exporter = Exporter(stack)
    exporter.program = stack.start_worker(APIUM_METRICS_LISTEN=exporter.listen)

    def answers():
        assert exporter.program.is_running(), exporter.program.log
        try:
            return exporter.get("apium_build_info") == 1
        except OSError:
            return False

    stack.wait_for("the worker's metrics", answers, 20)
    return exporter


@pytest.fixture(scope="module")
def beat(stack):
    exporter = Exporter(stack)
    exporter.program = stack.start("apium-beat", APIUM_METRICS_LISTEN=exporter.listen)
    exporter_is_up(exporter)
    return exporter


def test_requests_are_counted_by_route_method_and_class(stack, gateway):
    shop = Shop(stack)
    token = shop.user("meter")
    before = gateway.get("apium_http_requests_total", route="user_me", **{"class": "2xx"}) or 0
    for _ in range(3):
        assert stack.http("GET", "/api/v1/users/me/", token=token.access).status == 200
    assert stack.http("GET", "/api/users/me/").status == 401
    assert stack.http("GET", "/nowhere/at/all").status == 404
    assert gateway.get("apium_http_requests_total", route="user_me", method="GET", **{"class": "2xx"}) == before + 3
    assert gateway.get("apium_http_requests_total", route="user_me", **{"class": "4xx"}) == 1
    assert gateway.get("apium_http_requests_total", route="none", **{"class": "4xx"}) >= 1
    assert gateway.get("apium_http_request_duration_seconds_count", route="user_me") == before + 4
    assert gateway.get("apium_http_request_duration_seconds_bucket", route="user_me", le="+Inf") == before + 4
    assert gateway.get("apium_sql_statements_total") > 0
    assert gateway.get("apium_sql_transactions_total") > 0
    assert gateway.get("apium_redis_commands_total") > 0
    assert gateway.get("apium_fibers") >= 1
    assert gateway.get("apium_http_requests_in_flight") == 0
    assert gateway.get("process_cpu_seconds_total") > 0
    assert gateway.get("process_resident_memory_bytes") > 1 << 20


def test_prometheus_itself_reads_them(gateway, worker, beat):
    for exporter in (gateway, worker, beat):
        done = subprocess.run(["promtool", "check", "metrics"], input=exporter.text(), capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_dashboard_and_alerts_ask_for_what_is_told(gateway, worker, beat):
    beat.wait(1, "apium_beat_leader")
    told = set()
    for exporter in (gateway, worker, beat):
        told |= set(re.findall(r"^# TYPE (\S+)", exporter.text(), re.MULTILINE))
    dashboard = json.loads((apium.TOP / "deploy/grafana/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((apium.TOP / "deploy/prometheus/alerts.yml").read_text())
    queries += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked = {name for query in queries for name in re.findall(r"\b(?:apium|process)_[a-z_]+", query)}
    assert len(asked) > 25 and {re.sub("_(bucket|sum|count)$", "", name) for name in asked} <= told
    assert {name for name in told if name.startswith("apium_beat_")} <= {name for name in asked if name.startswith("apium_beat_")}


def test_no_text_of_a_client_becomes_a_label(stack, gateway):
    stack.http("GET", "/api/v1/products/6f1c1d8e-0000-4000-8000-deadbeef0000/")
    stack.http("GET", "/deadbeef/")
    try:
        stack.http("BREW", "/api/v1/products/")
    except urllib.error.URLError:
        pass
    assert "deadbeef" not in gateway.text() and "BREW" not in gateway.text()


def test_the_public_port_does_not_answer(stack, gateway):
    assert stack.http("GET", "/metrics").status == 404


def test_jobs_are_counted_by_task_and_outcome(stack, gateway, worker):
    for _ in range(5):
        stack.apium("enqueue", "diag.add", "--args", "[1, 2]", "--wait")
    stack.apium("enqueue", "diag.fail", "--kwargs", '{"times": 1, "retries": 3}', "--wait")
    stack.apium("enqueue", "diag.fail", "--kwargs", '{"times": 9, "retries": 0}', "--wait", status=1)
    worker.wait(5, "apium_task_ended_total", task="diag.add", outcome="success")
    assert worker.get("apium_task_started_total", task="diag.add") == 5
    for name in ("wait", "run", "latency"):
        assert worker.get(f"apium_task_{name}_seconds_count", task="diag.add") == 5
        assert 0 <= worker.get(f"apium_task_{name}_seconds_sum", task="diag.add") < 60
    worker.wait(1, "apium_task_ended_total", task="diag.fail", outcome="dead")
    assert worker.get("apium_task_ended_total", task="diag.fail", outcome="retry") == 1
    assert worker.get("apium_task_ended_total", task="diag.fail", outcome="success") == 1
    assert worker.get("apium_task_started_total", task="diag.fail") == 3
    # Two first deliveries; two ends, the one retried counted from its beginning.
    assert worker.get("apium_task_wait_seconds_count", task="diag.fail") == 2
    assert worker.get("apium_task_latency_seconds_count", task="diag.fail") == 2


def test_a_crash_is_counted(stack, worker):
    stack.apium("enqueue", "diag.crash", "--kwargs", '{"times": 1}', "--wait")
    worker.wait(1, "apium_task_crashes_total", task="diag.crash")
    worker.wait(1, "apium_host_deaths_total")


def test_it_answers_while_every_host_burns_and_measures_the_queue(stack, worker):
    for _ in range(6):
        stack.apium("enqueue", "diag.burn", "--kwargs", '{"seconds": 3}')
    worker.wait(1, "apium_task_started_total", task="diag.burn")
    assert worker.get("apium_queue_in_flight", queue="default") >= 1
    assert worker.get("apium_queue_poll_age_seconds", queue="default") >= 0
    stack.apium("enqueue", "diag.add", "--args", "[1, 1]", "--eta", "2100-01-01T00:00:00Z")
    worker.wait(1, "apium_queue_scheduled", queue="default")
    worker.wait(1, "apium_queue_dead_letters", queue="default")
    worker.wait(1, "apium_outbox_oldest_seconds")


def test_a_job_that_cannot_start_grows_old(stack):
    """A worker whose one alone host is taken: the jobs behind wait in their list."""
    exporter = Exporter(stack)
    exporter.program = stack.start_worker(APIUM_METRICS_LISTEN=exporter.listen, APIUM_QUEUES="slow", APIUM_PROCESSES="1")
    for _ in range(40):
        stack.apium("enqueue", "diag.burn", "--queue", "slow", "--kwargs", '{"seconds": 60}')
    exporter_is_up(exporter)
    exporter.wait(1, "apium_queue_waiting", queue="slow")
    exporter.wait(1, "apium_queue_oldest_age_seconds", queue="slow")
    exporter.program.kill()


def exporter_is_up(exporter):
    def answers():
        try:
            return exporter.text()
        except OSError:
            return None

    exporter.stack.wait_for("metrics", answers, 20)


def test_it_answers_until_the_end(stack, worker):
    assert worker.program.stop() == 0
    with pytest.raises(OSError):
        worker.text()


def test_an_address_that_cannot_be_bound_is_said(stack, gateway):
    """Another program's above all: the two would answer in turn."""
    for listen in (gateway.listen, gateway.listen.replace("127.0.0.1", "203.0.113.1"), "nonsense"):
        second = stack.start_worker(APIUM_METRICS_LISTEN=listen)
        assert second.wait() == 1
        assert "APIUM_METRICS_LISTEN" in second.log
