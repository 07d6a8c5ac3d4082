"""redis+sentinel://: a master, a replica and three Sentinels.  The master is killed, or demoted, under jobs; whoever became
master is found, and every job has its effect once."""

import json
import signal
import subprocess

import pytest
import page
import redis

from apium import Redis, Stack, free_port, wait_for


class Sentinel:
    def __init__(self, folder, master_port):
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self.configuration = folder / "sentinel.conf"
        text = page.file("sentinel.conf", port=self.port).replace("10.0.0.1 6379", f"127.0.0.1 {master_port}")
        self.configuration.write_text(f"bind 127.0.0.1\ndir {folder}\n{text}")
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(["redis-server", self.configuration, "--sentinel"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        self.client = redis.Redis(port=self.port, decode_responses=True)

    def knows(self, replicas, sentinels):
        try:
            state = self.client.sentinel_master("main")
        except redis.RedisError:
            return False
        return state["num-slaves"] == replicas and state["num-other-sentinels"] == sentinels

    def master(self):
        return self.client.sentinel_get_master_addr_by_name("main")[1]

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()


class Cluster:
    def __init__(self, stack):
        self.stack = stack
        self.servers = {stack.redis_server.port: stack.redis_server}
        folder = stack.folder / "replica"
        folder.mkdir()
        replica = Redis(folder, ("--replicaof", f"127.0.0.1 {stack.redis_server.port}"))
        self.servers[replica.port] = replica
        self.sentinels = [Sentinel(stack.folder / f"sentinel{number}", stack.redis_server.port) for number in range(3)]
        wait_for("the Sentinels to know each other", lambda: all(s.knows(1, 2) for s in self.sentinels), 60)
        addresses = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{addresses}/main/0"

    def master(self):
        return self.sentinels[-1].master()

    def client(self):
        return redis.Redis(port=self.master())

    def close(self):
        for server in [*self.sentinels, *self.servers.values()]:
            server.stop()


@pytest.fixture
def cluster():
    with Stack(APIUM_DIAG="on") as stack:
        cluster = Cluster(stack)
        try:
            stack.environment["REDIS_URL"] = cluster.url
            stack.start_gateway()
            stack.start_worker()
            yield cluster
        finally:
            cluster.close()


def enqueue(stack, count, prefix):
    for number in range(count):
        stack.sql("SELECT apium_enqueue('diag.count', %s)", json.dumps({"key": f"{prefix}-{number % 20}"}))


def counted(stack, prefix):
    return stack.sql("SELECT coalesce(sum(count), 0)::int FROM diag_counter WHERE starts_with(key, %s)", prefix)[0][0]


def all_are_done_once(stack, prefix, each):
    wait_for("every job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)], 120)
    assert stack.sql("SELECT count(*), min(count), max(count) FROM diag_counter WHERE starts_with(key, %s)", prefix) == [(20, each, each)]


def test_a_killed_master_is_replaced_and_no_job_is_lost_or_done_twice(cluster):
    stack = cluster.stack
    first = cluster.master()
    enqueue(stack, 400, "kill")
    wait_for("some to be done", lambda: counted(stack, "kill") > 20, 60)
    cluster.servers[first].stop(signal.SIGKILL)
    enqueue(stack, 400, "kill")  # accepted while there is no master
    wait_for("another master", lambda: cluster.master() != first, 60)
    all_are_done_once(stack, "kill", 40)
    names = {line["name"] for line in cluster.client().client_list()}
    assert "apium-gateway" in names and any(name.startswith("apium-worker") for name in names), names
    assert stack.http("GET", "/readyz").json["status"] == "ok"


def test_a_demoted_master_is_left(cluster):
    stack = cluster.stack
    first = cluster.master()
    enqueue(stack, 200, "move")
    wait_for("some to be done", lambda: counted(stack, "move") > 20, 60)
    cluster.sentinels[1].client.execute_command("SENTINEL", "FAILOVER", "main")
    wait_for("another master", lambda: cluster.master() != first, 60)
    enqueue(stack, 200, "move")
    all_are_done_once(stack, "move", 20)


def test_a_sentinel_that_is_away_is_passed_over(cluster):
    stack = cluster.stack
    cluster.sentinels[0].stop()
    for worker in stack.programs[1:]:
        worker.kill()
        worker.wait()
    stack.start_worker()
    enqueue(stack, 20, "away")
    all_are_done_once(stack, "away", 1)


def test_a_name_that_the_sentinels_do_not_know_is_told(cluster):
    stack = cluster.stack
    worker = stack.start_worker(REDIS_URL=cluster.url.replace("/main/", "/other/"))
    stack.wait_for("its complaint", lambda: "knows no master called other" in worker.log)
