"""DICOM headers into Parquet: files a second, from the open of the first file to the last byte of the table.

Each side reads the same attributes, those that Caim's model keeps; Caim also derives series, studies and the common
model within its time. Answers are compared attribute by attribute over all objects; patients, who are pseudonyms in Caim, by
which objects belong together.
"""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

import answers
import dicomrs
from caim import Node
from rounds import OURS, Plan, Work, compare
from sides import LeftOut, Side, process

MODEL = Path(__file__).resolve().parents[2] / "ontology" / "models" / "dicom.toml"
PEERS = Path(__file__).with_name("dicom_peers.py")
# Files and edge of the images at scale 1.
SETS = {"small": (20_000, 32), "large": (1_000, 512)}
PIXELS = "7fe0,0010"
# How a text of DICOM reads as the type of its column.
READ = {
    "text": "nullif(trim({0}), '')",
    "integer": "TRY_CAST({0} AS BIGINT)",
    "float": "TRY_CAST(split_part({0}, '\\', 1) AS DOUBLE)",
    "date": "TRY_CAST(TRY_STRPTIME({0}, '%Y%m%d') AS DATE)",
    "age": "TRY_CAST({0}[1:3] AS BIGINT)",
}


@dataclass(frozen=True)
class Job:
    """One set of files, read by so many threads. Peers that must be compiled take part if they are, or may be."""

    source: Path
    out: Path
    threads: int
    build: bool

    @property
    def listed(self) -> Path:
        """A file with the paths of all objects."""
        return self.out / "paths"


def run(plan: Plan) -> list[Work]:
    """Both sets, by one thread and by two; in short the first set by two."""
    import dicom_files

    works = []
    for name, (files, edge) in list(SETS.items())[: 1 if plan.short else None]:
        count = max(int(files * plan.scale), 50)
        source = plan.folder / name
        size = dicom_files.write(source, count, edge)
        for threads in (2,) if plan.short else (1, 2):
            what = f"{count:,} files of {size // count // 1024} KiB"
            title = f"DICOM headers of {what} to Parquet, {threads} thread(s), warm"
            job = Job(source, plan.folder, threads, build=not plan.short)
            works.append(compare(Work(title, count, "files", plan.rounds), sides(plan.caim, job)))
    return works


def sides(caim: Path, job: Job) -> list[Side]:
    """Caim, the peers and the limit."""
    paths = sorted(str(path) for path in job.source.rglob("*") if path.is_file())
    job.listed.write_text("\n".join(paths) + "\n", encoding="utf-8")
    node = Node(caim, job.out / "node")
    ours = replace(node.ingest(OURS, job.threads, job.source), answer=lambda: answered(_kept(node)))
    return [
        ours, _python("pydicom", job), _python("gdcm", job), _dcmdump(job), _rust("dicom-rs", "headers", job),
        _rust("limit: open, read 8 KiB", "bytes", job),
    ]


def attributes() -> dict[str, str]:
    """The attributes that are read, by keyword, with the type of their column."""
    tables = tomllib.loads(MODEL.read_text(encoding="utf-8"))["table"]
    columns = next(table["column"] for table in tables if table["name"] == "instance")
    kinds = {c["name"]: "age" if c["vr"] == "AS" else c["type"] for c in columns if "tag" in c}
    return {name: kind for name, kind in kinds.items() if kind in READ}


def answered(sql: str) -> dict[str, Any]:
    """The digest of a table of objects."""
    return answers.digests(sql)


def _kept(node: Node) -> str:
    """What Caim stored. A patient is named by the least identifier among their objects."""
    table = answers.parquet(node.files("dicom.instance"))
    columns = ", ".join(f"{name.lower()} AS {name}" for name in attributes() if name != "PatientID")
    return f"SELECT {columns}, min(sopinstanceuid) OVER (PARTITION BY _patient) AS patient FROM {table}"


def _read(out: Path) -> str:
    """What a peer read, in the types of Caim's columns."""
    columns = ", ".join(f"{READ[k].format(n)} AS {n}" for n, k in attributes().items() if n != "PatientID")
    table = answers.parquet([str(out)])
    return f"SELECT {columns}, min(SOPInstanceUID) OVER (PARTITION BY PatientID) AS patient FROM {table}"


def _python(peer: str, job: Job) -> Side:
    out, order = job.out / f"{peer}.parquet", job.out / f"{peer}-{job.threads}.json"
    what = {"source": str(job.source), "out": str(out), "keywords": list(attributes()), "threads": job.threads}
    order.write_text(json.dumps(what), encoding="utf-8")
    run_ = process([sys.executable, str(PEERS), peer, str(order)], job.threads)
    return Side(peer, run_, answer=lambda: answered(_read(out)))


def _rust(name: str, work: str, job: Job) -> Side:
    out = job.out / "dicomrs.parquet"

    def run_() -> Any:
        command = [str(dicomrs.binary(job.build)), work, str(job.threads), str(out), *attributes()]
        return process(command, job.threads, stdin=job.listed)()

    return Side(name, run_, answer=(lambda: answered(_read(out))) if work == "headers" else None)


def _dcmdump(job: Job) -> Side:
    """DCMTK's dump of the attributes as text: a process a thread, each with its share of the folders."""
    from pydicom.datadict import tag_for_keyword

    name = "dcmtk (dcmdump, text only)"
    numbers = {name: tag_for_keyword(name) or 0 for name in attributes()}
    wanted = [word for n in numbers.values() for word in ("+P", f"{n >> 16:04x},{n & 0xFFFF:04x}")]
    options = ["-q", "+F", "+sd", "+r", "+p", "+L", "+U8", "-Un", "+sb", PIXELS, *wanted]
    folders = sorted(job.source.iterdir())
    out = [job.out / f"dcmdump-{share}.txt" for share in range(job.threads)]
    dumps = [
        " ".join(["dcmdump", *options, *map(str, folders[share :: job.threads]), ">", str(out[share]), "&"])
        for share in range(job.threads)
    ]
    run_ = process(["sh", "-c", " ".join(dumps) + " wait"], job.threads)
    if shutil.which("dcmdump") is None:
        run_ = _absent("dcmdump is not installed (Debian's package dcmtk)")
    table = job.out / "dcmdump.parquet"

    def answer() -> dict[str, Any]:
        _tabulate(out, {f"({n >> 16:04x},{n & 0xFFFF:04x})": name for name, n in numbers.items()}, table)
        return answered(_read(table))

    return Side(name, run_, answer=answer)


def _absent(reason: str) -> Callable[[], Any]:
    def run_() -> Any:
        raise LeftOut(reason)

    return run_


def _tabulate(dumps: list[Path], names: dict[str, str], table: Path) -> None:
    """Dumps as a table, for the comparison alone. Only elements at the top of an object count."""
    element = re.compile(r"(\([0-9a-f]{4},[0-9a-f]{4}\)) [A-Z]{2} (?:\[(.*)\]|([^(\s]\S*)) +# ")
    rows: list[dict[str, str]] = []
    for dump in dumps:
        for line in dump.read_text(encoding="utf-8").splitlines():
            if line.startswith("# dcmdump"):
                rows.append({})
            elif found := element.match(line):
                rows[-1].setdefault(names[found[1]], found[2] if found[2] is not None else found[3])
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names.values()}
    parquet.write_table(pa.table(columns), table)
