"""`caim quality` on objects with known faults: each fault is found, in the series that has it and in no other."""

import hashlib
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import objects
from federation import caim, succeed

OK, ERROR, QUALITY = 0, 1, 6
SLICES = 10
STEP_MM = 2.5
# Of the checks of images: in how many series each fails.
WANTED = {
    "instances_are_all_there": 1,
    "positions_are_not_repeated": 1,
    "spacing_is_one": 1,
    "slices_have_no_gaps": 2,
}


def slices():
    """The slices of a sound series: number, position along the body in mm, pixel spacing."""
    return [[number, number * STEP_MM, "0.7"] for number in range(1, SLICES + 1)]


def series():
    """Series by name, one sound and each other with one fault."""
    sound, missing, moved, repeated, mixed = (slices() for _ in range(5))
    del missing[4]
    for one in moved[5:]:
        one[1] += STEP_MM
    repeated.append([SLICES + 1, SLICES * STEP_MM, "0.7"])
    mixed[3][2] = "0.8"
    return {"sound": sound, "missing": missing, "moved": moved, "repeated": repeated, "mixed": mixed}


def write(folder, chosen):
    """Writes CT series, each of a patient of its own."""
    folder.mkdir()
    for patient, (name, all_slices) in enumerate(chosen.items(), 1):
        for number, position, spacing in all_slices:
            uid = f"2.25.88.{patient}.{number}"
            image = objects.new(uid, objects.CTImageStorage, "CT", patient, f"2.25.88.{patient}")
            image.InstanceNumber, image.SliceThickness = number, STEP_MM
            image.ImagePositionPatient, image.PixelSpacing = ["-100", "-100", str(position)], [spacing, spacing]
            image.save_as(folder / f"{name}-{number}.dcm", enforce_file_format=True)


class Faults(unittest.TestCase):
    """Nodes with series whose faults are known."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-quality-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node = cls.made("faulty", series())

    @classmethod
    def made(cls, name, chosen):
        """A node that has taken these series in."""
        node, images = cls.folder / name, cls.folder / f"{name}-images"
        write(images, chosen)
        succeed("init", "node", node, "--name", name)
        succeed("ingest", node, images)
        return node

    def checks(self, node):
        """The checks of a node by name, and how the command ended."""
        run = caim("quality", node, "--json")
        self.assertIn(run.returncode, (OK, QUALITY), run.stderr)
        return {check["name"]: check for check in json.loads(run.stdout)["checks"]}, run.returncode

    def limits(self, node, lines):
        """Sets an operator's own limits, until the test ends."""
        path = node / "quality.toml"
        path.write_text("[limits]\n" + lines)
        self.addCleanup(path.unlink)

    def test_each_fault_of_images_is_found_once_and_sound_series_have_none(self):
        faulty, _ = self.checks(self.node)
        sound, _ = self.checks(self.made("sound", {"sound": slices(), "again": slices()}))
        for name, failed in WANTED.items():
            with self.subTest(name):
                self.assertEqual((faulty[name]["checked"], faulty[name]["failed"]), (len(series()), failed))
                self.assertEqual((sound[name]["checked"], sound[name]["failed"]), (2, 0))

    def test_the_exit_code_follows_the_limits_of_the_operator(self):
        checks, code = self.checks(self.node)
        self.assertEqual(code, QUALITY)
        self.limits(self.node, "".join(f'"{name}" = 1.0\n' for name in checks))
        self.assertEqual(self.checks(self.node)[1], OK)

    def test_a_limit_of_no_check_is_named(self):
        self.limits(self.node, "spacing_is_won = 0.1\n")
        run = caim("quality", self.node)
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("spacing_is_won", run.stderr)

    def test_the_page_is_one_file_with_every_check_and_fetches_nothing(self):
        page = self.folder / "quality.html"
        caim("quality", self.node, "--html", page)
        text = page.read_text(encoding="utf-8").replace("<wbr>", "")
        for name in self.checks(self.node)[0]:
            self.assertIn(f"<code>{name}</code>", text)
        self.assertIsNone(re.search(r"<script|<link|<img|src=|href=|url\(|@import|https?:", text))

    def test_the_report_is_kept_nowhere_and_no_door_knows_of_it(self):
        def files():
            paths = [path for path in self.node.rglob("*") if path.is_file() and path.name != "lock"]
            return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

        caim("quality", self.node)
        before = files()
        caim("quality", self.node, "--json", "--html", self.folder / "kept.html")
        self.assertEqual(files(), before)
        tables = succeed("sql", "--node", self.node, "--format", "csv", "-c",
                         "SELECT table_schema, table_name FROM information_schema.tables")
        self.assertIn("dicom,series", tables)
        self.assertNotIn("quality", tables)
        for name in ("quality", "caim.quality", "staged.life"):
            run = caim("sql", "--node", self.node, "-c", f"SELECT count(*) FROM {name}")
            self.assertNotEqual(run.returncode, OK, name)

    def test_the_text_lists_what_failed_and_all_with_the_flag(self):
        short, full = (caim("quality", self.node, *flags).stdout for flags in ([], ["--all"]))
        self.assertIn("slices_have_no_gaps", short)
        self.assertNotIn("series_has_one_modality", short)
        self.assertIn("series_has_one_modality", full)
        self.assertRegex(short, r"epoch \d+: \d+ of \d+ checks failed, \d+ had nothing to look at")

    def test_the_report_names_no_patient_and_no_object(self):
        page = self.folder / "names.html"
        runs = [caim("quality", self.node, "--html", page), caim("quality", self.node, "--json")]
        said = page.read_text(encoding="utf-8") + "".join(run.stdout + run.stderr for run in runs)
        self.assertIn("spacing_is_one", said)
        for word in ("2.25.88", objects.STUDY):
            self.assertNotIn(word, said)
