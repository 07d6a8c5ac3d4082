"""http-latency: how long lists and single reads take while 16 connections ask as fast as they are answered (Q-08, Q-10)."""

import re
import subprocess

import http_retrieve
import jobs_stack
from measure import Table, load

CONNECTIONS = 16
AUTHORS, BOOKS, POSTS, COMMENTS = 100, 1_000, 5_000, 10_000

FILL = """
INSERT INTO authors (id, created_at, updated_at, name, email)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), 'Author ' || n, 'author' || n || '@example.com'
    FROM generate_series(1, {authors}) n;
INSERT INTO publishers (id, created_at, updated_at, name)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), 'Publisher ' || n FROM generate_series(1, 20) n;
INSERT INTO books (id, created_at, updated_at, title, author_id, publisher_id, published_date)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), 'Book ' || n, lpad((n % {authors} + 1)::text, 32, '0')::uuid,
        lpad((n % 20 + 1)::text, 32, '0')::uuid, date '2000-01-01' + n
    FROM generate_series(1, {books}) n;
INSERT INTO posts (id, created_at, updated_at, title, slug, content, author_id, published, published_at, view_count)
    SELECT lpad(n::text, 32, '0')::uuid, now() - n * interval '1 minute', now(), 'Post ' || n, 'post-' || n,
        repeat('A line of "text", as posts have it. ', 20), (SELECT id FROM users LIMIT 1), true, now(), 0
    FROM generate_series(1, {posts}) n;
INSERT INTO comments (id, created_at, updated_at, post_id, author_id, content)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), lpad((n % {posts} + 1)::text, 32, '0')::uuid,
        (SELECT id FROM users LIMIT 1), 'Comment ' || n
    FROM generate_series(1, {comments}) n;
INSERT INTO reviews (id, created_at, updated_at, product_id, user_id, rating, comment)
    SELECT lpad(n::text, 32, '0')::uuid, now(), now(), lpad(n::text, 32, '0')::uuid, (SELECT id FROM users LIMIT 1), n % 5 + 1, ''
    FROM generate_series(1, {posts}) n;
VACUUM ANALYZE;
"""

# what is asked: the paths, one of them at each request
ASKED = {
    "one product": "/api/v1/products/@/",
    "products, a page": "/api/v1/products/",
    "products, filtered and searched": "/api/v1/products/?category=@&search=product&ordering=-price",
    "one post with its comments": "/api/v1/posts/@/",
    "posts, a page": "/api/v1/posts/",
    "authors with all their books": "/api/v1/authors/",
    "books, a page": "/api/v1/books/?ordering=author__name",
}

WRK = """
local at = 0
function request()
    at = at % 20 + 1
    local path = string.gsub("PATH", "@", string.format("00000000-0000-0000-0000-%012d", at))
    return wrk.format("GET", path, {["Authorization"] = "Bearer TOKEN", ["Accept"] = "application/json"})
end
function done(summary, latency, requests)
    io.write(string.format("taken %.3f %.3f %.3f\\n", latency:percentile(50) / 1000, latency:percentile(95) / 1000,
        latency:percentile(99) / 1000))
end
"""


def asked(gateway, folder, path, seconds):
    """(requests per second, milliseconds of 50, 95 and 99 of 100)"""
    script = f"{folder}/latency.lua"
    with open(script, "w", encoding="ascii") as file:
        file.write(WRK.replace("TOKEN", gateway.token).replace("PATH", path))
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{gateway.port}"]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output and "Socket errors" not in output, output
    times = re.search(r"^taken (\S+) (\S+) (\S+)$", output, re.M)
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), *map(float, times.groups()))


def run(options):
    table = Table(f"http-latency: {CONNECTIONS} connections, {options.rounds} rounds of {options.seconds} s, gateway with "
                  f"{options.threads} thread{'s' if options.threads > 1 else ''}; nothing is cached")
    loads = []
    with jobs_stack.Stack(APIUM_LOG_LEVEL="warn") as stack:
        gateway = http_retrieve.Gateway(stack, options.threads)
        stack.postgres.sql(http_retrieve.FILL.format(products=http_retrieve.PRODUCTS))
        stack.postgres.sql(FILL.format(authors=AUTHORS, books=BOOKS, posts=POSTS, comments=COMMENTS))
        sizes = {name: len(str(gateway.ask("GET", path.replace("@", http_retrieve.product_path(1)[-37:-1]))))
                 for name, path in ASKED.items()}
        for _ in range(options.rounds):
            loads.append(load())
            for name, path in ASKED.items():
                rate, _, most, _ = asked(gateway, stack.folder, path, options.seconds)
                table.add(f"{name}: requests/s", rate)
                table.add(f"{name}: ms, 95 of 100", most, "{:.2f}")
    table.note("bytes of an answer, about", ", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    table.note("load before the rounds", " ".join(f"{value:.1f}" for value in loads))
    table.print()
