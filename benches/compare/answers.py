"""Answers in a form that compares: tables as digests of their rows, whatever the order."""

import math
from collections.abc import Sequence
from typing import Any

import duckdb

TOLERANCE = 1e-9


def parquet(files: Sequence[str]) -> str:
    """A table of DuckDB over some files."""
    return "read_parquet([" + ", ".join(f"'{file}'" for file in files) + "])"


def digests(sql: str) -> dict[str, Any]:
    """Rows, a digest of all rows as a multiset, and one of each column, which tells where two tables differ."""
    with duckdb.connect() as connection:
        columns = [name for name, *_ in connection.execute(f"DESCRIBE {sql}").fetchall()]
        sums = ", ".join(f'sum(hash("{name}")::HUGEINT)' for name in columns)
        rows, whole, *parts = connection.execute(
            f"SELECT count(*), sum(hash(t)::HUGEINT), {sums} FROM ({sql}) AS t"
        ).fetchall()[0]
    return {"rows": rows, **dict(zip(columns, parts)), "all together": whole}


class Rows(list[tuple[str, ...]]):
    """Rows of a query as texts. They equal others if texts do and numbers almost do: sums depend on their order."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and len(self) == len(other) and all(map(_same, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other


def rows(found: Sequence[Sequence[Any]]) -> Rows:
    """The rows of a query, in an order of their own."""
    return Rows(sorted(tuple(map(_cell, row)) for row in found))


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(one) == len(other) and all(a == b or _near(a, b) for a, b in zip(one, other))


def _near(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=TOLERANCE)
    except ValueError:
        return False


def _cell(value: Any) -> str:
    if value is None:
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return "" if math.isnan(number) else repr(number)
