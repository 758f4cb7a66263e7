"""Load on a web server, by a generator in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select

from benchmarks.frame.arm import Void
from benchmarks.frame.loadgen import LENGTH_BYTES

START_SECONDS = 60.0
END_SECONDS = 60.0
"""Beyond the time that it sends for."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was sent, in its order. Times are of ``time.monotonic()``, in seconds."""

    due: Sequence[float]
    """When each was to be sent."""
    done: Sequence[float]
    """When its answer was complete."""
    statuses: Sequence[int]

    @property
    def latencies(self) -> list[float]:
        """Seconds from when each was due."""
        return [done - due for due, done in zip(self.due, self.done, strict=True)]

    @property
    def seconds(self) -> float:
        """From the first that was due to the last that was done."""
        return max(self.done) - self.due[0]

    def all_are(self, status: int) -> int:
        """How many there are. Raises Void unless each was answered so."""
        if others := Counter(self.statuses).keys() - {status}:
            raise Void(f"answers of {sorted(others)} where {status} was due")
        return len(self.statuses)


@dataclass(frozen=True, slots=True)
class Load:
    """A generator that has its requests and its connections."""

    pid: int
    _process: subprocess.Popen[str]
    _answers: Path
    _seconds: float

    def send(self) -> Answers:
        """Let it send for its time, and wait. Raises Void if it could not."""
        _ask(self._process, "go")
        _await(self._process, "done", self._seconds + END_SECONDS)
        # For each request two times of 8 bytes, then a status of 2.
        number = self._answers.stat().st_size // 18
        due, done, statuses = array("d"), array("d"), array("H")
        with self._answers.open("rb") as file:
            for column in (due, done, statuses):
                column.fromfile(file, number)
        return Answers(due, done, statuses)


@contextmanager
def load(
    requests: Sequence[bytes],
    port: int,
    folder: Path,
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
    constant: bool = False,
) -> Iterator[Load]:
    """A generator that is ready to send to 127.0.0.1.

    Without a `rate` each connection has a request under way at any time; with one so many fall due
    in a second, at random or at constant intervals. `connections` bound how many are under way.
    There must be requests enough: none is sent twice. Raises Void if it does not start.
    """
    given, answers = folder / "requests", folder / "answers"
    with given.open("wb") as file:
        for each in requests:
            file.write(len(each).to_bytes(LENGTH_BYTES) + each)
    argv = [sys.executable, "-m", "benchmarks.frame.loadgen", str(given), str(answers)]
    argv += [f"--port={port}", f"--connections={connections}", f"--seconds={seconds}"]
    argv += [f"--rate={rate}"] if rate else []
    argv += ["--constant"] if constant else []
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            _await(process, "ready", START_SECONDS)
            yield Load(process.pid, process, answers, seconds)
        finally:
            process.kill()


def _ask(process: subprocess.Popen[str], word: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{word}\n")
        process.stdin.flush()


def _await(process: subprocess.Popen[str], word: str, patience: float) -> None:
    """Wait until it says that. Raises Void if it says something else, or nothing."""
    told = ""
    if process.stdout is not None and select([process.stdout], (), (), patience)[0]:
        told = process.stdout.readline()
    if told != f"{word}\n":
        process.kill()
        complaint = process.communicate(timeout=10)[1].strip()
        raise Void(f"the load is not {word}: {complaint[-500:] or 'it takes too long'}")


def http_request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a POST on a connection that stays open."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
