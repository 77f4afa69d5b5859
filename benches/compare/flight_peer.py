"""What one would write instead of a federation: DuckDB behind Arrow Flight at each hospital, and a client that adds up.

`flight_peer.py PARQUET` serves one file on a free port, which it prints. The ticket is SQL, or `ready`: the answer of
the last SQL again, without work.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

READY = "ready"


def serve(path: str) -> None:
    """Serves until it is ended."""
    import duckdb

    class Server(flight.FlightServerBase):
        """One table, asked in SQL."""

        def __init__(self) -> None:
            super().__init__("grpc://127.0.0.1:0")
            self.data = duckdb.connect(config={"threads": 1})
            self.data.execute(f"CREATE TABLE series AS SELECT * FROM '{path}'")
            self.last = pa.table({})

        def do_get(self, context: Any, ticket: Any) -> Any:
            """The rows of a question."""
            sql = ticket.ticket.decode()
            if sql == READY:
                return flight.RecordBatchStream(self.last)
            answer = self.data.cursor().sql(sql).to_arrow_table()
            self.last = answer
            return flight.RecordBatchStream(answer)

    server = Server()
    print(server.port, flush=True)
    server.serve()


@contextmanager
def servers(files: Sequence[Path]) -> Iterator[list[int]]:
    """The ports of one server a file, which end with the block."""
    started = []
    try:
        for file in files:
            command = [sys.executable, __file__, str(file)]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        yield [int(server.stdout.readline()) for server in started if server.stdout]
    finally:
        for server in started:
            server.terminate()
            server.wait()


class FanOut:
    """Asks all servers at once and adds up what they say."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.clients = [flight.connect(f"grpc://127.0.0.1:{port}") for port in ports]
        self.pool = ThreadPoolExecutor(len(self.clients))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of all servers: a group, and numbers that are added up."""
        ticket = flight.Ticket(sql.encode())
        sums: dict[Any, list[Any]] = {}
        for table in self.pool.map(lambda client: client.do_get(ticket).read_all(), self.clients):
            for group, *numbers in zip(*(column.to_pylist() for column in table.columns)):
                sums[group] = [a + b for a, b in zip(sums.get(group, [0] * len(numbers)), numbers)]
        return [(group, *numbers) for group, numbers in sums.items()]


if __name__ == "__main__":
    serve(sys.argv[1])
