"""A DICOM listener beside the senders that hospitals have: the same rows as from files, once, and no pixel on the disk.

The senders are Debian's DCMTK and Orthanc.
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import numpy
import objects
import tools
from dicom_oracle import stored
from federation import Service, caim, free_port, listens, succeed, until
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

OK, ERROR, USAGE = 0, 1, 2
MARK = b"\xa5\x5a" * 32
# A folder, with the presentation contexts that its files need.
FOLDER = ["--scan-directories", "--required"]
# What names the order in which patients came.
COUNTED = {"_patient"}


class Listening(unittest.TestCase):
    """Each test has an empty node, a folder of objects, and a port."""

    def setUp(self):
        tools.need("storescu", "dcmtk")
        self.place = Path(tempfile.mkdtemp(prefix="caim-listener-"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.images, self.port = self.place / "images", free_port()
        self.node = self.fresh("node")

    def fresh(self, name, like=None):
        """A node; one that is like another has its secret, so that both name a patient alike."""
        node = self.place / name
        succeed("init", "node", node, "--name", "north")
        if like:
            shutil.copy(like / "secret", node / "secret")
        return node

    def listen(self, *options, node=None, log="listen.log"):
        arguments = ["ingest", node or self.node, "--listen", f"127.0.0.1:{self.port}", "--json", *options]
        service = Service("listener", arguments, self.place / log)
        self.addCleanup(service.kill)
        until("it listens", lambda: service.check() or b"listening" in service.log.read_bytes())
        return service

    def send(self, *paths, program="storescu", flags=(), caller="PACS", called="CAIM"):
        titles = ["-aet", caller, "-aec", called]
        command = [program, *flags, *titles, "127.0.0.1", str(self.port), *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def sent(self, *paths, **options):
        run = self.send(*paths, **options)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def stop(self, service):
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(service.process.wait(timeout=60), OK, service.log.read_text())

    def rows(self, node, table):
        kept = [{name: value for name, value in row.items() if name not in COUNTED} for row in stored(node, table)]
        return sorted(map(repr, kept))

    def lines(self, service):
        """What the listener has said: every line but one that is not whole yet."""
        return [json.loads(line) for line in service.log.read_text().split("\n")[:-1]]

    def reports(self, service):
        return [line for line in self.lines(service) if "batch" in line]

    def events(self, service, name):
        return [line for line in self.lines(service) if line.get("event") == name]

    def test_what_storescu_sends_comes_in_as_from_the_folder(self):
        count = objects.write(self.images, images=60, annotations=4)
        files = self.fresh("files", like=self.node)
        succeed("ingest", files, self.images)
        service = self.listen()
        self.assertEqual(self.send(program="echoscu").returncode, 0)
        self.sent(self.images, flags=FOLDER)
        until("all is in", lambda: service.check() or self.reports(service))
        self.stop(service)
        for table in ("dicom.instance", "dicom.annotation", "dicom.series", "dicom.study"):
            self.assertEqual(self.rows(self.node, table), self.rows(files, table), table)
        echo, visit = self.events(service, "association")
        self.assertEqual((echo["rows"], visit["rows"], visit["total"]), (0, count, count))
        self.assertEqual((visit["refused"], visit["end"]), ({}, "released"))
        (report,) = self.reports(service)
        self.assertRegex(report["source"], r"^dicom://PACS/\d{8}T\d{6}Z-[0-9a-f]{8}$")
        self.assertIn(report["source"], succeed("batches", self.node))
        self.assertEqual(caim("rollback", self.node, str(report["batch"])).returncode, OK)
        self.assertEqual(caim("verify", self.node).returncode, OK)

    def test_every_transfer_syntax_of_storescu_is_read(self):
        self.images.mkdir()
        files = self.fresh("files", like=self.node)
        service = self.listen()
        for number, (convert, flag) in enumerate({"+te": "-xe", "+ti": "-xi", "+tb": "-xb", "+td": "-xd"}.items()):
            path = self.images / f"{number}.dcm"
            self.image(number).save_as(self.place / "plain.dcm", enforce_file_format=True)
            subprocess.run(["dcmconv", convert, self.place / "plain.dcm", path], check=True, timeout=60)
            self.sent(path, flags=[flag])
        packed = self.image(9)
        packed.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        packed.PixelData = encapsulate([MARK * 1000])
        packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
        packed.save_as(self.images / "9.dcm", enforce_file_format=True)
        self.sent(self.images / "9.dcm", flags=["-xy"])
        self.stop(service)
        succeed("ingest", files, self.images)
        self.assertEqual(self.rows(self.node, "dicom.instance"), self.rows(files, "dicom.instance"))

    def image(self, number):
        series = f"{objects.STUDY}.{number}.1"
        return objects.new(f"2.25.5{number}", objects.CTImageStorage, "CT", number, series)

    def test_a_huge_object_needs_neither_memory_nor_disk(self):
        self.images.mkdir()
        dataset = objects.new("2.25.64", objects.CTImageStorage, "CT", 1, f"{objects.STUDY}.1.1")
        pixels = numpy.frombuffer(MARK * ((64 << 20) // len(MARK)), dtype=numpy.uint8)
        dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.NumberOfFrames = 1024, 1024, 8, 64
        dataset.PatientName, dataset.PixelData = "CANARY^NAME", pixels.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.save_as(self.images / "huge.dcm", enforce_file_format=True)
        service = self.listen()
        before = self.resident(service)
        for _ in range(4):
            self.sent(self.images / "huge.dcm")
        spool = [path for path in (self.node / "spool").iterdir() if path.is_file()]
        self.assertLess(sum(path.stat().st_size for path in spool), 64 << 10)
        self.assertLess(self.resident(service) - before, 64 << 20, "256 MiB of pixels went by")
        until("it is in", lambda: service.check() or self.reports(service))
        self.stop(service)
        self.assertEqual(len(self.rows(self.node, "dicom.instance")), 1, "the same instance four times is one row")
        for path in filter(Path.is_file, self.node.rglob("*")):
            for word in (MARK, b"CANARY"):
                self.assertNotIn(word, path.read_bytes(), path)
        for word in ("CANARY", "2.25.64"):
            self.assertNotIn(word, service.log.read_text())

    def resident(self, service):
        """The most memory that the process has had, in bytes."""
        status = Path(f"/proc/{service.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def test_who_was_acknowledged_comes_in_after_a_kill(self):
        count = objects.write(self.images, images=20, annotations=0)
        service = self.listen()
        self.sent(self.images, flags=FOLDER)
        service.kill()
        self.assertEqual(succeed("batches", self.node).count("dicom://"), 0, "nothing is committed yet")
        # The disk as it is now, to be put back after the commit: a kill before the clean-up.
        saved = self.place / "saved"
        shutil.copytree(self.node / "spool", saved)
        service = self.listen(log="second.log")
        until("all is in", lambda: service.check() or self.reports(service))
        self.stop(service)
        before = self.rows(self.node, "dicom.instance")
        self.assertEqual(len(before), count)
        for path in saved.glob("*.headers"):
            shutil.copy(path, self.node / "spool" / path.name)
        service = self.listen(log="third.log")
        until("it is found to be there", lambda: service.check() or self.reports(service))
        self.stop(service)
        self.assertTrue(self.reports(service)[0]["unchanged"])
        self.assertEqual(self.rows(self.node, "dicom.instance"), before)
        self.assertEqual(list((self.node / "spool").glob("*.headers")), [])

    def test_a_storm_of_kills_loses_nothing_that_was_acknowledged(self):
        acknowledged = 0
        for number in range(5):
            folder = self.place / f"images-{number}"
            objects.write(folder, images=40, annotations=0, first=number * 100)
            service = self.listen(log=f"storm-{number}.log")
            command = ["storescu", "-v", *FOLDER, "-aet", "PACS", "-aec", "CAIM", "127.0.0.1", str(self.port), folder]
            with open(self.place / "storm.log", "wb") as log:
                sender = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
            # Somewhere between the first acknowledgement and the commit of the last.
            said = self.place / "storm.log"
            until("some are sent", lambda said=said: said.read_bytes().count(b"(Success)") > 3)
            time.sleep(number * 0.5)
            service.kill()
            sender.wait(timeout=60)
            acknowledged += said.read_bytes().count(b"(Success)")
        service = self.listen(log="last.log")
        self.stop(service)
        rows = self.rows(self.node, "dicom.instance")
        self.assertEqual(len(rows), len(set(rows)))
        # What was written and not acknowledged any more may be there as well.
        self.assertGreaterEqual(len(rows), acknowledged)
        self.assertLessEqual(len(rows), 5 * 40)
        self.assertEqual(caim("verify", self.node).returncode, OK)

    def test_strangers_and_other_addresses_are_refused(self):
        service = self.listen("--caller", "PACS", "--caller", "CT 1")
        path = self.images / "0.dcm"
        objects.write(self.images, images=1, annotations=0)
        self.assertNotEqual(self.send(path, called="ELSE").returncode, 0)
        self.assertNotEqual(self.send(path, caller="THIEF").returncode, 0)
        self.sent(path, caller="CT 1")
        self.stop(service)
        # Associations end on threads of their own, so they are told in any order.
        ends = sorted(event["end"] for event in self.events(service, "association"))
        self.assertEqual(ends, ["rejected"] * 2 + ["released"])
        run = caim("ingest", self.node, "--listen", f"0.0.0.0:{self.port}")
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("CAIM-I143", run.stderr)
        self.assertEqual(caim("ingest", self.node, self.images, "--listen", "127.0.0.1:0").returncode, USAGE)
        self.assertEqual(caim("ingest", self.node, "--listen", "127.0.0.1:0", "--since", "last").returncode, USAGE)

    def test_a_second_listener_of_a_node_is_refused(self):
        self.listen()
        run = caim("ingest", self.node, "--listen", "127.0.0.1:0")
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("CAIM-I144", run.stderr)

    def test_orthanc_sends_what_it_has(self):
        tools.need("Orthanc", "orthanc")
        count = objects.write(self.images, images=30, annotations=3)
        files = self.fresh("files", like=self.node)
        succeed("ingest", files, self.images)
        url = self.orthanc()
        ids = []
        for path in sorted(self.images.iterdir()):
            answer = self.ask(f"{url}/instances", path.read_bytes())
            ids.append(answer["ID"])
        service = self.listen()
        answer = self.ask(f"{url}/modalities/caim/store", json.dumps({"Resources": ids, "Synchronous": True}).encode())
        self.assertEqual((answer["InstancesCount"], answer["FailedInstancesCount"]), (count, 0))
        self.stop(service)
        for table in ("dicom.instance", "dicom.annotation", "dicom.series"):
            self.assertEqual(self.rows(self.node, table), self.rows(files, table), table)

    def orthanc(self):
        port = free_port()
        configuration = {
            "Name": "PACS", "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "StorageDirectory": str(self.place / "db"), "DicomAet": "PACS",
            "IndexDirectory": str(self.place / "db"), "DicomModalities": {"caim": ["CAIM", "127.0.0.1", self.port]},
        }  # fmt: skip
        (self.place / "orthanc.json").write_text(json.dumps(configuration))
        with open(self.place / "orthanc.log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(["Orthanc", str(self.place / "orthanc.json")], stdout=log, stderr=log)
        self.addCleanup(server.wait, timeout=60)
        self.addCleanup(server.terminate)
        until("Orthanc listens", lambda: listens(port))
        return f"http://127.0.0.1:{port}"

    def ask(self, url, body):
        request = urllib.request.Request(url, body, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
