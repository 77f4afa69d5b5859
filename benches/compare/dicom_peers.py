"""One peer over a folder of DICOM objects: `dicom_peers.py PEER JOB`.

The job is a JSON file that says what to read and where to write. The Parquet file that comes out has one text column an attribute; several values are joined by a backslash.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

CHARACTER_SETS = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}
CHUNK = 200

Rows = list[list[str | None]]


def main() -> None:
    """Reads all files of the job, with as many processes as it says."""
    peer = {"pydicom": pydicom, "gdcm": gdcm}[sys.argv[1]]
    with open(sys.argv[2], encoding="utf-8") as file:
        job = json.load(file)
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(job["source"]) for name in names]
    rows = _spread(peer, paths, job["keywords"], job["threads"])
    columns = {name: pa.array(values, pa.string()) for name, values in zip(job["keywords"], zip(*rows))}
    parquet.write_table(pa.table(columns), job["out"], compression="zstd")


def _spread(peer: Callable[[list[str], list[str]], Rows], paths: list[str], keywords: list[str], threads: int) -> Rows:
    if threads == 1:
        return peer(paths, keywords)
    chunks = [(paths[at : at + CHUNK], keywords) for at in range(0, len(paths), CHUNK)]
    with multiprocessing.Pool(threads) as pool:
        return [row for rows in pool.starmap(peer, chunks, chunksize=1) for row in rows]


def pydicom(paths: list[str], keywords: list[str]) -> Rows:
    """pydicom, told to read no more than the attributes."""
    from pydicom import config, dcmread

    config.settings.reading_validation_mode = config.IGNORE

    def row(path: str) -> list[str | None]:
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=keywords)
        return [_text(dataset.get(name, dataset.file_meta.get(name))) for name in keywords]

    return [row(path) for path in paths]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)


def gdcm(paths: list[str], keywords: list[str]) -> Rows:
    """GDCM's scanner over the attributes. It leaves character sets to its caller."""
    import gdcm as library
    from pydicom.datadict import tag_for_keyword

    numbers = [tag_for_keyword(name) or 0 for name in [*keywords, "SpecificCharacterSet"]]
    *tags, character_set = [library.Tag(number >> 16, number & 0xFFFF) for number in numbers]
    scanner = library.Scanner()
    for tag in [*tags, character_set]:
        scanner.AddTag(tag)
    scanner.Scan(paths)

    def value(path: str, tag: Any, encoding: str) -> str | None:
        found = scanner.GetValue(path, tag)
        return found and found.encode("utf-8", "surrogateescape").decode(encoding).rstrip(" \0")

    encodings = [CHARACTER_SETS[scanner.GetValue(path, character_set).strip()] for path in paths]
    return [[value(path, tag, encoding) for tag in tags] for path, encoding in zip(paths, encodings)]


if __name__ == "__main__":
    main()
