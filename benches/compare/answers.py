"""Answers in a form that compares: tables as digests of their rows, whatever the order."""

import math
from collections.abc import Sequence
from typing import Any

import duckdb

DIGITS = 7


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


def rounded(rows: Sequence[Sequence[Any]]) -> list[tuple[str, ...]]:
    """Rows of a query as texts, sorted; numbers to seven digits, so that two orders of adding up compare equal."""
    return sorted(tuple(map(_cell, row)) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return "" if math.isnan(number) else f"{number:.{DIGITS}g}"
