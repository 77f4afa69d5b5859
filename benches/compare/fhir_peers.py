"""One peer over a folder of NDJSON: `fhir_peers.py PEER FOLDER OUT THREADS`; a Parquet file a table comes out."""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from fhir_flat import DATE_LENGTH, FLATS, PREFIX, Flat, Shape, shape, steps

CHUNK = 100_000


def main() -> None:
    """Flattens every kind of resource."""
    peer, folder, out, threads = sys.argv[1:]
    if peer == "polars":
        os.environ["POLARS_MAX_THREADS"] = threads
    flatten = {"duckdb": duckdb, "polars": polars, "orjson": orjson}[peer]
    for flat in FLATS:
        flatten(flat, f"{folder}/{flat.resource}.ndjson", f"{out}/{flat.resource}.parquet", int(threads))


def duckdb(flat: Flat, source: str, out: str, threads: int) -> None:
    """DuckDB, told the types of what it reads."""
    import duckdb as library

    def typed(at: Shape) -> str:
        leaf = {"float": "DOUBLE", "integer": "BIGINT"}.get(at.kind, "VARCHAR")
        own = f"STRUCT({', '.join(f'{n} {typed(s)}' for n, s in at.below.items())})" if at.below else leaf
        return own + "[]" * at.many

    def column(path: str, kind: str) -> str:
        value = ".".join(name + "[1]" * first for name, first in steps(path))
        if kind == "date":
            return f"CAST({value}[:{DATE_LENGTH}] AS DATE)"
        return f"{value}[{len(PREFIX[kind]) + 1}:]" if kind in PREFIX else value

    columns = ", ".join(f"{name}: '{typed(at)}'" for name, at in shape(flat).items())
    table = f"read_ndjson('{source}', columns = {{{columns}}})"
    if flat.each is not None:
        table = f"(SELECT *, unnest({flat.each}) AS each FROM {table})"
    wanted = ", ".join(f"{column(path, kind)} AS {name}" for name, (path, kind) in flat.columns.items())
    with library.connect() as connection:
        connection.execute(f"SET threads = {threads}; SET preserve_insertion_order = false")
        connection.execute(f"COPY (SELECT {wanted} FROM {table}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def polars(flat: Flat, source: str, out: str, _: int) -> None:
    """Polars' streaming engine, told the schema."""
    import polars as pl

    def typed(at: Shape) -> Any:
        leaf = {"float": pl.Float64, "integer": pl.Int64}.get(at.kind, pl.String)
        own = pl.Struct({name: typed(below) for name, below in at.below.items()}) if at.below else leaf
        return pl.List(own) if at.many else own

    def column(path: str, kind: str) -> Any:
        (name, first), *rest = steps(path)
        value = pl.col(flat.each or name if name == "each" else name)
        value = value.list.get(0, null_on_oob=True) if first else value
        for name, first in rest:
            value = value.struct.field(name)
            value = value.list.get(0, null_on_oob=True) if first else value
        if kind == "date":
            return value.str.slice(0, DATE_LENGTH).str.to_date("%Y-%m-%d")
        return value.str.slice(len(PREFIX[kind])) if kind in PREFIX else value

    frame = pl.scan_ndjson(source, schema={name: typed(at) for name, at in shape(flat).items()})
    if flat.each is not None:
        frame = frame.explode(flat.each)
    wanted = [column(path, kind).alias(name) for name, (path, kind) in flat.columns.items()]
    frame.select(wanted).sink_parquet(out, compression="zstd", compression_level=1)


def orjson(flat: Flat, source: str, out: str, _: int) -> None:
    """orjson, and a function a row as one would write it by hand."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    kinds = {"date": pa.date32(), "float": pa.float64(), "integer": pa.int64()}
    schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, (_, kind) in flat.columns.items()])
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for rows in _chunks(source, flat):
            columns = [pa.array(values, kind) for values, kind in zip(zip(*rows), schema.types)]
            writer.write_table(pa.table(columns, schema=schema))


def _chunks(source: str, flat: Flat) -> Iterator[list[tuple[Any, ...]]]:
    from orjson import loads

    row, rows = _row(flat), []
    with open(source, "rb") as file:
        for line in file:
            resource = loads(line)
            rows += [row(resource, item) for item in (resource[flat.each] if flat.each else (resource,))]
            if len(rows) >= CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _row(flat: Flat) -> Callable[[Any, Any], tuple[Any, ...]]:
    """The function that makes a row of a resource and an item of its list, out of the paths."""
    def column(path: str, kind: str) -> str:
        names = steps(path)
        value = "item" if names[0][0] == "each" else "resource"
        for at, (name, first) in enumerate(names[names[0][0] == "each" :]):
            value = f"({value} or EMPTY).get('{name}')" if at else f"{value}.get('{name}')"
            value = f"({value} or NONE)[0]" if first else value
        if kind == "date":
            return f"day({value})"
        return f"{value}[{len(PREFIX[kind])}:]" if kind in PREFIX else value

    columns = ", ".join(column(path, kind) for path, kind in flat.columns.values())
    names: dict[str, Any] = {"EMPTY": {}, "NONE": [None], "day": _day}
    return eval(f"lambda resource, item: ({columns},)", names)


def _day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value[:DATE_LENGTH])


if __name__ == "__main__":
    main()
