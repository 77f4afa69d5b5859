"""The notebooks in docs/notebooks run, cell by cell, against the generated hospitals, and are kept without outputs."""

import os
import unittest

import nbformat
from nbclient import NotebookClient

from federation import ROOT
from hospitals import Hospitals

FOLDER = ROOT / "docs" / "notebooks"
DEMO = "grpc://127.0.0.1:50051"


class Notebooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hospitals = Hospitals({})
        cls.addClassCleanup(cls.hospitals.close)
        os.environ["MPLBACKEND"] = "agg"

    def test_every_cell_runs_and_no_output_is_kept(self):
        notebooks = sorted(FOLDER.glob("*.ipynb"))
        self.assertTrue(notebooks)
        for path in notebooks:
            with self.subTest(path.name):
                notebook = nbformat.read(path, as_version=4)
                nbformat.validate(notebook)
                cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
                self.assertTrue(all(not cell.outputs and cell.execution_count is None for cell in cells))
                self.assertIn(DEMO, cells[0].source)
                cells[0].source = cells[0].source.replace(DEMO, self.hospitals.url)
                NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
                self.assertTrue(any(cell.outputs for cell in cells))


if __name__ == "__main__":
    unittest.main()
