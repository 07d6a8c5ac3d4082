"""http-retrieve: one product by its id, with a token, beside pgbench with the very statement that the gateway sends."""

import contextlib
import http.client
import json
import os
import re
import subprocess

import jobs_stack
from measure import Meter, Table, counted_system_calls, family, load, most_frequent, reaped_seconds

PRODUCTS = 10_000
COUNTED = 500  # requests for the count of statements
STRACED_SECONDS = 2
PASSWORD = "Sup3r-Secret-Pass!"

# Ids that pgbench can make from a number: its variables know no text.
FILL = """
INSERT INTO categories (id, created_at, updated_at, name, slug, description)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), 'Category ' || n, 'category-' || n, '' FROM generate_series(1, 20) n;
INSERT INTO products (id, created_at, updated_at, is_deleted, owner_id, name, slug, description, price, eur_to_usd_rate,
        quantity, unit_discount, discount_percentage, stock, low_stock_threshold, category_id, status, is_active,
        is_published, view_count)
    SELECT lpad(n::text, 32, '0')::uuid, now() - n * interval '1 minute', now(), false, (SELECT id FROM users), 'Product ' || n, 'product-' || n,
        repeat('A line of "text", as products have it. ', 5), n % 1000 + 0.5, 1.1, 1, 0, 0, n % 50, 10,
        lpad((n % 20 + 1)::text, 32, '0')::uuid, 'active', true, true, 0
    FROM generate_series(1, {products}) n;
VACUUM ANALYZE;
"""

WRK = """
local requests, at = {}, 0
function init()
    math.randomseed(os.time())
    for i = 1, 4096 do
        local path = string.format("/api/v1/products/%s/", UUID(math.random(1, PRODUCTS)))
        requests[i] = wrk.format("GET", path, {["Authorization"] = "Bearer TOKEN", ["Accept"] = "application/json"})
    end
end
function UUID(n)
    local digits = string.format("%032d", n)
    return digits:sub(1, 8) .. "-" .. digits:sub(9, 12) .. "-" .. digits:sub(13, 16) .. "-" .. digits:sub(17, 20) .. "-"
        .. digits:sub(21)
end
function request()
    at = at % #requests + 1
    return requests[at]
end
"""


def product_path(number):
    digits = f"{number:032d}"
    return f"/api/v1/products/{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}/"


class Gateway:
    """The program, a user of it, and a connection to it."""

    def __init__(self, stack, threads):
        self.port = jobs_stack.free_port()
        self.program = stack.start_program("apium-gateway", APIUM_LISTEN=f"127.0.0.1:{self.port}", APIUM_THREADS=threads)
        jobs_stack.wait_for(self._is_up, "the gateway")
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.token = None
        login = {"email": "bench@example.com", "password": PASSWORD}
        self.ask("POST", "/api/v1/users/", {**login, "password_confirm": PASSWORD}, 201)
        self.token = self.ask("POST", "/api/v1/auth/login/", login)["tokens"]["access"]

    def _is_up(self):
        assert self.program.is_running(), self.program.log
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def ask(self, method, path, body=None, status=200):
        headers = {"Content-Type": "application/json"} if body else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == status, f"{method} {path}: {answer.status} {text[:500]}"
        return json.loads(text)


def count_statements(stack, gateway):
    """Statements per request as PostgreSQL logs them, and the text of the one."""
    stack.postgres.sql("ALTER SYSTEM SET log_statement = 'all';\nSELECT pg_reload_conf();")
    jobs_stack.wait_for(lambda: stack.postgres.sql("SHOW log_statement;") == [["all"]], "PostgreSQL's settings")
    # A session reads its settings again at its next statement: the first answers may not be in the log.
    for number in range(1, 11):
        gateway.ask("GET", product_path(number))
    log = f"{stack.postgres.folder}/log"
    with open(log, encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        for number in range(1, COUNTED + 1):
            product = gateway.ask("GET", product_path(number))
            assert product["name"] == f"Product {number}" and product["category_name"], product
        texts = re.findall(r"LOG: +(?:execute [^:]*|statement): (.*)", file.read())
    stack.postgres.sql("ALTER SYSTEM RESET log_statement;\nSELECT pg_reload_conf();")
    reads = [text for text in texts if "FROM products t" in text]
    assert len(set(reads)) == 1, set(reads)
    return len(texts) / COUNTED, reads[0]


def write_scripts(stack, gateway, statement):
    wrk, pgbench = f"{stack.folder}/wrk.lua", f"{stack.folder}/pgbench.sql"
    with open(wrk, "w", encoding="ascii") as file:
        file.write(WRK.replace("TOKEN", gateway.token).replace("PRODUCTS", str(PRODUCTS)))
    with open(pgbench, "w", encoding="utf-8") as file:
        # Making the id of the number costs PostgreSQL about half a microsecond that the gateway does not cost it.
        # $1 is the caller, $2 the row.
        row = f"lpad(:n::text, 32, {chr(39)}0{chr(39)})::uuid"
        file.write(f"\\set n random(1, {PRODUCTS})\n{statement.replace('$1', row).replace('$2', row)};\n")
    return wrk, pgbench


def milliseconds(output, percent):
    number, unit = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)", output).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(gateway, script, seconds):
    """Requests made, and what wrk printed."""
    words = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{gateway.port}"]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output and "Socket errors" not in output, output
    return int(re.search(r"(\d+) requests in", output)[1]), output


@contextlib.contextmanager
def own_children():
    """[seconds] of processor time of the programs that are run within."""
    used = []
    before = os.times()
    yield used
    after = os.times()
    used.append(after.children_user + after.children_system - before.children_user - before.children_system)


def pgbench(stack, script, seconds, table):
    words = ["pgbench", "-n", "-M", "prepared", "-c", "8", "-j", "1", "-T", str(seconds), "-f", script, "-h",
             stack.postgres.folder, "-U", "apium", "apium"]
    postmaster = stack.postgres.process.pid
    before, sessions = reaped_seconds(postmaster), family(postmaster)
    with own_children() as client:
        output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    jobs_stack.wait_for(lambda: family(postmaster) == sessions, "the end of pgbench's sessions")
    count = int(re.search(r"transactions actually processed: (\d+)", output)[1])
    table.add("pgbench -M prepared -c 8, statements/s", float(re.search(r"tps = ([\d.]+)", output)[1]))
    cost = (reaped_seconds(postmaster) - before + client[0]) / count * 1e6
    table.add("CPU us per statement: pgbench, PostgreSQL", cost, "{:.1f}")
    return float(re.search(r"tps = ([\d.]+)", output)[1]), cost


def measured_round(stack, gateway, scripts, seconds, table):
    rate, cost = pgbench(stack, scripts[1], seconds, table)
    meter = Meter(gateway=[gateway.program.pid], PostgreSQL=family(stack.postgres.process.pid))
    meter.start()
    with own_children() as client:
        requests, output = wrk(gateway, scripts[0], seconds)
    meter.stop()
    got = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    table.add("requests/s, wrk -t1 -c64", got)
    table.add("of pgbench in the same round", got / rate, "{:.2f}")
    for name, used in meter.used.items():
        table.add(f"CPU us per request: {name}", used / requests * 1e6, "{:.1f}")
    whole = (sum(meter.used.values()) + client[0]) / requests * 1e6
    table.add("CPU us per request: with wrk", whole, "{:.1f}")
    table.add("of pgbench by CPU, clients included", cost / whole, "{:.2f}")
    table.add("ms, median", milliseconds(output, 50), "{:.2f}")
    table.add("ms, 99 of 100", milliseconds(output, 99), "{:.2f}")


def run(options):
    loads = []
    table = Table(f"http-retrieve: one of {PRODUCTS:,} products, {options.rounds} rounds of {options.seconds} s, gateway with "
                  f"{options.threads} thread{'s' if options.threads > 1 else ''}")
    with jobs_stack.Stack(APIUM_LOG_LEVEL="warn") as stack:
        gateway = Gateway(stack, options.threads)
        # Outside of a transaction, which VACUUM needs: psql sends the statements one by one.
        stack.postgres.sql(FILL.format(products=PRODUCTS))
        statements, text = count_statements(stack, gateway)
        scripts = write_scripts(stack, gateway, text)
        wrk(gateway, scripts[0], 1)
        for _ in range(options.rounds):
            loads.append(load())
            measured_round(stack, gateway, scripts, options.seconds, table)
        with counted_system_calls([gateway.program.pid], stack.folder, jobs_stack.wait_for) as counts:
            requests, _ = wrk(gateway, scripts[0], STRACED_SECONDS)
    table.note("SQL statements per request", f"{statements:.3f}")
    table.note("system calls per request, under strace",
               f"{sum(counts.values()) / requests:.2f}   ({most_frequent(counts, requests)})")
    table.note("load before the rounds", " ".join(f"{value:.1f}" for value in loads))
    table.print()
