"""The sides of a comparison, and what one run of a side took."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_S = 3600


class LeftOut(Exception):
    """Why a side takes no part."""


@dataclass(frozen=True)
class Spent:
    """What one run took: seconds on the wall, seconds of CPU (None: in processes of others), stages by name."""

    wall: float
    cpu: float | None = None
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One way to do the work. `answer` says what it answered, in a form that compares; a limit answers nothing."""

    name: str
    run: Callable[[], Spent]
    before: Callable[[], None] = lambda: None
    answer: Callable[[], Any] | None = None


def cores(threads: int) -> set[int]:
    """The cores that a side of so many threads may use: always the same ones."""
    return set(sorted(os.sched_getaffinity(0))[:threads])


def process(
    command: Sequence[str | Path],
    threads: int,
    stdin: Path | None = None,
    stages: Callable[[str], dict[str, float]] = lambda log: {},
) -> Callable[[], Spent]:
    """A run of a program that is held to `threads` cores; `stages` reads its log."""

    def run() -> Spent:
        with open(stdin or os.devnull, "rb") as source:
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            ended = subprocess.run(
                list(map(str, command)), stdin=source, capture_output=True, text=True, errors="replace", check=False,
                timeout=TIMEOUT_S, preexec_fn=lambda: os.sched_setaffinity(0, cores(threads)),
            )
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode != 0:
            raise LeftOut(f"ended with {ended.returncode}: {ended.stderr.strip()[-300:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Spent(wall, cpu, stages(ended.stderr))

    return run


def call(function: Callable[[], Any], keep: Callable[[Any], None] = lambda answer: None) -> Callable[[], Spent]:
    """A run of a function of this process."""

    def run() -> Spent:
        began = time.perf_counter()
        answer = function()
        spent = Spent(time.perf_counter() - began)
        keep(answer)
        return spent

    return run
