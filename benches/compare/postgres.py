"""A PostgreSQL server of Debian's for one comparison, on loopback, run by an ordinary user."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sides import LeftOut

USER, PASSWORD = "caim", secrets.token_hex(8)
SETTINGS = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "1GB", "max_wal_size": "4GB"}


@contextmanager
def server() -> Iterator[str]:
    """The address of a running server, which ends with the block."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="caim-postgres-"))
    folder.chmod(0o777)
    secret, data = folder / "password", folder / "data"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o644)
    try:
        made = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-U", USER]
        _ordinary(programs / "initdb", *made, f"--pwfile={secret}", "-D", str(data))
        port = _free_port()
        settings = " ".join(f"-c {name}={value}" for name, value in (SETTINGS | {"port": port}).items())
        control = ["-D", str(data), "-w", "-s", "-l", str(folder / "log")]
        _ordinary(programs / "pg_ctl", "start", *control, "-o", f"{settings} -k {folder}")
        try:
            yield f"postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _ordinary(programs / "pg_ctl", "stop", *control, "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(address: str, tables: dict[str, Path], key: dict[str, str], columns: dict[str, str]) -> None:
    """Fills one table a CSV file; `columns` are the definitions of each."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for name, path in tables.items():
            connection.execute(f"CREATE UNLOGGED TABLE {name} ({columns[name]})")
            statement = f"COPY {name} FROM STDIN (FORMAT csv, HEADER)"
            with open(path, "rb") as file, connection.cursor().copy(statement) as copy:
                while chunk := file.read(1 << 20):
                    copy.write(chunk)
            connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({key[name]})")
        connection.execute("VACUUM ANALYZE")


def _programs() -> Path:
    """The folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise LeftOut("PostgreSQL is not installed (Debian's package postgresql)")
    return found[-1].parent


def _ordinary(program: Path, *arguments: str) -> None:
    """Runs a program that refuses to be run by root."""
    prefix: Sequence[str] = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*prefix, str(program), *arguments]
    # To a file: the server inherits these descriptors, and a pipe would stay open as long as it runs.
    with tempfile.TemporaryFile("w+") as said:
        ended = subprocess.run(command, cwd="/tmp", stdout=said, stderr=said, check=False)
        said.seek(0)
        if ended.returncode != 0:
            raise LeftOut(f"{program.name} failed: {said.read().strip()[-300:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
