"""docs/tutorial.md from its first line to its last: the library is installed, the application of the page is built from
the installed files alone, and every command runs and answers what the page says."""

import json
import os
import re
import shutil
import subprocess

import pytest

from apium import TOP, Program, Stack, free_port, wait_for

PAGE = (TOP / "docs/tutorial.md").read_text()
EXAMPLE = TOP / "examples/notes"
ADDRESS = "127.0.0.1:8000"


def blocks():
    """(language, the file's name or "", text) of every fenced block."""
    found = re.findall(r"(?:^`([^`\n]+)`\n\n)?^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
    return [(language, name, text) for name, language, text in found]


def quietly(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=400, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The library, built and installed as the page says."""
    folder = tmp_path_factory.mktemp("libapium")
    prefix = folder / "prefix"
    quietly(["meson", "setup", folder / "build", f"--prefix={prefix}", "--libdir=lib", "-Dtests=false", "-Doptimization=0",
             "-Ddebug=false"], cwd=TOP)
    quietly(["nice", "meson", "install", "-C", folder / "build"])
    shutil.rmtree(folder / "build")
    return prefix


@pytest.fixture(scope="module")
def environment(prefix):
    return {"PATH": f"{prefix}/bin:{os.environ['PATH']}", "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig", "HOME": "/nonexistent"}


def test_the_page_holds_the_example_file_by_file():
    listed = {name: text for _, name, text in blocks() if name}
    there = {str(path.relative_to(EXAMPLE)): path.read_text() for path in EXAMPLE.rglob("*") if path.is_file()}
    assert sorted(listed) == sorted(there)
    for name, text in there.items():
        assert listed[name] == text, f"{name} on the page is not examples/notes/{name}"


def test_every_installed_header_compiles_and_none_is_internal(prefix, environment, tmp_path):
    top = prefix / "include/apium"
    headers = sorted(str(path.relative_to(top)) for path in top.rglob("*.h"))
    assert {"gateway/gateway.h", "queue/worker.h", "resource/resource.h", "db/db.h"} <= set(headers)
    assert not [name for name in headers if name.endswith("internal.h")]
    sources = []
    for name in headers:
        sources.append(tmp_path / f"{name.replace('/', '_')}.c")
        sources[-1].write_text(f'#include "{name}"\n')
    words = quietly(["pkg-config", "--cflags", "libapium"], env=environment).split()
    quietly(["cc", "-std=gnu17", "-Wall", "-Werror", "-fsyntax-only", *words, *sources], env=environment)


def test_a_program_links_with_the_static_library(prefix, environment, tmp_path):
    words = quietly(["pkg-config", "--cflags", "--libs", "--static", "libapium"], env=environment).split()
    libraries = [word.replace("-lapium", "-l:libapium.a") for word in words]
    binary = tmp_path / "notes-worker"
    # What vips itself stands on it finds as it always does.
    needed = [word for word in libraries if not re.fullmatch(r"-l.*", word) or word in (
        "-l:libapium.a", "-luv", "-lpq", "-lhiredis", "-lvips", "-lgobject-2.0", "-lglib-2.0", "-lz", "-lcurl", "-lh2o", "-lnghttp2", "-lssl",
        "-lcrypto", "-ljwt", "-lsodium", "-lcrypt", "-ljansson", "-lzstd", "-lbz2", "-lm", "-lboost_context")]
    quietly(["cc", "-std=gnu17", EXAMPLE / "worker.c", EXAMPLE / "notes.c", "-o", binary, *needed], env=environment)
    assert "libapium" not in quietly(["ldd", binary])


class Terminal:
    """Runs the page's commands one after another: exports stay, what ends in & runs on."""

    def __init__(self, folder, environment, port, stack):
        self.folder, self.environment, self.port, self.stack = folder, dict(environment), port, stack
        self.running = []

    def run(self, line):
        line = line.replace(ADDRESS, f"127.0.0.1:{self.port}")
        line = line.replace("postgresql:///notes", self.stack.postgres.url).replace("redis://127.0.0.1:6379/0", self.stack.redis_server.url)
        if line.startswith("export "):
            self.environment.update(word.split("=", 1) for word in line.split()[1:])
            return ""
        if line.endswith(" &"):
            program = Program(line.split("/")[-1].removesuffix(" &"), [self.folder / line.removesuffix(" &")], self.environment,
                              self.folder)
            self.running.append(program)
            return ""
        return quietly(["bash", "-c", line], cwd=self.folder, env=self.environment)


def answers(terminal, line):
    """What a command prints as JSON, asked again while the gateway does not listen yet."""
    try:
        return json.loads(terminal.run(line))
    except AssertionError:
        assert all(program.is_running() for program in terminal.running), [p.log for p in terminal.running]
        return None


def test_every_command_does_what_the_page_says(environment, tmp_path):
    folder = tmp_path / "notes"
    for language, name, text in blocks():
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    steps = [(language, text) for language, name, text in blocks() if not name]
    assert [language for language, _ in steps].count("json") == 3
    with Stack(migrate=False) as stack:
        terminal = Terminal(folder, environment, free_port(), stack)
        try:
            for number, (language, text) in enumerate(steps):
                if language == "json":
                    continue
                if number + 1 < len(steps) and steps[number + 1][0] == "json":
                    expected = json.loads(steps[number + 1][1])
                    wait_for(f"{text}{expected}", lambda: answers(terminal, text) == expected, 20)
                    continue
                for line in text.splitlines():
                    terminal.run(line)
            wait_for("the job to have ended", lambda: stack.sql("SELECT count(*) FROM job_outbox") == [(0,)])
            assert [program.stop() for program in terminal.running] == [0, 0]
            assert stack.sql("SELECT id, words FROM notes") == [(1, 6)]
        finally:
            for program in terminal.running:
                program.kill()
                program.process.wait()
