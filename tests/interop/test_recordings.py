"""What Celery really put on Redis (tests/golden/celery), against this producer and this worker: equal in every place
that the recording does not say varies, but for the departures that stand here and in docs/celery.md."""

import base64
import datetime
import json
import os
import random
import string
import uuid

import pytest
import redis as redis_client
from celery.utils.saferepr import saferepr

from jobs_stack import SEPARATOR, Stack, wait_for

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "celery")
ID = "00000000-0000-4000-8000-000000000001"


def theme(name):
    with open(os.path.join(GOLDEN, name + ".json"), encoding="utf-8") as file:
        return {record["name"]: record for record in json.load(file)["records"]}


PRODUCER, ROUTING, RESULTS, EVENTS = theme("producer"), theme("routing"), theme("results"), theme("events")


def drop(tree, pointer):
    """Removes what a JSON pointer names, if it is there."""
    *way, last = pointer.split("/")
    for part in way:
        tree = tree[int(part)] if isinstance(tree, list) else tree.get(part)
        if tree is None:
            return
    if isinstance(tree, list):
        tree[int(last)] = None
    else:
        tree.pop(last, None)


def invariant(record, number, argument, value):
    """`value` without what varies in that argument of that command."""
    value = json.loads(json.dumps(value))
    beginning = f"/commands/{number}/args/{argument}/json/"
    for pointer in record["varies"]:
        if pointer.startswith(beginning):
            drop(value, pointer[len(beginning):])
    return value


# --- What this producer sends.

# Of Celery's producer that of `apium call`: name of the recording -> its words.
ADD = ("diag.add", "-a", "[2, 3]")
SAME = {
    "delay-args": ADD,
    "delay-kwargs": ("diag.add", "-k", '{"x": 20, "y": 22}'),
    "delay-unicode": ("diag.echo", "-k", json.dumps({"s": "žluťoučký \u2603 \U0001F600", "quote": 'a"b\\c\n', "z": None,
                                                     "t": True})),
    "delay-numbers": ("diag.echo", "-k", json.dumps({"big": 2**70, "neg": -1, "f": 1.5, "e": 1e300, "tiny": 5e-324,
                                                     "third": 1 / 3})),
    "send-task": ("other.name", "-a", "[1]", "-k", '{"k": "v"}', "--task-id", ID),
    "task-id-given": (*ADD, "--task-id", ID),
    "countdown": (*ADD, "--countdown", "10"),
    "countdown-zero": (*ADD, "--countdown=0"),
    "countdown-app-zone": (*ADD, "--countdown", "10"),
    "eta-utc": (*ADD, "--eta", "2100-01-02T03:04:05+00:00", "--task-id", ID),
    "expires-seconds": (*ADD, "--expires", "60"),
    "expires-datetime": (*ADD, "--expires", "2100-01-02T03:04:05Z", "--task-id", ID),
    "time-limits": (*ADD, "--time-limit", "30", "--soft-time-limit", "20", "--task-id", ID),
    "ignore-result": (*ADD, "--ignore-result", "--task-id", ID),
    "repr-long-args": ("diag.noop", "-a", json.dumps(["x" * 3000, list(range(500))]), "-k", json.dumps({"k": "y" * 3000}),
                       "--task-id", ID),
    "sent-event": (*ADD, "--task-id", ID),
    "default-queue": (*ADD, "--queue", "default", "--task-id", ID),
    "no-backend-wait": (*ADD, "--task-id", ID),
}
ROUTED = {
    **{f"priority-{n}": (*ADD, f"--priority={n}", "--task-id", ID) for n in (0, 1, 2, 3, 5, 6, 8, 9, 10, 255, -1)},
    "queue": (*ADD, "--queue", "images", "--task-id", ID),
    "queue-priority": (*ADD, "--queue", "images", "--priority", "9", "--task-id", ID),
}
# The same moment, written otherwise: ours always says its offset.
OTHER_TIME = {
    "eta-naive": ("eta", "2100-01-02T03:04:05", "2100-01-02T03:04:05+00:00"),
    "eta-naive-app-zone": ("eta", "2100-01-02T03:04:05", "2100-01-02T03:04:05+00:00"),
    "eta-zone": ("eta", "2100-01-02T03:04:05+01:00", "2100-01-02T02:04:05+00:00"),
    "expires-naive": ("expires", "2100-01-02T03:04:05", "2100-01-02T03:04:05+00:00"),
}
# Options of apply_async that `--options` takes.
ADD_10 = {"task": "diag.add", "args": [10], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
NOOP = {"task": "diag.noop", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": True}
WITH_OPTIONS = {
    "headers": {"headers": {"tenant": "a", "n": 1}},
    "unknown-option": {"colour": "red"},
    "shadow": {"shadow": "shown name"},
    "retries-set": {"retries": 2},
    "root-and-parent": {"root_id": ID[:-1] + "8", "parent_id": ID[:-1] + "9"},
    "group-id-given": {"group_id": ID[:-1] + "5", "group_index": 4},
    "repr-given": {"argsrepr": "(<hidden>)", "kwargsrepr": "{…}"},
    "stamped": {"stamped_headers": ["tenant", "region"], "tenant": "a", "region": ["x", "y"]},
    "link": {"link": ADD_10},
    "link-two": {"link": [ADD_10, NOOP]},
    "link-error": {"link_error": {**ADD_10, "task": "golden.errback", "args": []}},
    "link-immutable-options": {"link": {**ADD_10, "args": [1, 1], "immutable": True,
                                        "options": {"queue": "images", "priority": 3, "countdown": 5}}},
    "reply-to": {"reply_to": "somewhere"},
}
# Python refuses to send it.
NOT_SENT = {"delay-refused-type": "no message"}
IN_KOMBUS_JSON = ["delay-kombu-types", "repr-kinds"]


@pytest.fixture(scope="module")
def idle():
    """No worker: what is sent stays."""
    with Stack(postgres=False, APIUM_KEY_PREFIX="") as stack:
        yield stack


def envelopes(record):
    for number, command in enumerate(record["commands"]):
        for place, argument in enumerate(command["args"]):
            if command["command"] == "LPUSH" and isinstance(argument, dict) and "body" in argument.get("json", {}):
                yield number, place, command["args"][0], argument["json"]


def ours(stack, key, words):
    """The message that `apium call` puts into a list."""
    if "--queue" not in words:
        words = (*words, "--queue", "celery")
    stack.apium("call", *words)
    message = stack.redis.call("RPOP", key)
    assert message is not None, f"nothing in {key}"
    return json.loads(message)


def body(envelope):
    return json.loads(base64.b64decode(envelope["body"]))


def compare(record, number, place, theirs, mine):
    assert body(mine) == body(theirs)
    mine, theirs = (invariant(record, number, place, envelope) for envelope in (mine, theirs))
    assert list(mine) == list(theirs)  # the order of members, too
    assert mine["headers"].pop("lang") == "c" and theirs["headers"].pop("lang") == "py"
    assert isinstance(mine["headers"].pop("apium_at"), int)
    assert list(mine["headers"]) == list(theirs["headers"])
    assert list(mine["properties"]) == list(theirs["properties"])
    for envelope in (mine, theirs):
        envelope.pop("body")  # compared above: ours keeps the spaces of what it was given
    assert mine == theirs


@pytest.mark.parametrize("name", SAME)
def test_the_producer_writes_what_celery_writes(idle, name):
    for number, place, key, theirs in envelopes(PRODUCER[name]):
        compare(PRODUCER[name], number, place, theirs, ours(idle, key, SAME[name]))
        return
    pytest.fail(f"no message in {name}")


@pytest.mark.parametrize("name", IN_KOMBUS_JSON)
def test_pythons_types_in_kombus_json(idle, name):
    """Bytes, times and the like have a form in JSON, which is sent as it is given; what is shown of them is Python's own."""
    for number, place, key, theirs in envelopes(PRODUCER[name]):
        args, kwargs, _ = body(theirs)
        words = (theirs["headers"]["task"], "-a", json.dumps(args), "-k", json.dumps(kwargs), "--task-id", theirs["headers"]["id"])
        mine = ours(idle, key, words)
        for envelope in (mine, theirs):
            envelope["headers"].update(argsrepr="", kwargsrepr="")
        compare(PRODUCER[name], number, place, theirs, mine)
        return
    pytest.fail(f"no message in {name}")


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_options_of_apply_async(idle, name):
    words = (*ADD, "--task-id", ID, "--options", json.dumps(WITH_OPTIONS[name]))
    for number, place, key, theirs in envelopes(PRODUCER[name]):
        compare(PRODUCER[name], number, place, theirs, ours(idle, key, words))
        return
    pytest.fail(f"no message in {name}")


@pytest.mark.parametrize("options, sentence", [
    ('{"queue": "x"}', "--options: queue is said by --queue"),
    ("[]", "--options must be an object"),
    ('{"link": {"args": []}}', "--options: .*task"),
    ('{"link_error": [{"task": "diag.add", "args": []}, 7]}', "--options: .*signature"),
    ('{"link": {"task": "diag.add"', "--options is not JSON"),
])
def test_bad_options_are_refused(idle, options, sentence):
    with pytest.raises(AssertionError, match=sentence):
        idle.apium("call", "diag.add", "--options", options)
    assert idle.redis.call("LLEN", "default") == 0


@pytest.mark.parametrize("name", ROUTED)
def test_the_producer_routes_as_celery_routes(idle, name):
    for number, place, key, theirs in envelopes(ROUTING[name]):
        compare(ROUTING[name], number, place, theirs, ours(idle, key, ROUTED[name]))
        return
    pytest.fail(f"no message in {name}")


@pytest.mark.parametrize("name", OTHER_TIME)
def test_times_are_the_same_moment(idle, name):
    header, given, written = OTHER_TIME[name]
    for _, _, key, theirs in envelopes(PRODUCER[name]):
        mine = ours(idle, key, (*ADD, "--" + header, given))
        assert (theirs["headers"][header], mine["headers"][header]) == (given, written)
        return
    pytest.fail(f"no message in {name}")


def test_every_recording_of_the_producer_is_accounted_for():
    assert set(PRODUCER) == set(SAME) | set(OTHER_TIME) | set(WITH_OPTIONS) | set(IN_KOMBUS_JSON) | set(NOT_SENT)


def test_what_is_shown_is_celerys_saferepr(idle):
    seed = random.Random(7)

    def value(depth):
        kind = seed.randrange(8 if depth < 5 else 6)
        if kind == 6:
            return [value(depth + 1) for _ in range(seed.randrange(5))]
        if kind == 7:
            return {"".join(seed.choices(string.ascii_letters + "' ř", k=seed.randrange(6))): value(depth + 1)
                    for _ in range(seed.randrange(5))}
        return [None, True, seed.randrange(10**6), seed.random() * 10**seed.randrange(-8, 22),
                "".join(seed.choices(string.printable[:-6] + "žř☃ ", k=seed.randrange(40))),
                "x y " * seed.randrange(400)][kind]

    for _ in range(40):
        args, kwargs = [value(1) for _ in range(seed.randrange(5))], {"k": value(1), "l": value(1)}
        mine = ours(idle, "celery", ("diag.echo", "-a", json.dumps(args), "-k", json.dumps(kwargs)))["headers"]
        assert mine["argsrepr"] == saferepr(tuple(args), 1024)
        assert mine["kwargsrepr"] == saferepr(kwargs, 1024)


def test_a_call_by_routing_key_reaches_what_is_bound(idle):
    for queue, key in (("a", "r"), ("b", "r"), ("c", "other")):
        idle.redis.call("SADD", "_kombu.binding.ex", key.encode() + SEPARATOR + SEPARATOR + queue.encode())
    job = idle.apium("call", "diag.add", "-a", "[1, 2]", "--exchange", "ex", "--routing-key", "r").strip()
    for queue in ("a", "b"):
        message = json.loads(idle.redis.call("RPOP", queue))
        assert message["headers"]["id"] == job
        assert message["properties"]["delivery_info"] == {"exchange": "ex", "routing_key": "r"}
    assert idle.redis.call("LLEN", "c") == 0
    with pytest.raises(AssertionError, match="no queue is bound to exchange ex"):
        idle.apium("call", "diag.add", "--exchange", "ex", "--routing-key", "nobody's")


# --- What this worker stores.

@pytest.fixture(scope="module")
def apium():
    with Stack(worker=True, APIUM_QUEUES="celery,default", APIUM_TASK_EVENTS="on", APIUM_NODE="worker@golden.example") as stack:
        yield stack


class Channel:
    """What is published on a pattern."""

    def __init__(self, stack, pattern):
        self.client = redis_client.Redis(port=stack.redis.port)
        self.subscription = self.client.pubsub(ignore_subscribe_messages=True)
        self.subscription.psubscribe(pattern)
        wait_for(lambda: self.client.execute_command("PUBSUB", "NUMPAT"), "the subscription")
        self.subscription.get_message(timeout=1)

    def next(self):
        return self.subscription.get_message(timeout=0.05)

    def close(self):
        self.subscription.close()
        self.client.close()


def push_recorded(stack, record, queue="celery"):
    """The message of that call, as Celery wrote it."""
    for command in record["commands"]:
        for argument in command["args"]:
            if command["by"] == "producer" and command["command"] == "LPUSH" and isinstance(argument, dict) \
                    and "body" in argument.get("json", {}):
                stack.redis.call("LPUSH", queue, argument["raw"])
                return argument["json"]["properties"]["correlation_id"]
    raise AssertionError("no message")


def stored(record):
    """(command's number, document) of each state that a Python worker stored."""
    for number, command in enumerate(record["commands"]):
        if command["by"].startswith("worker") and command["command"] in ("SETEX", "SET") \
                and "task-meta" in str(command["args"][0]) and "json" in command["args"][-1]:
            yield number, len(command["args"]) - 1, command["args"][-1]["json"]


def states(stack, job, push):
    """All documents of a job, in order, up to the final one."""
    channel = Channel(stack, "*celery-task-meta-" + job)
    found = []
    try:
        stack.redis.call("DEL", "celery-task-meta-" + job)
        push()

        def is_final():
            message = channel.next()
            if message is not None:
                found.append(json.loads(message["data"]))
            return found and found[-1]["status"] in ("SUCCESS", "FAILURE", "REVOKED")
        wait_for(is_final, f"the end of {job}")
    finally:
        channel.close()
    return found


def same_kind(mine, theirs):
    """The same members in the same order, the same kinds of values."""
    assert list(mine) == list(theirs)
    for name, value in theirs.items():
        if name == "traceback" and value is None:
            continue  # ours names the exception where Celery has no Python to tell of
        assert isinstance(mine[name], type(value)) or mine[name] == value, name


EXACT = ["success", "success-none", "success-object", "progress", "expired", "in-group", "v1-accepted"]


@pytest.mark.parametrize("name", EXACT)
def test_results_are_those_that_celery_stored(apium, name):
    record = RESULTS[name]
    job = next(iter(stored(record)))[2]["task_id"]
    apium.redis.call("ZREM", "apium:revoked", job)
    mine = states(apium, job, lambda: push_recorded(apium, record))
    theirs = list(stored(record))
    assert len(mine) == len(theirs)
    for document, (number, place, recorded) in zip(mine, theirs):
        assert list(document) == list(recorded)
        without = [invariant(record, number, place, one) for one in (document, recorded)]
        for one in without:
            if one["status"] == "REVOKED":
                one.pop("traceback")  # ours tells the exception
        assert without[0] == without[1]
    ttl = apium.redis.call("TTL", "celery-task-meta-" + job)
    assert 86000 < ttl <= 86400


def test_an_ignored_result_is_not_stored(apium):
    job = push_recorded(apium, RESULTS["success-ignored"])
    apium.redis.call("DEL", "celery-task-meta-" + job)
    apium.final(apium.push("diag.noop", queue="celery"))
    apium.wait_empty("celery")
    assert apium.result(job) is None


@pytest.mark.parametrize("name", ["failure", "failure-no-arguments", "failure-bad-arguments", "failure-unregistered"])
def test_failures_have_the_shape_of_celerys(apium, name):
    recorded = next(iter(stored(RESULTS[name])))[2]
    push = {
        "failure": lambda: apium.push("diag.fail", kwargs={"times": 9, "error": "boom", "retries": 0}, queue="celery",
                                      job=ID),
        "failure-no-arguments": lambda: apium.push("diag.fail", kwargs={"times": 9, "error": "", "retries": 0},
                                                   queue="celery", job=ID),
    }.get(name, lambda: push_recorded(apium, RESULTS[name]))
    document = states(apium, ID, push)[-1]
    same_kind(document, recorded)
    assert document["status"] == "FAILURE" and list(document["result"]) == list(recorded["result"])
    assert isinstance(document["result"]["exc_message"], list)
    if name == "failure-unregistered":
        assert document["result"] == recorded["result"]


def test_a_retry_that_succeeds(apium):
    """Celery publishes the retry as a child and so has `parent_id` in the end; here it is the same job, put off."""
    theirs = [document for _, _, document in stored(RESULTS["retry-then-success"])]
    mine = states(apium, ID, lambda: push_recorded(apium, RESULTS["retry-then-success"]))
    assert [document["status"] for document in mine] == [document["status"] for document in theirs]
    same_kind(mine[0], theirs[0])
    assert list(mine[0]["result"]) == list(theirs[0]["result"])
    assert mine[-1]["result"] == theirs[-1]["result"] == 2


def test_children_and_their_parent(apium):
    recorded = [document for _, _, document in stored(RESULTS["children"])]
    job = apium.push("diag.children", (2,), queue="celery")
    document = apium.final(job)
    same_kind(document, recorded[0])
    assert [[type(part) for part in child] for child in document["children"]] == [[list, type(None)]] * 2
    for child in document["children"]:
        assert list(apium.final(child[0][0])) == list(recorded[1])


@pytest.mark.parametrize("name, settings", [
    ("started", {"APIUM_TRACK_STARTED": "on"}),
    ("extended-success", {"APIUM_RESULT_EXTENDED": "on"}),
    ("extended-failure", {"APIUM_RESULT_EXTENDED": "on"}),
    ("result-prefix", {"APIUM_RESULT_PREFIX": "r"}),
])
def test_results_as_the_settings_have_them(apium, name, settings):
    record = RESULTS[name]
    theirs = list(stored(record))
    other = apium.start_program("apium-worker", APIUM_QUEUES=name, APIUM_TASK_EVENTS="off", APIUM_NODE="other@here", **settings)
    if name == "extended-failure":
        mine = states(apium, ID, lambda: apium.push("diag.fail", kwargs={"times": 9, "error": "boom", "retries": 0},
                                                    queue=name, job=ID))
        same_kind(mine[-1], theirs[-1][2])
    elif name == "started":  # STARTED and the end go by two connections: a job that is over at once may show no start
        mine = states(apium, ID, lambda: apium.push("diag.sleep", (0.2,), queue=name, job=ID))
        mine[1]["result"] = theirs[1][2]["result"]
    else:
        mine = states(apium, ID, lambda: push_recorded(apium, record, name))
    if name != "extended-failure":
        assert len(mine) == len(theirs)
        for document, (number, place, recorded) in zip(mine, theirs):
            assert list(document) == list(recorded)
            if "queue" in document:
                assert document.pop("queue") == name and recorded.pop("queue") == "celery"
            assert invariant(record, number, place, document) == invariant(record, number, place, recorded)
    assert other.stop() == 0


def test_a_result_that_a_python_worker_compressed_is_read(idle):
    for command in RESULTS["result-compression"]["commands"]:
        if command["command"] == "SETEX":
            key, ttl, value = command["args"]
            idle.redis.call("SETEX", key, ttl, base64.b64decode(value["base64"]))
    job = key.removeprefix("celery-task-meta-")
    assert json.loads(idle.apium("result", job, "--json"))["result"] == {"s": "x" * 500}
    idle.redis.call("SETEX", key, ttl, b"\0celery-compressed\0application/x-lzma\0?")
    with pytest.raises(AssertionError, match="compression application/x-lzma is not known here"):
        idle.apium("result", job, "--json")
    idle.redis.call("DEL", key)


def test_other_priority_steps_and_another_separator():
    """Transport options `priority_steps` and `sep`: lists of other names, for producer and worker, and other bindings."""
    record = ROUTING["priority-steps-and-sep"]
    with Stack(worker=False, APIUM_PRIORITY_STEPS="0,1,2,3,4,5,6,7,8,9", APIUM_PRIORITY_SEPARATOR=":", APIUM_QUEUES="celery",
               APIUM_RESULT_EXPIRES="100") as stack:
        number, place, key, theirs = next(envelopes(record))
        compare(record, number, place, theirs, ours(stack, key, (*ADD, "--priority", "7", "--task-id", ID)))
        for priority in range(10):
            stack.apium("call", "diag.add", "-a", "[1, 1]", "--queue", "celery", "--priority", str(priority), "--countdown", "0.2")
        worker = stack.start_program("apium-worker")
        job = push_recorded(stack, record, key)
        assert stack.final(job)["result"] == 5
        assert 90 < stack.redis.call("TTL", "celery-task-meta-" + job) <= 100
        wait_for(lambda: len(stack.redis.call("KEYS", "celery-task-meta-*")) == 11, "those that were put off")
        assert set(stack.redis.call("SMEMBERS", "_kombu.binding.celery")) == {b"celery::celery"}
        assert "celery::" not in stack.apium("list", "bindings")
        assert worker.stop() == 0


@pytest.mark.parametrize("steps", ["", "1,2", "0,3,3", "0,x", "0,300", "0,1,2,3,4,5,6,7,8,9,10"])
def test_steps_that_are_none_are_refused(idle, steps):
    with pytest.raises(AssertionError, match="APIUM_PRIORITY_STEPS"):
        idle.apium("call", "diag.add", APIUM_PRIORITY_STEPS=steps)


# --- What this worker tells.

def events_of(record):
    for command in record["commands"]:
        if command["command"] == "PUBLISH" and "celeryev" in str(command["args"][0]):
            told = command["args"][1]["body"]["json"]
            for event in told if isinstance(told, list) else [told]:
                yield command["args"][0], event


LIFE = {"task": "task.multi", "worker-heartbeat": "worker.heartbeat", "worker-online": "worker.online",
        "worker-offline": "worker.offline"}
# Of whom the same kind of job is told here.
TOLD = {
    "success": ("diag.add", (2, 3), {}, {}),
    "eta-and-kwargs": ("diag.echo", (), {"k": "v"}, {"root_id": "r", "parent_id": "p", "eta": 0.2}),
    "expired": ("diag.add", (2, 3), {}, {"expires": "2001-01-01T00:00:00+00:00"}),
    "unregistered": ("no.such.task", (), {}, {}),
    "failure": ("diag.fail", (), {"times": 9, "error": "boom", "retries": 0}, {}),
    "retry": ("diag.fail", (), {"times": 1, "error": "failed", "retries": 3}, {}),
    "revoked": ("diag.add", (2, 3), {}, {}),
    "terminated": ("diag.sleep", (30,), {}, {}),
}


class Told(Channel):
    def __init__(self, stack):
        super().__init__(stack, "/0.celeryev/*")
        self.events = []

    def of(self, job):
        message = self.next()
        if message is not None:
            envelope = json.loads(message["data"])
            told = body(envelope)
            assert envelope["headers"].keys() == {"hostname"} and envelope["properties"]["delivery_mode"] == 1
            for event in told if isinstance(told, list) else [told]:
                self.events.append((message["channel"].decode(), event))
        return [(channel, event) for channel, event in self.events if event.get("uuid") == job]


def same_event(mine, theirs):
    assert mine[0] == theirs[0]  # the channel
    members = [name for name in theirs[1] if name != "utcoffset"]  # left out: receivers would shift the time by it
    assert list(mine[1]) == members
    for name in members:
        want, have = theirs[1][name], mine[1][name]
        assert isinstance(have, (int, float) if isinstance(want, (int, float)) else type(want)) or want is None, name


@pytest.mark.parametrize("name", TOLD)
def test_events_have_celerys_members(apium, name):
    recorded = [(channel, event) for channel, event in events_of(EVENTS[name]) if event["type"].startswith("task-")]
    told = Told(apium)
    try:
        task, args, kwargs, headers = TOLD[name]
        if "eta" in headers:
            due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=headers["eta"])
            headers = {**headers, "eta": due.isoformat()}
        job = str(uuid.uuid4())
        if name == "revoked":
            apium.apium("control", "revoke", job)
        apium.push(task, args, kwargs, queue="celery", job=job, **headers)
        if name == "terminated":
            wait_for(lambda: job in apium.apium("inspect", "active"), "the job to run")
            apium.apium("control", "terminate", "SIGTERM", job)
        end = recorded[-1][1]["type"]
        mine = wait_for(lambda: [one for one in told.of(job) if one[1]["type"] == end] and told.of(job), "the end")
    finally:
        told.close()
    assert [event["type"] for _, event in mine] == [event["type"] for _, event in recorded]
    for have, want in zip(mine, recorded):
        if name == "retry":  # there the retried message is a child of the first; here it is the same job
            want[1].update({"parent_id": None} if "parent_id" in want[1] else {})
        same_event(have, want)
        for member in ("args", "kwargs", "result") if name not in ("failure", "retry") else ():
            assert have[1].get(member) == want[1].get(member)
        if name == "unregistered":
            assert have[1].get("exception") == want[1].get("exception")


def test_workers_tell_of_themselves_as_celerys_do(apium):
    recorded = {event["type"]: (channel, event) for name in ("heartbeat", "offline", "online-without-E")
                for channel, event in events_of(EVENTS[name]) if event["type"].startswith("worker-")}
    told = Told(apium)
    try:
        other = apium.start_program("apium-worker", APIUM_NODE="other@golden.example")

        def seen(kind):
            told.of(None)
            return [one for one in told.events if one[1]["type"] == kind and one[1]["hostname"] == "other@golden.example"]
        wait_for(lambda: seen("worker-heartbeat"), "a heartbeat")
        assert other.stop() == 0
        wait_for(lambda: seen("worker-offline"), "the end")
        for kind, want in recorded.items():
            same_event(seen(kind)[0], want)
    finally:
        told.close()
