"""What both benches measure with: processor time, system calls, medians."""

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path


def processor_seconds(pid):
    """What a process has used so far, over its threads that live."""
    used = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            used += int((task / "schedstat").read_text().split()[0])
    return used / 1e9


def reaped_seconds(pid):
    """What its children had used that have ended; in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


class Meter:
    """Processor time of named groups of processes, from `start` to `stop`."""

    def __init__(self, **groups):
        self.groups = groups
        self.at_start = {}
        self.used = {}

    def _read(self):
        read = {}
        for name, pids in self.groups.items():
            for pid in pids:
                # A process that ends in between is not counted: it was not part of the work.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    read[name, pid] = processor_seconds(pid)
        return read

    def start(self):
        self.at_start = self._read()

    def stop(self):
        self.used = dict.fromkeys(self.groups, 0.0)
        for (name, pid), seconds in self._read().items():
            self.used[name] += seconds - self.at_start.get((name, pid), 0.0)


@contextlib.contextmanager
def counted_system_calls(pids, folder, wait_for):
    """A dict that is filled at the end: {system call: times}, of these processes and their threads."""
    counts = {}
    summary = Path(folder) / "strace"
    words = ["strace", "-c", "-f", "-o", str(summary)]
    for pid in pids:
        words += ["-p", str(pid)]
    tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_attached():
        assert tracer.poll() is None, "strace could not attach"
        tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
        return all("\nTracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

    try:
        wait_for(is_attached, "strace")
        yield counts
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    for line in summary.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and re.fullmatch(r"[\d.]+", words[0]) and words[-1] != "total":
            counts[words[-1]] = int(words[3])


def most_frequent(counts, units, most=6):
    """ "read 1.02, sendto 0.03 …": how often per unit, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count / units:.3f}" for name, count in ranked[:most] if count >= units / 1000)


class Table:
    """Rows of measured values, one value per round."""

    def __init__(self, title):
        self.title = title
        self.rows = {}
        self.notes = []

    def add(self, name, value, form="{:,.0f}"):
        self.rows.setdefault(name, (form, []))[1].append(value)

    def note(self, name, text):
        self.notes.append((name, text))

    def median(self, name):
        return statistics.median(self.rows[name][1])

    def print(self):
        print(f"\n{self.title}\n")
        for name, (form, values) in self.rows.items():
            low, high = form.format(min(values)), form.format(max(values))
            print(f"  {name:<42} {form.format(statistics.median(values)):>11}   ({low} to {high})")
        for name, text in self.notes:
            print(f"  {name:<42} {text}")
        sys.stdout.flush()


def load():
    return os.getloadavg()[0]
