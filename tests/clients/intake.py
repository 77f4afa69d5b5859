"""What an operator and their programs see while a node takes sources in: events, lines, a drop folder, and the end.

The shape of each event is a promise to programs: a key more or less fails here.
"""

import csv
import json
import re
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

import objects
import operators
import samples
from federation import PUBLIC, Service, caim, succeed, until

OK, REJECTS = 0, 3
EVENTS = ("started", "advanced", "finished")
LINE = re.compile(r"^.+: ([0-9,]+ rows in [0-9]+\.[0-9] s, [0-9,]+ a second|[0-9]+\.[0-9] s)$")


class Intake(unittest.TestCase):
    """Each test has an empty node and a folder of objects."""

    def setUp(self):
        self.place = Path(tempfile.mkdtemp(prefix="caim-intake-"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.node, self.images = self.place / "node", self.place / "images"
        succeed("init", "node", self.node, "--name", "north")
        self.count = objects.write(self.images, images=20, annotations=2)

    def instances(self):
        """The number of instances that the node counts in its current epoch."""
        sql = "SELECT count(*) AS n FROM dicom.instance"
        return int(succeed("sql", "--node", self.node, "--format", "csv", "-c", sql, env=PUBLIC).split()[1])

    def test_events_have_one_shape_and_what_has_started_finishes(self):
        for source, rows in self.sources().items():
            with self.subTest(source.name):
                run = caim("ingest", self.node, source, "--json")
                self.assertEqual(run.returncode, OK, run.stderr)
                self.assertEqual(json.loads(run.stdout)["tables"][0]["kept"], rows, "the report is all of stdout")
                self.sound([json.loads(line) for line in run.stderr.splitlines()])

    def test_the_events_of_objects_say_how_many_there_are_and_were_read(self):
        run = caim("ingest", self.node, self.images, "--json")
        started, *_, finished = (
            event for event in map(json.loads, run.stderr.splitlines()) if event["what"].startswith("dicom.instance")
        )
        self.assertEqual((started["rows"], started["total"]), (0, self.count))
        self.assertEqual(finished["rows"], self.count)

    def sources(self):
        """A source of each kind, with the rows of its first table."""
        series, omop, fhir = self.place / "series.parquet", self.place / "omop", self.place / "patient.ndjson"
        rows = samples.write(series, patients=20, seed=1)
        omop.mkdir()
        (omop / "person.csv").write_text("person_id,gender_concept_id,person_source_value\n1,8507,A\n2,8532,B\n")
        fhir.write_text('{"resourceType": "Patient", "id": "a", "gender": "female", "birthDate": "1950-01-01"}\n')
        return {self.images: self.count, series: rows, omop: 2, fhir: 1}

    def sound(self, events):
        """Every event has the promised keys and types, and what has started finishes before the next one starts."""
        self.assertTrue(events)
        for event in events:
            self.assertEqual(set(event), {"event", "what", "rows", "total", "seconds", "rate", "remaining"})
            self.assertIn(event["event"], EVENTS)
            self.assertIs(type(event["what"]), str)
            self.assertIs(type(event["rows"]), int)
            self.assertIn(type(event["total"]), (int, type(None)))
            self.assertGreaterEqual(event["seconds"], 0)
            for key in ("rate", "remaining"):
                self.assertIn(type(event[key]), (float, type(None)))
        ends = [event for event in events if event["event"] != "advanced"]
        self.assertEqual([event["event"] for event in ends], ["started", "finished"] * (len(ends) // 2))
        for started, finished in zip(ends[::2], ends[1::2], strict=True):
            self.assertEqual((started["what"], started["rows"]), (finished["what"], 0))

    def test_without_a_terminal_each_table_is_one_line_without_control_characters(self):
        run = caim("ingest", self.node, self.images)
        self.assertEqual(run.returncode, OK, run.stderr)
        lines = run.stderr.splitlines()
        self.assertIn(f"{self.count} rows in", lines[0])
        for line in lines:
            self.assertRegex(line, LINE)

    def test_neither_events_nor_lines_name_a_patient_or_an_object(self):
        secret = objects.new("2.25.777001", objects.CTImageStorage, "CT", 3, "2.25.777002")
        secret.PatientID, secret.PatientName = "CANARY-1", "CANARY^NAME"
        secret.save_as(self.images / "CANARY-file.dcm", enforce_file_format=True)
        for flags in (["--json", "--dry-run"], ["--dry-run"], ["--json"]):
            run = caim("ingest", self.node, self.images, *flags)
            self.assertEqual(run.returncode, OK, run.stderr)
            self.assertIn("dicom.instance", run.stderr)
            for word in ("CANARY", "2.25.777"):
                self.assertNotIn(word, run.stdout + run.stderr)

    def test_all_rejects_are_in_a_file_with_copies_and_stay_with_the_batch_and_hashed_paths_name_no_file(self):
        cut = (self.images / "0.dcm").read_bytes()[:-5]
        (self.images / "CANARY.dcm").write_bytes(cut)
        (self.images / "CANARY.txt").write_text("no object")
        folder = self.place / "rejects"
        run = caim("ingest", self.node, self.images, "--rejects", folder, "--copy-refused", "--hash-paths", "--json")
        self.assertEqual(run.returncode, REJECTS, run.stderr)
        report = json.loads(run.stdout)
        with Path(report["rejects_file"]).open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({row["stage"] for row in rows}, {"detect", "parse"})
        (refused,) = (row for row in rows if row["copy"])
        self.assertEqual((folder / refused["copy"]).read_bytes(), cut)
        self.assertEqual(refused["code"], "CAIM-I222")
        kept = succeed("batches", self.node, "--rejects", str(report["batch"]))
        self.assertIn(refused["path"], kept)
        self.assertRegex(succeed("batches", self.node), rf"default +{self.count + 4} +1 ")
        told = [run.stdout, run.stderr, kept, *(path.read_text() for path in folder.glob("*.csv"))]
        self.assertNotIn("CANARY", "".join(told))

    def test_d21_the_rule_for_duplicates_says_which_of_two_contents_stays(self):
        for rule, expected in (("skip", "MR"), ("replace", "CT"), ("newest", "MR")):
            with self.subTest(rule):
                node = self.place / rule
                succeed("init", "node", node, "--name", rule)
                for name, modality, day in (("a", "MR", "20200105"), ("b", "CT", "20200102")):
                    folder = self.place / f"{rule}-{name}"
                    folder.mkdir()
                    made = objects.new("2.25.777003", objects.CTImageStorage, modality, 3, "2.25.777004")
                    made.InstanceCreationDate = day
                    made.save_as(folder / "1.dcm", enforce_file_format=True)
                    run = caim("ingest", node, folder, "--duplicates", rule, "--json")
                counts = json.loads(run.stdout)
                self.assertEqual(run.returncode, REJECTS if rule == "skip" else OK)
                self.assertEqual((counts["tables"][0]["conflicts"], len(counts["conflicts"])), (1, 1))
                self.assertNotIn("2.25.777", run.stdout + run.stderr)
                sql = "SELECT Modality, count(*) AS n FROM dicom.instance GROUP BY Modality"
                found = succeed("sql", "--node", node, "--format", "csv", "-c", sql, env=PUBLIC)
                self.assertEqual(found.split()[1:], [f"{expected},1"])

    def watch(self, *sources):
        service = Service("watch", ["ingest", self.node, *sources, "--watch"], self.place / "watch.log")
        self.addCleanup(service.kill)
        return service

    def holds(self, service, rows):
        def there():
            service.check()
            return self.instances() == rows

        return there

    def test_a_drop_folder_is_taken_in_again_when_it_has_changed(self):
        self.assertEqual(caim("ingest", self.node, self.images).returncode, OK)
        service = self.watch(self.images)
        more = objects.write(self.images, images=5, annotations=0, first=100)
        until("the new objects are there", self.holds(service, self.count + more))
        (self.images / "0.dcm").unlink()
        until("the object that was taken away is gone", self.holds(service, self.count + more - 1))
        self.assertEqual(caim("verify", self.node).returncode, OK)

    def test_a_source_that_cannot_be_read_is_told_and_the_others_are_still_watched(self):
        broken = self.place / "broken.zip"
        broken.write_bytes(b"PK\x03\x04 and no more")
        service = self.watch(broken, self.images)
        until("the objects are there", self.holds(service, self.count))
        self.assertIn("broken.zip", (self.place / "watch.log").read_text())
        service.check()

    def test_watching_that_is_ended_leaves_no_lock(self):
        for stop in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(stop.name):
                service = self.watch(self.images)
                until("the folder is taken in", lambda service=service: self.taken(service))
                service.process.send_signal(stop)
                self.assertEqual(service.process.wait(timeout=60), OK)
                (self.place / "watch.log").unlink()
                self.assertEqual(caim("ingest", self.node, self.images).returncode, OK)
                self.assertEqual(self.instances(), self.count)

    def taken(self, service):
        service.check()
        return "epoch" in (self.place / "watch.log").read_text()

    def test_c12_objects_whose_ingest_is_told_to_stop_are_not_there_in_part_and_come_in_the_next_time(self):
        self.assertEqual(caim("ingest", self.node, self.images).returncode, OK)
        large, lock = self.place / "large", self.node / "warehouse" / "lock"
        more = objects.write(large, images=400, annotations=0, first=1000)
        for stop in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(stop.name):
                writer = Service("ingest", ["ingest", self.node, large], self.place / "stopped.log")
                self.addCleanup(writer.kill)
                until("it writes", lambda writer=writer: writer.process.poll() is not None or operators.Operators.holds(lock, writer.pid))
                writer.process.send_signal(stop)
                self.assertEqual(writer.process.wait(timeout=60), OK)
                self.assertIn(self.instances(), (self.count, self.count + more))
                self.assertEqual(caim("verify", self.node).returncode, OK)
        self.assertEqual(caim("ingest", self.node, large).returncode, OK)
        self.assertEqual(self.instances(), self.count + more)
