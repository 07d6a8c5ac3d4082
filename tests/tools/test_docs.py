"""What follows from the tables: help, lists, documents, completions."""

import json
import subprocess

import pytest

from apium import TOP

pytestmark = pytest.mark.slow


def test_a_command_tells_its_options(stack):
    said = stack.apium("enqueue", "--help")
    assert said.startswith("apium enqueue TASK") and "--durability WORD" in said and "--wait " in said
    assert stack.apium("queues", "--help").startswith("apium queues")


def test_tasks_and_routes_are_listed(stack):
    said = stack.apium("tasks")
    assert "email.send  (default, outbox)" in said and "recipient_list" in said and "diag." not in said
    said = stack.apium("routes")
    assert any(line.split() == ["POST", "/api/v1/auth/login/", "auth_login"] for line in said.splitlines())
    assert any(line.split() == ["GET", "/healthz", "health_live"] for line in said.splitlines())


def test_documents_say_what_the_tables_say(stack, tmp_path):
    stack.apium("docs", str(tmp_path))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (TOP / "docs" / path.relative_to(tmp_path)).read_bytes(), path.name
    assert "| `E_CONFLICT` | 6009 | 409 | dropped |" in (tmp_path / "errors.md").read_text()
    assert "`APIUM_SECRET_KEY`" in (tmp_path / "generated/settings.md").read_text()
    assert "`apium_task_ended_total`" in (tmp_path / "generated/metrics.md").read_text()
    assert "## images.generate_variants" in (tmp_path / "generated/tasks.md").read_text()
    assert "\\-\\-durability" in (tmp_path / "man/apium.1").read_text()


def test_docs_needs_a_folder_it_can_write(stack):
    assert "docs takes the folder to write into" in stack.apium("docs", status=2)
    assert "cannot be made" in stack.apium("docs", "/nowhere/at/all", status=1)


def test_bash_completes_commands_and_options(stack):
    script = """. docs/completions/apium.bash
COMP_WORDS=(apium {0} "{1}") COMP_CWORD=$(({2})); _apium; echo "${{COMPREPLY[@]}}" """

    def complete(*words):
        done = subprocess.run(["bash", "-c", script.format(" ".join(words[:-1]), words[-1], len(words))], cwd=TOP,
                              capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert complete("mig") == ["migrate"]
    assert complete("enqueue", "--du") == ["--durability"]
    assert set(complete("migrate", "--")) == {"--help", "--folder"}


def test_prometheus_takes_the_rules():
    subprocess.run(["promtool", "check", "rules", TOP / "deploy/prometheus/alerts.yml"], check=True, capture_output=True)


ALERTS_OF_BEAT = [
    # series, the alerts that fire after 20 minutes
    ({}, ["ApiumNoBeat"]),
    ({"leader": "0x20"}, ["ApiumNoBeat"]),
    ({"leader": "1x20", "run": "0+1x20", "lag": "0.2x20"}, []),
    ({"leader": "1x20", "run": "0+1x20", "lag": "40x20"}, ["ApiumBeatLate"]),
    ({"leader": "1x20", "run": "7x20", "lag": "40x20"}, []),  # long ago
    ({"leader": "1x20", "missed": "0x15 2x5"}, ["ApiumBeatMissed"]),
    ({"leader": "1x20", "look": "1x20"}, []),
    ({"leader": "1x20", "look": "1x10 100+60x10"}, ["ApiumBeatStopped"]),  # the leader does not know yet
    ({"leader": "1x20", "look": "-1x20"}, ["ApiumBeatStopped"]),  # never has looked
]


def test_the_alerts_of_beat_fire(tmp_path):
    names = {"leader": "apium_beat_leader", "lag": "apium_beat_lag_seconds", "look": "apium_beat_look_age_seconds"}
    labels = 'job="apium-beat",instance="one:9121"'
    tests = [{"interval": "1m",
              "input_series": [{"series": f"{names[key]}{{{labels}}}" if key in names else
                                f'apium_beat_ticks_total{{{labels},outcome="{key}"}}', "values": values} for key, values in series.items()],
              "promql_expr_test": [{"expr": 'count by (alertname) (ALERTS{alertname=~".*Beat.*",alertstate="firing"})', "eval_time": "20m",
                                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in fired]}]}
             for series, fired in ALERTS_OF_BEAT]
    (tmp_path / "beat.json").write_text(json.dumps({"rule_files": [str(TOP / "deploy/prometheus/alerts.yml")], "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "beat.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_takes_the_units():
    for unit in sorted((TOP / "deploy/systemd").glob("*.service")):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        complaints = [line for line in (done.stdout + done.stderr).splitlines()
                      if unit.name in line and "is not executable" not in line]
        assert complaints == []


def test_the_dashboard_is_json():
    dashboard = json.loads((TOP / "deploy/grafana/dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) >= 12
