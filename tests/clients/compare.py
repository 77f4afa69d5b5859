"""The comparison with what people use now works: every peer that is here answers as Caim does."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from federation import BINARY, ROOT

RUNNER = ROOT / "benches" / "compare" / "run.py"
WORKS = ["dicom", "fhir", "omop", "cohort", "federation"]
LIMIT_S = 600
# Without a peer: what is measured there is how soon Caim stops.
ALONE = "asker killed"

sys.path.append(str(RUNNER.parent))
import rounds  # noqa: E402  pylint: disable=wrong-import-position
import sides  # noqa: E402  pylint: disable=wrong-import-position


def runner(*arguments):
    command = [sys.executable, str(RUNNER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if runner("--prepare").returncode != 0:
            raise unittest.SkipTest("its packages cannot be installed (no network to PyPI, or no python3-venv)")

    def test_all_works_give_the_same_answers_as_their_peers(self):
        with tempfile.TemporaryDirectory() as folder:
            figures = Path(folder) / "figures.json"
            ended = runner(*WORKS, "--short", "--caim", BINARY, "--json", figures)
            self.assertEqual(ended.returncode, 0, ended.stdout[-3000:] + ended.stderr[-3000:])
            works = json.loads(figures.read_text(encoding="utf-8"))["works"]
        self.assertGreaterEqual(len(works), 10)
        for work in works:
            with self.subTest(work["name"]):
                ours, *others = work["rows"] or [None]
                if ours is None:
                    self.skipTest(f"left out: {work['left_out']}")
                self.assertEqual(ours["side"], rounds.OURS)
                if not work["name"].startswith(ALONE):
                    self.assertTrue(any(row["ahead"] for row in others), work["left_out"])

    def test_a_peer_with_another_answer_gets_no_figure(self):
        def side(name, answer):
            return sides.Side(name, sides.call(lambda: answer), answer=lambda: answer)

        work = rounds.Work("a work", 1, "rows", 1)
        rounds.compare(work, [side(rounds.OURS, {"a": 1}), side("same", {"a": 1}), side("other", {"a": 2})])
        self.assertEqual([row.side for row in work.rows], [rounds.OURS, "same"])
        self.assertIn("a (1 here, 2 there)", work.left_out["other"])
        self.assertFalse(work.sound)

    def test_a_peer_that_is_absent_is_named_and_stops_no_other(self):
        def absent():
            raise sides.LeftOut("not installed")

        work = rounds.Work("a work", 1, "rows", 1)
        sound = sides.Side(rounds.OURS, sides.call(lambda: None))
        rounds.compare(work, [sound, sides.Side("absent", absent)])
        self.assertEqual(work.left_out, {"absent": "not installed"})
        self.assertTrue(work.sound)
