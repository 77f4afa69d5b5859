"""Runs all sides of a work in turn, round by round, so that all meet the same load, and compares them pairwise."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sides import LeftOut, Side, Spent

OURS = "Caim"
# Digests are longer, and tell a reader nothing.
LONGEST_COUNTS = 40


@dataclass(frozen=True)
class Plan:
    """What to run: the binary, a folder for files, the size of the data, how often. `short` proves, and measures little."""

    caim: Path
    folder: Path
    scale: float
    rounds: int
    short: bool


@dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """What was measured of one side. `ahead` says how many times as fast as it Caim was, in the same round."""

    side: str
    seconds: Spread
    rate: float
    cpu: float | None
    ahead: Spread | None
    ahead_cpu: float | None
    stages: dict[str, float]


@dataclass
class Work:
    """One table: a work, its amount, the sides that did it, and those that did not, with the reason.

    It is sound if Caim did it, and all answers were the same. Works of one family are shown as one table, a line each.
    """

    name: str
    amount: float
    unit: str
    rounds: int
    family: str = ""
    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    sound: bool = True


def compare(work: Work, sides: Sequence[Side]) -> Work:
    """Measures all sides. The first is Caim; one whose answer is another than Caim's gets no figure."""
    left = _agreeing(work, sides)
    spent: dict[str, list[Spent]] = {side.name: [] for side in left}
    for turn in range(work.rounds):
        at = turn % max(len(left), 1)
        for side in left[at:] + left[:at]:
            side.before()
            spent[side.name].append(side.run())
            _say(f"{work.name}: round {turn + 1}, {side.name}: {spent[side.name][-1].wall:.3f} s")
    ours = spent.get(sides[0].name)
    work.rows = [_row(work, side.name, spent[side.name], ours) for side in left]
    return work


def _agreeing(work: Work, sides: Sequence[Side]) -> list[Side]:
    """Runs each side once, which also warms up; the sides whose answer is Caim's, or who answer nothing."""
    left, wanted = [], None
    for side in sides:
        try:
            answer = _first(side)
        except LeftOut as reason:
            work.left_out[side.name] = str(reason)
            work.sound &= side is not sides[0]
            continue
        if side is sides[0]:
            wanted = answer
        elif answer is not None and answer != wanted:
            work.left_out[side.name] = f"another answer: {_difference(wanted, answer)}"
            work.sound = False
            continue
        left.append(side)
    return left


def _first(side: Side) -> Any:
    side.before()
    side.run()
    return side.answer() if side.answer else None


def _difference(ours: Any, theirs: Any) -> str:
    """Which parts of two answers differ, if they have parts, and counts where they are counts; else both, shortened."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        differing = [name for name in ours if ours[name] != theirs.get(name)]
        said = {name: f" ({ours[name]} here, {theirs.get(name)} there)" for name in differing}
        return ", ".join(name + (said[name] if len(said[name]) < LONGEST_COUNTS else "") for name in differing)
    return f"{str(ours)[:200]} here, {str(theirs)[:200]} there"


def _row(work: Work, name: str, spent: list[Spent], ours: list[Spent] | None) -> Row:
    seconds = Spread.of([one.wall for one in spent])
    cpu = _median([one.cpu for one in spent])
    ahead = ahead_cpu = None
    if ours is not None and spent is not ours:
        ahead = Spread.of([theirs.wall / own.wall for own, theirs in zip(ours, spent)])
        ahead_cpu = _median([t.cpu / o.cpu if t.cpu and o.cpu else None for o, t in zip(ours, spent)])
    names = dict.fromkeys(stage for one in spent for stage in one.stages)
    stages = {stage: median(one.stages.get(stage, 0.0) for one in spent) for stage in names}
    return Row(name, seconds, work.amount / seconds.median, cpu, ahead, ahead_cpu, stages)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _say(line: str) -> None:
    """Progress, for people who wait."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)
