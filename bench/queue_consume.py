"""queue-consume: jobs per second from a full list to the last acknowledgement, through supervisor and host."""

import re
import subprocess
import time

import jobs_stack
from measure import Meter, Table, counted_system_calls, load, most_frequent

QUEUE = "default"
STAGE = "bench:stage"
STRACED_PART = 10  # of the jobs are enough under strace, which makes system calls some fifty times slower
PATIENCE = 120


class Messages:
    """Celery envelopes of a task that does nothing; they differ in their ids."""

    def __init__(self):
        job, message = jobs_stack.envelope("diag.noop", ignore_result=True)
        self.parts = message.split(job.encode())
        self.length = len(message)

    def make(self, number):
        return (b"%08x-0000-4000-8000-%012x" % (number >> 16, number)).join(self.parts)


def forget_everything(redis):
    """The append-only file too, so that every round begins with the same."""
    redis.call("FLUSHALL")
    redis.call("BGREWRITEAOF")
    jobs_stack.wait_for(lambda: b"aof_rewrite_in_progress:0" in redis.call("INFO", "persistence"), "the append-only file")


def fill(redis, messages, count):
    """Into a list of another name; renaming it is what lets the worker begin."""
    for at in range(0, count, 500):
        redis.call("LPUSH", STAGE, *(messages.make(i) for i in range(at, min(at + 500, count))))


def left(redis):
    """Jobs that wait or are in flight."""
    tokens = redis.call("HKEYS", f"apium:{{{QUEUE}}}:workers")
    lists = [QUEUE.encode()] + [f"apium:{{{QUEUE}}}:fly:".encode() + token for token in tokens]
    lengths = redis.pipeline([("LLEN", name) for name in lists])
    return sum(length for length in lengths if isinstance(length, int))


def commands(redis):
    """{command: calls} since Redis started, without those that this bench makes while it measures."""
    found = re.findall(rb"cmdstat_([^:]+):calls=(\d+)", redis.call("INFO", "commandstats"))
    return {name.decode(): int(calls) for name, calls in found if name not in (b"info", b"llen", b"hkeys", b"rename")}


def start_idle_worker(stack):
    """A worker that waits at its empty queue, and its shared hosts."""
    worker = stack.start_worker()

    def is_up():
        assert worker.is_running(), worker.log
        return stack.hosts(worker=worker) and stack.redis.call("HLEN", f"apium:{{{QUEUE}}}:workers")

    jobs_stack.wait_for(is_up, "the worker")
    return worker, stack.hosts(worker=worker)


def drain(stack, count):
    """Lets the worker have what was filled; seconds until nothing waits and nothing is in flight."""
    redis = stack.redis.client
    start = time.monotonic()
    redis.call("RENAME", STAGE, QUEUE)
    while left(redis) > 0:
        assert time.monotonic() < start + PATIENCE, f"{left(redis)} of {count} jobs are left"
        time.sleep(0.003)
    took = time.monotonic() - start
    assert redis.call("ZCARD", f"apium:{{{QUEUE}}}:dead") == 0, "jobs have died"
    return took


def measured_round(stack, messages, count, table):
    redis = stack.redis.client
    forget_everything(redis)
    fill(redis, messages, count)
    worker, hosts = start_idle_worker(stack)
    meter = Meter(Redis=[stack.redis.process.pid], supervisor=[worker.pid], host=hosts)
    before = commands(redis)
    meter.start()
    took = drain(stack, count)
    meter.stop()
    made = {name: calls - before.get(name, 0) for name, calls in commands(redis).items()}
    worker.stop()
    table.add("jobs/s acknowledged", count / took)
    for name, seconds in meter.used.items():
        table.add(f"CPU us per job: {name}", seconds / count * 1e6, "{:.2f}")
    return made


def straced_round(stack, messages, count, table):
    redis = stack.redis.client
    forget_everything(redis)
    fill(redis, messages, count)
    worker, hosts = start_idle_worker(stack)
    for name, pids in (("supervisor", [worker.pid]), ("host", hosts)):
        if name == "host":
            fill(redis, messages, count)
        with counted_system_calls(pids, stack.folder, jobs_stack.wait_for) as counts:
            drain(stack, count)
        table.note(f"system calls per job: {name}",
                   f"{sum(counts.values()) / count:.3f}   ({most_frequent(counts, count)})")
    worker.stop()


def redis_benchmark(stack, length, count, table):
    """Redis's own limit for the same bytes, one command a job."""
    words = ["redis-benchmark", "-s", stack.redis.path, "-P", "32", "-n", str(count), "-d", str(length), "-q", "--csv",
             "-t", "lpush,rpop"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rates = dict(re.findall(r'^"(LPUSH|RPOP)[^"]*","([\d.]+)"', done.stdout, re.M))
    for name in ("LPUSH", "RPOP"):
        table.add(f"redis-benchmark {name} -P 32", float(rates[name]))


def run(options):
    messages = Messages()
    loads = []
    table = Table(f"queue-consume: {options.jobs:,} no-op jobs of {messages.length} bytes a round, {options.rounds} rounds, "
                  "AOF everysec, results off")
    with jobs_stack.Stack(APIUM_LOG_LEVEL="warn") as stack:
        redis = stack.redis.client
        # A rewrite in the middle of a round would fork Redis and be measured as the worker's slowness.
        redis.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        for _ in range(options.rounds):
            loads.append(load())
            forget_everything(redis)
            redis_benchmark(stack, messages.length, options.jobs, table)
            made = measured_round(stack, messages, options.jobs, table)
        straced_round(stack, messages, max(options.jobs // STRACED_PART, 1000), table)
    table.note("Redis commands per job",
               f"{sum(made.values()) / options.jobs:.3f}   ({most_frequent(made, options.jobs)})")
    table.note("part of RPOP -P 32", f"{table.median('jobs/s acknowledged') / table.median('redis-benchmark RPOP -P 32'):.2f}")
    table.note("load before the rounds", " ".join(f"{value:.1f}" for value in loads))
    table.print()
