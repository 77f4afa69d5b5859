"""A bucket of S3 as a source: objects and tables come in as they do from a folder, by ranges, and faults are told.

The store is moto's server on loopback, which speaks S3 as the real one does.
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import boto3

import objects
import samples
from federation import PUBLIC, caim, free_port, listens, succeed, until

OK, ERROR = 0, 1
LARGE = 3 << 20


class Buckets(unittest.TestCase):
    """One store with one bucket, which the tests read."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-buckets-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        port = free_port()
        with open(cls.folder / "server.log", "w", encoding="utf-8") as log:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            cls.server = subprocess.Popen(command, stdout=log, stderr=log)
        cls.addClassCleanup(cls.stop)
        until("the store listens", lambda: listens(port))
        url = f"http://127.0.0.1:{port}"
        cls.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "caim",
            "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
        }
        keys = {"aws_access_key_id": "caim", "aws_secret_access_key": "not-to-be-shown"}
        cls.store = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        cls.store.create_bucket(Bucket="images")
        cls.images = cls.folder / "images"
        cls.count = objects.write(cls.images, images=40, annotations=2)
        large = objects.new("2.25.99", objects.CTImageStorage, "CT", 1, f"{objects.STUDY}.1.1")
        large.add_new(0x00091001, "OB", b"\0" * LARGE)
        large.SliceThickness = "2.5"
        large.save_as(cls.images / "large.dcm", enforce_file_format=True)
        cls.count += 1
        for path in cls.images.iterdir():
            cls.store.upload_file(str(path), "images", f"archive/2020/{path.name}")
        cls.series = cls.folder / "series.parquet"
        cls.rows = samples.write(cls.series, patients=50, seed=1)
        cls.store.upload_file(str(cls.series), "images", "tables/series.parquet")

    @classmethod
    def stop(cls):
        cls.server.send_signal(signal.SIGTERM)
        cls.server.wait(timeout=30)

    def setUp(self):
        self.node = Path(tempfile.mkdtemp(dir=self.folder)) / "node"
        succeed("init", "node", self.node, "--name", "north")

    def ingest(self, source, *options):
        return caim("ingest", self.node, source, *options, "--json", env=self.environment)

    def ask(self, sql):
        return succeed("sql", "--node", self.node, "--format", "csv", "-c", sql, env=PUBLIC)

    def test_objects_of_a_bucket_are_those_of_a_folder_and_come_in_once(self):
        run = self.ingest("s3://images/archive")
        self.assertEqual(run.returncode, OK, run.stderr)
        report = json.loads(run.stdout)
        self.assertEqual((report["format"], report["tables"][0]["kept"]), ("dicom", self.count))
        sql = "SELECT Modality, count(*) AS n, count(DISTINCT patient_id) AS p FROM dicom.instance GROUP BY Modality"
        remote = self.ask(sql)
        again = json.loads(self.ingest("s3://images/archive").stdout)
        self.assertTrue(again["unchanged"])
        self.node = self.node.parent / "local"
        succeed("init", "node", self.node, "--name", "local")
        succeed("ingest", self.node, self.images)
        self.assertEqual(sorted(self.ask(sql).splitlines()), sorted(remote.splitlines()))

    def test_a_table_in_a_bucket_comes_in_and_one_object_is_a_source_by_itself(self):
        run = self.ingest("s3://images/tables/series.parquet", "--collection-column", "collection_id")
        self.assertEqual(run.returncode, OK, run.stderr)
        self.assertEqual(json.loads(run.stdout)["tables"][0]["kept"], self.rows)

    def test_a_bucket_that_is_not_there_is_named_and_no_secret_is_told(self):
        for source in ("s3://nowhere/archive", "s3://images/nothing"):
            run = self.ingest(source)
            self.assertEqual(run.returncode, ERROR)
            self.assertIn(source.split("/")[2], run.stderr)
            self.assertIn("CAIM-I1", run.stderr)
            self.assertNotIn("not-to-be-shown", run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
