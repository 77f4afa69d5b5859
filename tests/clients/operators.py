"""A node's operator and bad days: broken sources, a full lock, a power cut. Each is told clearly and harms nothing.

After every accident the last epoch must still answer, whole: the number of rows is checked by asking the node.
"""

import json
import os
import random
import shutil
import signal
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

import pyarrow.parquet as parquet

import federation
import objects
import samples
from federation import PUBLIC, Service, caim, succeed, until

OK, ERROR, USAGE, REJECTS, PRIVACY, UNREACHABLE = 0, 1, 2, 3, 4, 5
NOBODY = 65534
# In every build; `CAIM_KILLS=1000` asks for more.
KILLS = int(os.environ.get("CAIM_KILLS", 50))
COUNT = "SELECT count(*) AS n FROM dicom.series"


def ingest(node, source, **options):
    return caim("ingest", node, source, "--collection-column", "collection_id", **options)


def ask(node, sql=COUNT, **options):
    return caim("sql", "--node", node, "--format", "csv", "-c", sql, **options)


def rows(node):
    """The number of series that the node counts in its current epoch."""
    answer = succeed("sql", "--node", node, "--format", "csv", "-c", COUNT, env=PUBLIC)
    return int(answer.split()[1])


def copy_if_there(source, target):
    """Copies a file, unless it has gone meanwhile."""
    try:
        return shutil.copy2(source, target)
    except FileNotFoundError:
        return target


class Operators(unittest.TestCase):
    """Every test works on a copy of one ingested node, which is made once."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-operators-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        cls.source = cls.folder / "series.parquet"
        cls.committed = samples.write(cls.source, patients=300, seed=1)
        cls.ingested = cls.folder / "ingested"
        succeed("init", "node", cls.ingested, "--name", "north")
        succeed("ingest", cls.ingested, cls.source, "--collection-column", "collection_id", env=PUBLIC)

    def setUp(self):
        self.place = Path(tempfile.mkdtemp(dir=self.folder))
        os.chmod(self.place, 0o755)
        self.node = self.place / "node"
        shutil.copytree(self.ingested, self.node)

    def still_answers(self):
        self.assertEqual(rows(self.node), self.committed)
        self.assertEqual(caim("verify", self.node).returncode, OK)

    def refused(self, run, *words, code=ERROR):
        """A clear error: its exit code, the things it must name, and no sign of a crash."""
        self.assertEqual(run.returncode, code, run.stderr)
        for word in words:
            self.assertIn(str(word).lower(), (run.stdout + run.stderr).lower())
        self.assertNotIn("panicked", run.stderr)

    def test_an_empty_folder_is_named_and_nothing_is_committed(self):
        empty = self.place / "empty"
        empty.mkdir()
        self.refused(ingest(self.node, empty), empty)
        self.still_answers()

    def test_a_source_that_is_not_there_is_named(self):
        absent = self.place / "absent.parquet"
        self.refused(ingest(self.node, absent), absent)
        self.still_answers()

    def test_a_truncated_zip_is_named_and_nothing_is_committed(self):
        whole, cut = self.place / "whole.zip", self.place / "cut.zip"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("person.csv", "person_id,gender_concept_id\n" + "".join(f"{n},8507\n" for n in range(5000)))
        content = whole.read_bytes()
        cut.write_bytes(content[: len(content) // 2])
        self.refused(ingest(self.node, cut), "cut.zip")
        self.still_answers()

    def test_random_bytes_are_named_whatever_their_extension(self):
        noise = random.Random(3).randbytes(100_000)
        for name in ("noise.parquet", "noise.csv", "noise.zip", "noise"):
            with self.subTest(name):
                path = self.place / name
                path.write_bytes(noise)
                run = ingest(self.node, path)
                self.assertIn(run.returncode, (ERROR, REJECTS), run.stderr)
                self.assertIn(name, run.stderr + run.stdout)
                self.assertNotIn("panicked", run.stderr)
        self.still_answers()

    def test_a_truncated_parquet_file_is_named_and_nothing_is_committed(self):
        cut = self.place / "cut.parquet"
        cut.write_bytes(self.source.read_bytes()[:-2000])
        run = ingest(self.node, cut)
        self.assertIn(run.returncode, (ERROR, REJECTS), run.stderr)
        self.assertIn("cut.parquet", run.stderr + run.stdout)
        self.still_answers()

    def test_good_rows_beside_a_bad_one_come_in_and_the_exit_code_says_so(self):
        mixed = self.place / "mixed.csv"
        mixed.write_text(
            "PatientID,StudyInstanceUID,SeriesInstanceUID,Modality,collection_id\n"
            "Q1,9.1,9.1.1,MR,alpha\n"
            "Q1,9.1,,MR,alpha\n"
            "Q2,9.2,9.2.1\n"
            "Q3,9.3,9.3.1,CT,beta\n"
        )
        run = ingest(self.node, mixed)
        self.assertEqual(run.returncode, REJECTS, run.stderr)
        for code in ("CAIM-I201", "CAIM-I204"):
            self.assertIn(code, run.stdout + run.stderr)
        self.assertEqual(rows(self.node), self.committed + 2)

    def test_a_damaged_file_in_a_folder_is_named_and_nothing_is_committed(self):
        both = self.place / "both"
        both.mkdir()
        samples.write(both / "more.parquet", patients=50, seed=2, prefix="Q")
        (both / "noise.parquet").write_bytes(random.Random(4).randbytes(5_000))
        self.refused(ingest(self.node, both), "noise.parquet", "CAIM-I109")
        self.still_answers()

    def test_the_same_source_again_changes_nothing(self):
        self.assertEqual(ingest(self.node, self.source).returncode, OK)
        self.still_answers()

    def test_c10_a_read_only_warehouse_is_named_and_still_whole(self):
        more = self.place / "more.parquet"
        samples.write(more, patients=50, seed=2, prefix="Q")
        with ReadOnly(self.node, self.folder) as options:
            self.refused(ingest(self.node, more, **options), self.node / "warehouse", "write")
        self.still_answers()

    def test_c06_a_second_writer_is_told_who_is_writing(self):
        large = self.place / "large.parquet"
        more = samples.write(large, patients=4000, seed=5, prefix="R")
        small = self.place / "small.parquet"
        samples.write(small, patients=50, seed=6, prefix="S")
        first = self.start_ingest(large)
        self.addCleanup(first.kill)
        lock = self.node / "warehouse" / "lock"
        until("the first writer holds the lock", lambda: first.process.poll() is None and self.holds(lock, first.pid))
        os.kill(first.pid, signal.SIGSTOP)
        try:
            self.refused(ingest(self.node, small), lock, first.pid)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        self.assertEqual(first.process.wait(timeout=120), OK)
        self.assertEqual(rows(self.node), self.committed + more)

    @staticmethod
    def holds(lock, pid):
        return lock.exists() and lock.read_text().strip().split()[:1] == [str(pid)]

    def start_ingest(self, source):
        arguments = ["ingest", self.node, source, "--collection-column", "collection_id"]
        return Service("ingest", arguments, self.place / "ingest.log")

    def test_c01_a_writer_that_is_killed_leaves_the_last_epoch_or_the_next_and_nothing_else(self):
        seed = int(os.environ.get("CAIM_TEST_SEED", time.time_ns() % 1_000_000))
        print(f"seed {seed}: repeat with CAIM_TEST_SEED={seed}", flush=True)
        chance = random.Random(seed)
        takes = self.time_of_an_ingest()
        outcomes = {"before": 0, "after": 0}
        for n in range(KILLS):
            batch = self.place / f"batch-{n}.parquet"
            more = samples.write(batch, patients=200, seed=seed, prefix=f"K{n}-")
            writer = self.start_ingest(batch)
            time.sleep(chance.uniform(0.3, 1.8) * takes)
            writer.kill()
            found = rows(self.node)
            self.assertIn(found, (self.committed, self.committed + more), f"seed {seed}, kill {n}: a torn epoch")
            outcomes["after" if found > self.committed else "before"] += 1
            self.assertEqual(caim("verify", self.node).returncode, OK, f"seed {seed}, kill {n}")
            self.assertEqual(ingest(self.node, batch).returncode, OK, f"seed {seed}, kill {n}")
            self.committed += more
            self.assertEqual(rows(self.node), self.committed, f"seed {seed}, kill {n}: lost or doubled")
        print(f"killed before the commit: {outcomes['before']}, after it: {outcomes['after']}", flush=True)

    def test_c01_objects_whose_ingest_is_killed_come_in_once_and_whole_the_next_time(self):
        """The oracle is what was written: every instance and every segment once, whatever was killed before."""
        seed = int(os.environ.get("CAIM_TEST_SEED", time.time_ns() % 1_000_000))
        print(f"seed {seed}: repeat with CAIM_TEST_SEED={seed}", flush=True)
        chance = random.Random(seed)
        folder, wanted = self.place / "objects", 0
        count = "SELECT count(*) AS n FROM dicom.{}"
        takes = 1.0
        for n in range(max(1, KILLS // 5)):
            wanted += objects.write(folder, images=30, annotations=3, first=n * 100)
            writer = Service("ingest", ["ingest", self.node, folder], self.place / "objects.log")
            time.sleep(chance.uniform(0.1, 1.2) * takes)
            writer.kill()
            self.assertEqual(caim("verify", self.node).returncode, OK, f"seed {seed}, kill {n}")
            start = time.monotonic()
            self.assertEqual(caim("ingest", self.node, folder).returncode, OK, f"seed {seed}, kill {n}")
            takes = time.monotonic() - start
            for table, rows_wanted in (("instance", wanted), ("annotation", 6 * (n + 1))):
                answer = succeed("sql", "--node", self.node, "--format", "csv", "-c", count.format(table), env=PUBLIC)
                self.assertEqual(int(answer.split()[1]), rows_wanted, f"seed {seed}, kill {n}: {table}")

    def test_c09_a_copy_made_while_an_ingest_writes_is_a_whole_epoch_or_is_refused(self):
        large = self.place / "large.parquet"
        more = samples.write(large, patients=3000, seed=5, prefix="R")
        whole = 0
        for n in range(3):
            writer = self.start_ingest(large) if n < 2 else None
            if writer:
                time.sleep(0.3 * (n + 1))
            copy = self.place / f"copy-{n}"
            shutil.copytree(self.node, copy, ignore_dangling_symlinks=True, copy_function=copy_if_there)
            if writer:
                writer.process.wait(timeout=120)
            run = ask(copy, env=PUBLIC)
            if run.returncode == OK:
                self.assertIn(int(run.stdout.split()[1]), (self.committed, self.committed + more))
                whole += 1
            else:
                self.assertIn("warehouse", run.stderr)
        self.assertGreater(whole, 0)
        self.assertEqual(rows(self.node), self.committed + more)

    def test_c12_an_ingest_that_is_told_to_stop_leaves_no_lock_and_the_last_epoch(self):
        large = self.place / "large.parquet"
        more = samples.write(large, patients=3000, seed=5, prefix="R")
        writer = self.start_ingest(large)
        lock = self.node / "warehouse" / "lock"
        until("the writer holds the lock", lambda: writer.process.poll() is not None or self.holds(lock, writer.pid))
        writer.process.send_signal(signal.SIGTERM)
        self.assertEqual(writer.process.wait(timeout=60), OK)
        self.assertIn(rows(self.node), (self.committed, self.committed + more))
        self.assertEqual(ingest(self.node, large).returncode, OK)
        self.assertEqual(rows(self.node), self.committed + more)

    def time_of_an_ingest(self):
        probe = self.place / "probe.parquet"
        self.committed += samples.write(probe, patients=200, seed=99, prefix="T")
        start = time.monotonic()
        self.assertEqual(ingest(self.node, probe).returncode, OK)
        return time.monotonic() - start

    def test_q04_a_damaged_file_is_found_by_verify_and_never_answered_from(self):
        warehouse = self.node / "warehouse"
        newest = max((warehouse / "manifests").glob("*.json"), key=lambda path: int(path.stem))
        series = json.loads(newest.read_text())["tables"]["dicom.series"]
        damaged = warehouse / "data" / f"{series[0]['sha256']}.parquet"
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        os.chmod(damaged, 0o644)
        damaged.write_bytes(content)
        self.refused(caim("verify", self.node), damaged.name)
        run = ask(self.node, env=PUBLIC)
        self.assertNotEqual(run.returncode, OK)
        self.assertNotIn(str(self.committed), run.stdout)

    def test_a_question_about_rows_is_refused_with_its_own_exit_code(self):
        for sql, code in (
            ("SELECT * FROM dicom.series", "CAIM-P101"),
            ("SELECT PatientID, count(*) FROM dicom.series GROUP BY PatientID", "CAIM-P104"),
            ("SELECT count(*) FROM dicom.series WHERE PatientID = 'P00001'", "CAIM-P103"),
        ):
            with self.subTest(sql):
                self.refused(ask(self.node, sql), code, "instead:", code=PRIVACY)

    def test_the_same_question_again_gives_the_same_answer_at_no_cost(self):
        sql = "SELECT Modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY Modality"
        first, again = (ask(self.node, sql) for _ in range(2))
        self.assertEqual((first.returncode, first.stdout), (OK, again.stdout))

    def test_the_budget_ends_with_a_refusal_and_the_exit_code_of_privacy(self):
        budget = {"CAIM__PRIVACY__BUDGET_RHO": "0.1"}
        asked = [
            ask(self.node, f"SELECT count(DISTINCT PatientID) FROM dicom.series WHERE PatientAge >= {age}", env=budget)
            for age in range(30, 36)
        ]
        codes = [run.returncode for run in asked]
        self.assertEqual(codes, [OK, OK, OK, PRIVACY, PRIVACY, PRIVACY])
        self.assertIn("CAIM-P201", asked[-1].stderr)

    def test_a_hub_that_is_not_there_has_its_own_exit_code(self):
        hub = f"grpc://127.0.0.1:{federation.free_port()}"
        self.refused(caim("sql", "--hub", hub, "-c", "SELECT 1"), code=UNREACHABLE)

    def test_a_mistyped_key_is_answered_with_the_nearest_one(self):
        config = self.node / "node.toml"
        config.write_text(config.read_text() + "\n[limits2]\nthreads = 1\n")
        self.refused(caim("node", self.node), "limits2", "limits")

    def test_a_policy_that_protects_nobody_does_not_start(self):
        for key, value in (("THRESHOLD", "1"), ("NOISE_SD", "0"), ("BUDGET_RHO", "-1")):
            with self.subTest(key):
                run = ask(self.node, env={f"CAIM__PRIVACY__{key}": value})
                self.refused(run, f"privacy.{key}")

    def test_a_command_that_does_not_exist_is_a_usage_error(self):
        self.assertEqual(caim("ingset").returncode, USAGE)

    def test_nothing_of_a_patient_is_printed(self):
        table = parquet.read_table(self.source)
        names = set(table["PatientID"].to_pylist()) | set(table["StudyInstanceUID"].to_pylist())
        fresh = self.place / "fresh"
        succeed("init", "node", fresh, "--name", "fresh")
        runs = [
            ingest(fresh, self.source, env={"RUST_LOG": "trace"}),
            ask(fresh, env={"RUST_LOG": "trace"}),
            ask(fresh, f"SELECT count(*) FROM dicom.series WHERE PatientID = '{min(names)}'", env={"RUST_LOG": "trace"}),
        ]
        for run in runs:
            self.assertFalse([name for name in names if name in run.stdout + run.stderr])


class ReadOnly:
    """Takes the right to write from the owner of a node's folder, and gives it back.

    Permissions do not bind root: as root, the folder is given to another user, and commands are to run as that one.
    """

    def __init__(self, node, folder):
        self.paths, self.binary = [node, *node.rglob("*")], folder / "caim"
        self.modes = {path: path.stat().st_mode for path in self.paths}
        self.user = NOBODY if os.geteuid() == 0 else None

    def __enter__(self):
        for path in self.paths:
            os.chmod(path, self.modes[path] & ~0o222)
        if self.user is None:
            return {}
        shutil.copy2(federation.BINARY, self.binary)
        self.give(self.user)
        self.kept, federation.BINARY = federation.BINARY, self.binary
        return {"user": self.user, "group": self.user, "extra_groups": []}

    def __exit__(self, *_):
        if self.user is not None:
            federation.BINARY = self.kept
            self.give(0)
        for path in self.paths:
            os.chmod(path, self.modes[path])

    def give(self, user):
        for path in self.paths:
            os.chown(path, user, user)
