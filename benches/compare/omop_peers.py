"""One peer over OMOP tables: `omop_peers.py PEER SOURCE OUT THREADS TABLE...`; a Parquet file a table comes out.

The source is a folder of CSV files, or the address of a database.
"""

import os
import sys


def main() -> None:
    """Converts each table."""
    peer, source, out, threads, *tables = sys.argv[1:]
    os.environ["POLARS_MAX_THREADS"] = threads
    convert = {"duckdb": duckdb, "polars": polars, "adbc": adbc, "connectorx": connectorx}[peer]
    for table in tables:
        convert(source, table, f"{out}/{table}.parquet", int(threads))


def duckdb(source: str, table: str, out: str, threads: int) -> None:
    """DuckDB, which finds out the types itself."""
    import duckdb as library

    with library.connect() as connection:
        connection.execute(f"SET threads = {threads}; SET preserve_insertion_order = false")
        read = f"read_csv('{source}/{table}.csv')"
        connection.execute(f"COPY (SELECT * FROM {read}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def polars(source: str, table: str, out: str, _: int) -> None:
    """Polars' streaming engine, which finds out the types itself."""
    import polars as pl

    frame = pl.scan_csv(f"{source}/{table}.csv", try_parse_dates=True, infer_schema_length=10_000)
    frame.sink_parquet(out, compression="zstd", compression_level=1)


def adbc(source: str, table: str, out: str, _: int) -> None:
    """ADBC's driver of PostgreSQL, batch by batch."""
    import adbc_driver_postgresql.dbapi as driver
    import pyarrow.parquet as parquet

    with driver.connect(source) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        reader = cursor.fetch_record_batch()
        with parquet.ParquetWriter(out, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def connectorx(source: str, table: str, out: str, threads: int) -> None:
    """connectorx, a connection a thread over ranges of the key."""
    import connectorx as library
    import pyarrow.parquet as parquet

    read = library.read_sql(
        source, f"SELECT * FROM {table}", return_type="arrow", protocol="binary", partition_on=f"{table}_id",
        partition_num=threads,
    )
    parquet.write_table(read, out, compression="zstd")


if __name__ == "__main__":
    main()
