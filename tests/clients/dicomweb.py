"""A DICOMweb server as a source: the same rows as from the files that it was given, once, and faults are told.

The server is Debian's Orthanc with its plugin. A second one, of this file, answers as busy, torn and hostile ones do.
"""

import json
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import objects
import tools
from dicom_oracle import stored
from federation import caim, free_port, listens, succeed, until

OK, ERROR = 0, 1
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
TOKEN = "not-to-be-shown"
# What only a file has: DICOMweb gives no meta group.
OF_FILES = {"transfersyntaxuid"}


class Pull(unittest.TestCase):
    """A folder of objects, and a server that was given them."""

    @classmethod
    def setUpClass(cls):
        tools.need("Orthanc", "orthanc")
        tools.need(PLUGIN, "orthanc-dicomweb")
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-dicomweb-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.images = cls.folder / "images"
        cls.count = objects.write(cls.images, images=60, annotations=4)
        named = objects.new("2.25.98", objects.CTImageStorage, "CT", 3, f"{objects.STUDY}.3.1")
        named.SpecificCharacterSet, named.Manufacturer, named.SliceThickness = "ISO_IR 100", "Größe & Söhne", "2.5"
        named.ImageType, named.Rows, named.PixelSpacing = ["ORIGINAL", "PRIMARY", "AXIAL"], 512, ["0.7", "0.7"]
        named.save_as(cls.images / "named.dcm", enforce_file_format=True)
        cls.count += 1
        cls.start()
        for path in sorted(cls.images.iterdir()):
            request = urllib.request.Request(f"{cls.url}/instances", path.read_bytes(), method="POST")
            urllib.request.urlopen(request, timeout=30).read()

    @classmethod
    def start(cls):
        port = free_port()
        cls.url = f"http://127.0.0.1:{port}"
        configuration = {
            "Name": "north", "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "StorageDirectory": str(cls.folder / "db"),
            "IndexDirectory": str(cls.folder / "db"), "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }  # fmt: skip
        (cls.folder / "orthanc.json").write_text(json.dumps(configuration))
        with open(cls.folder / "orthanc.log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(["Orthanc", str(cls.folder / "orthanc.json")], stdout=log, stderr=log)

        def stop():
            server.terminate()
            server.wait(timeout=60)

        cls.addClassCleanup(stop)
        until("the server listens", lambda: listens(port))

    def node(self, name, like=None):
        """A node; one that is like another has its secret, so that both name a patient alike."""
        node = Path(tempfile.mkdtemp(dir=self.folder)) / name
        succeed("init", "node", node, "--name", name)
        if like:
            shutil.copy(like / "secret", node / "secret")
        return node

    def rows(self, node, table):
        """All rows of a table, without what names the batch and without what only files have."""
        kept = [
            {name: value for name, value in row.items() if name not in OF_FILES and not name.startswith("_")}
            for row in stored(node, table)
        ]
        return sorted(map(repr, kept))

    def test_the_server_s_objects_are_those_of_the_folder_and_come_in_once(self):
        files = self.node("files")
        succeed("ingest", files, self.images)
        pulled = self.node("pulled", like=files)
        run = caim("ingest", pulled, f"{self.url}/dicom-web/studies", "--json")
        self.assertEqual(run.returncode, OK, run.stderr)
        report = json.loads(run.stdout)
        self.assertEqual((report["format"], report["tables"][0]["kept"]), ("dicom", self.count))
        for table in ("dicom.instance", "dicom.annotation", "dicom.series"):
            self.assertEqual(self.rows(pulled, table), self.rows(files, table), table)
        again = json.loads(succeed("ingest", pulled, f"{self.url}/dicom-web/studies", "--json"))
        self.assertTrue(again["unchanged"])

    def test_a_search_brings_what_it_finds(self):
        node = self.node("searching")
        source = f"{self.url}/dicom-web/studies?PatientID=P3"
        report = json.loads(succeed("ingest", node, source, "--json"))
        wanted = [path for path in self.images.iterdir() if b"P3" in path.read_bytes()]
        self.assertEqual(report["tables"][0]["kept"], len(wanted))

    def test_a_sample_keeps_nothing(self):
        node = self.node("sampling")
        report = json.loads(succeed("ingest", node, f"{self.url}/dicom-web/studies", "--sample", "3", "--json"))
        self.assertEqual(report["tables"][0]["kept"], 3)


STUDIES = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(3)]


def instance(study):
    """The attributes of one object, with pixels that lie elsewhere."""
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": [f"{study}.1"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00100020": {"vr": "LO", "Value": [f"P{study}"]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "0020000E": {"vr": "UI", "Value": [f"{study}.9"]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://127.0.0.1:9/pixels"},
    }


class Faulty(BaseHTTPRequestHandler):
    """Answers as its server's `fault` says; each study is refused once at first."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, path = self.server, self.path.partition("?")[0]
        server.asked.append(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(401, b'{"patient": "' + TOKEN.encode() + b'"}')
        if path.endswith("/studies"):
            return self.send(200, json.dumps(self.page()).encode(), self.warning())
        if server.fault == "busy" and path not in server.seen:
            server.seen.add(path)
            return self.send(429, b"later", {"Retry-After": "0"})
        if server.fault == "always busy":
            return self.send(503, b"never")
        if server.fault == "patient":
            return self.send(429, b"later", {"Retry-After": "86400"})
        if server.fault == "elsewhere":
            return self.send(302, b"", {"Location": "http://127.0.0.1:9/"})
        body = json.dumps([instance(path.split("/")[-2])]).encode()
        if server.fault == "no list":
            body = b"<html>" + TOKEN.encode()
        if server.fault == "no data set":
            body = b'[{"00080018": {"vr": "UI", "Value": ["1.2.3"]}, "Name": {"vr": "PN"}}]'
        if server.fault == "torn" and path not in server.seen:
            server.seen.add(path)
            return self.send(200, body, {"Content-Length": str(len(body) + 10)})
        return self.send(200, body)

    def page(self):
        offset = int(parse_qs(urlparse(self.path).query)["offset"][0])
        if self.server.fault in ("no pages", "no pages and more"):
            return STUDIES
        return STUDIES[offset:][: 1 if self.server.fault == "small pages" else None]

    def warning(self):
        more = {"Warning": '299 north: "There are additional results"'}
        return more if self.server.fault in ("small pages", "no pages and more") and self.page() else {}

    def send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except BrokenPipeError:
            pass
        self.close_connection = True


class Faults(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="caim-dicomweb-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.node, self.token = self.folder / "node", self.folder / "token"
        succeed("init", "node", self.node, "--name", "north")
        self.token.write_text(TOKEN + "\n")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
        self.server.fault, self.server.seen, self.server.asked = None, set(), []
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/dicom-web/studies"

    def ingest(self, *options, url=None):
        run = caim("ingest", self.node, url or self.url, "--json", *options)
        self.assertNotIn(TOKEN, run.stdout + run.stderr)
        return run

    def test_a_busy_or_torn_server_is_asked_again(self):
        for fault in (None, "busy", "torn", "no pages", "small pages"):
            with self.subTest(fault=fault):
                self.server.fault = fault
                node = self.node
                self.node = self.folder / f"node-{fault}".replace(" ", "-")
                succeed("init", "node", self.node, "--name", "north")
                run = self.ingest("--token-file", self.token)
                self.node = node
                self.assertEqual(run.returncode, OK, run.stderr)
                self.assertEqual(json.loads(run.stdout)["tables"][0]["kept"], len(STUDIES))

    def test_what_cannot_be_had_stops_the_ingest_and_commits_nothing(self):
        for fault, said in (
            ("always busy", "503"), ("patient", "left alone for long"), ("elsewhere", "302"),
            ("no list", "no list of DICOM JSON"), ("no pages and more", "more studies than it lists"), ("no data set", "eight hexadecimal digits"),
        ):  # fmt: skip
            with self.subTest(fault=fault):
                self.server.fault = fault
                run = self.ingest("--token-file", self.token)
                self.assertEqual(run.returncode, ERROR, run.stderr)
                self.assertIn("CAIM-I134", run.stderr)
                self.assertIn(said, run.stderr)
        self.assertFalse(list((self.node / "warehouse" / "data").glob("*.parquet")))

    def test_without_its_token_a_server_says_no(self):
        run = self.ingest()
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("401", run.stderr)
        self.assertIn("--token-file", run.stderr)

    def test_plain_http_stays_on_this_machine(self):
        before = len(self.server.asked)
        run = self.ingest("--token-file", self.token, url="http://pacs.example.org/dicom-web/studies")
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("https://", run.stderr)
        self.assertEqual(len(self.server.asked), before)


if __name__ == "__main__":
    unittest.main()
