"""A node's operator and the vocabulary: what has no concept yet, mapping it, and the commands about concepts."""

import csv
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

import samples
from federation import PUBLIC, caim, succeed
from operators import ERROR, OK, ask

SPELLING = "Acme  Imaging, Inc. 50%"
SIEMENS = "EUCAIM:IMG1000044"
COUNT = "SELECT series_manufacturer, count(*) AS n FROM image_series GROUP BY series_manufacturer"

OWL_HEAD = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
 xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:skos="http://www.w3.org/2004/02/skos/core#"
 xmlns:ann="https://cancerimage.eu/ontology/EUCAIM#">
<owl:Ontology rdf:about="https://cancerimage.eu/ontology/EUCAIM"><owl:versionInfo>3.0</owl:versionInfo></owl:Ontology>
"""
EUCAIM = "https://cancerimage.eu/ontology/EUCAIM#"


def owl(*classes):
    """An OWL file of (code, label, parents, further elements)."""
    text = OWL_HEAD
    for code, label, parents, more in classes:
        above = "".join(f'<rdfs:subClassOf rdf:resource="{EUCAIM}{parent}"/>' for parent in parents)
        name = f"<rdfs:label>{label}</rdfs:label>" if label else ""
        text += f'<owl:Class rdf:about="{code if "://" in code else EUCAIM + code}">{name}{above}{more}</owl:Class>\n'
    return text + "</rdf:RDF>\n"


class Ontology(unittest.TestCase):
    """Works on copies of one node whose series are by a manufacturer that nobody has mapped."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-ontology-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.source = cls.folder / "series.parquet"
        cls.series = cls.write_series(cls.source)
        cls.ingested = cls.folder / "ingested"
        succeed("init", "node", cls.ingested, "--name", "north")
        succeed("ingest", cls.ingested, cls.source, "--collection-column", "collection_id", env=PUBLIC)

    @staticmethod
    def write_series(path):
        """Invented series: those of the first 40 patients are by the unmapped manufacturer, of the 41st by another."""
        rows = samples.series(patients=60, seed=11).to_pylist()
        for row in rows:
            number = int(row["PatientID"][1:])
            row["Manufacturer"] = SPELLING if number < 40 else "Rarely Seen" if number == 40 else "SIEMENS"
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return rows

    def setUp(self):
        self.place = Path(tempfile.mkdtemp(dir=self.folder))
        self.node = self.place / "node"
        shutil.copytree(self.ingested, self.node)

    def count(self, manufacturer):
        return sum(row["Manufacturer"] == manufacturer for row in self.series)

    def manufacturers(self):
        """Rows by concept of manufacturer, as SQL counts them."""
        answer = csv.DictReader(io.StringIO(succeed("sql", "--node", self.node, "--format", "csv", "-c", COUNT, env=PUBLIC)))
        return {row["series_manufacturer"] or None: int(row["n"]) for row in answer}

    def epoch(self):
        return succeed("batches", self.node).splitlines()[-1]

    def coverage(self, *flags, env=None):
        return succeed("ontology", "coverage", self.node, *flags, env=env)

    def reingest(self):
        return succeed("ingest", self.node, self.source, "--collection-column", "collection_id", env=PUBLIC)

    def fill(self, stub, value, object_id):
        """The stub as a curator saves it: one row with an object, every other left as it is."""
        filled = 0
        lines = []
        for line in stub.splitlines(keepends=True):
            cells = line.split("\t")
            if len(cells) > 3 and cells[1] == value:
                cells[3], filled = object_id, filled + 1
            lines.append("\t".join(cells))
        self.assertEqual(filled, 1, stub)
        target = self.node / "mappings" / "own-1.sssom.tsv"
        target.parent.mkdir(exist_ok=True)
        target.write_text("".join(lines))
        return target

    def test_an_unmapped_spelling_is_found_mapped_and_counted(self):
        before = self.manufacturers()
        self.assertEqual(before, {None: self.count(SPELLING) + self.count("Rarely Seen"), SIEMENS: self.count("SIEMENS")})
        self.assertIn(SPELLING, self.coverage())
        stub = self.coverage("--format", "sssom", env=PUBLIC)
        self.assertIn("DICOM.Manufacturer:Acme%20%20Imaging,%20Inc.%2050%25\t", stub)
        self.assertIn("mappings/own-1.sssom.tsv", stub)
        self.fill(stub, SPELLING, SIEMENS)
        self.assertEqual(self.manufacturers(), before, "a file alone changes no epoch")
        old = self.epoch()
        succeed("build", self.node)
        built = self.epoch()
        self.assertNotEqual(old, built)
        expected = {None: self.count("Rarely Seen"), SIEMENS: self.count(SPELLING) + self.count("SIEMENS")}
        self.assertEqual(self.manufacturers(), expected)
        self.assertNotIn(SPELLING, self.coverage(env=PUBLIC))
        self.assertIn("unchanged", self.reingest())
        succeed("build", self.node)
        self.assertEqual((self.epoch(), self.manufacturers()), (built, expected))

    def test_a_source_that_is_ingested_again_is_derived_by_the_mappings_of_the_day(self):
        self.fill(self.coverage("--format", "sssom"), SPELLING, SIEMENS)
        self.assertIn("committed", self.reingest())
        self.assertEqual(self.manufacturers()[SIEMENS], self.count(SPELLING) + self.count("SIEMENS"))
        self.assertIn("unchanged", self.reingest())

    def test_coverage_counts_exactly_and_names_only_what_enough_patients_have(self):
        rows = {
            (row["column"], row["unmapped_value"]): row
            for row in csv.DictReader(io.StringIO(self.coverage("--format", "csv")))
        }
        column = rows["series_manufacturer", ""]
        of = lambda *names: {row["PatientID"] for row in self.series if row["Manufacturer"] in names}
        self.assertEqual(int(column["rows"]), len(self.series))
        self.assertEqual(int(column["rows_mapped"]), self.count("SIEMENS"))
        self.assertEqual(int(column["patients"]), 60)
        self.assertEqual(int(column["patients_mapped"]), len(of("SIEMENS")))
        named = rows["series_manufacturer", SPELLING]
        self.assertEqual((int(named["rows"]), int(named["patients"])), (self.count(SPELLING), len(of(SPELLING))))
        self.assertNotIn(("series_manufacturer", "Rarely Seen"), rows)
        for flags, env in ((["--threshold", "1"], None), ([], PUBLIC)):
            self.assertIn("Rarely Seen", self.coverage("--format", "csv", *flags, env=env))

    def test_a_faulty_mapping_file_is_named_with_line_reason_and_fix_by_every_command(self):
        target = self.fill(self.coverage("--format", "sssom"), SPELLING, "siemens")
        line = next(n for n, text in enumerate(target.read_text().splitlines(), 1) if "\tsiemens\t" in text)
        for command in (
            ["build", self.node],
            ["ingest", self.node, self.source],
            ["sql", "--node", self.node, "-c", COUNT],
            ["check", "--node", self.node, "-c", COUNT],
            ["node", self.node, "--set", "node.hub=127.0.0.1:9"],
            ["ontology", "coverage", self.node],
        ):
            with self.subTest(command[0]):
                run = caim(*command)
                self.assertEqual(run.returncode, ERROR, run.stderr)
                for part in ("own-1.sssom.tsv", f"line {line}", "'siemens' is no CURIE", "mend the line"):
                    self.assertIn(part, run.stderr)

    def test_lint_finds_ten_planted_faults(self):
        text = owl(
            ("CLIN9000001", "alpha", [], "<ann:SNOMEDCT>901</ann:SNOMEDCT>"),
            ("https://hyperontology.eucaim.cancerimage.eu/#CLIN9000001", "alpha again", [], ""),
            ("CLIN9000002", "beta", ["CLIN9000002"], "<ann:SNOMEDCT>901</ann:SNOMEDCT>"),
            ("CLIN9000003", "gamma", ["CLIN9999999"], ""),
            ("CLIN9000004", "delta", ["CLIN9000005"], ""),
            ("CLIN9000005", "epsilon", ["CLIN9000004"], ""),
            ("CLIN9000006", "old", [], "<owl:deprecated>true</owl:deprecated>"),
            ("CLIN9000007", "young", ["CLIN9000006"], ""),
            ("CLIN9000008", "one name", [], "<rdfs:label>two names</rdfs:label>"),
            ("CLIN9000009", "", [], ""),
            ("CLIN9000010", "Alpha", ["CLIN1000075"], ""),
        )
        faulty, mapped = self.place / "faulty.owl", self.place / "faulty.sssom.tsv"
        faulty.write_text(text)
        mapped.write_text(
            "subject_id\tpredicate_id\tobject_id\n"
            "S:1\tskos:exactMatch\tEUCAIM:CLIN9777777\n"
            "S:2\tskos:exactMatch\tSNOMEDCT:901\n"
            "S:3\tskos:exactMatch\tEUCAIM:CLIN9000001\nS:3\tskos:exactMatch\tEUCAIM:CLIN9000002\n"
        )
        run = caim("ontology", "lint", faulty, mapped)
        self.assertEqual(run.returncode, ERROR)
        for rule, place in (
            ("duplicate-code", "CLIN9000001"),
            ("self-parent", "CLIN9000002"),
            ("dangling-parent", "CLIN9000003"),
            ("cycle", "CLIN9000004"),
            ("unknown-object", "line 2"),
            ("obsolete-used", "CLIN9000007"),
            ("rival-labels", "CLIN9000008"),
            ("empty-label", "CLIN9000009"),
            ("shared-label", "CLIN9000001"),
            ("shared-cross-code", "SNOMEDCT:901"),
            ("ambiguous-object", "line 3"),
            ("conflicting-mappings", "line 5"),
        ):
            with self.subTest(rule):
                found = [line for line in run.stdout.splitlines() if f"[{rule}]" in line and place in line]
                self.assertEqual(len(found), 1, run.stdout)
        # CLIN1000075 is not in the file, and known from the code list.
        self.assertNotIn("CLIN1000075", run.stdout)
        output = json.loads(caim("ontology", "lint", faulty, "--output", "json").stdout)
        self.assertEqual(output[0].keys(), {"severity", "rule", "place", "message"})
        refused = caim("ontology", "import", faulty, "--dir", self.node)
        self.assertEqual(refused.returncode, ERROR)
        self.assertIn("nothing was imported", refused.stdout)
        self.assertFalse((self.node / "ontology").exists())

    def test_the_bundled_core_has_no_errors(self):
        run = caim("ontology", "lint")
        self.assertEqual(run.returncode, OK)
        self.assertIn("0 errors", run.stdout)
        self.assertEqual(caim("ontology", "lint", self.node).returncode, OK)

    def test_show_takes_any_spelling_and_names_what_comes_nearest(self):
        for spelling in ("EUCAIM:CLIN1000075", "CLIN1000075", "SNOMEDCT:399068003", "http://snomed.info/sct|399068003"):
            shown = succeed("ontology", "show", spelling)
            for part in ("EUCAIM:CLIN1000075  Malignant neoplasm of prostate", "SNOMEDCT:399068003", "closure hash"):
                self.assertIn(part, shown)
        concept = json.loads(succeed("ontology", "show", "ICD10:C61", "--format", "json"))
        self.assertEqual(concept["code"], "EUCAIM:CLIN1000075")
        self.assertEqual(len(concept["closure_hash"]), 64)
        unknown = caim("ontology", "show", "prostrate")
        self.assertEqual(unknown.returncode, ERROR)
        self.assertIn("EUCAIM:BP1000021 (Prostate)", unknown.stderr)
        ambiguous = caim("ontology", "show", "UMLS:C5702849")
        self.assertEqual(ambiguous.returncode, ERROR)
        for candidate in ("EUCAIM:COM1000042 (III)", "EUCAIM:COM1002459 (3)"):
            self.assertIn(candidate, ambiguous.stderr)

    def test_show_in_a_folder_knows_its_own_mappings(self):
        self.fill(self.coverage("--format", "sssom"), SPELLING, SIEMENS)
        self.assertIn("urn:caim:mappings:own-1", succeed("ontology", "show", SIEMENS, "--dir", self.node))
        self.assertNotIn("urn:caim:mappings:own-1", succeed("ontology", "show", SIEMENS))

    def test_search_finds_by_label_synonym_and_code(self):
        self.assertIn("EUCAIM:BP1000021", succeed("ontology", "search", "prostata"))
        hits = json.loads(succeed("ontology", "search", "magnetic", "resonance", "--under", "IMG1000009", "--format", "json"))
        self.assertEqual(hits[0], {"code": "EUCAIM:IMG1000038", "label": "Magnetic resonance imaging", "matched": "magnetic resonance imaging"})
        self.assertEqual(caim("ontology", "search", "no such thing at all").returncode, ERROR)

    def test_an_ontology_with_the_codes_of_the_core_takes_its_place_and_can_be_left_again(self):
        grown = self.place / "grown.owl"
        grown.write_text(self.core_as_owl(("IMG9000001", "Acme", ["IMG1000010"], "")))
        said = succeed("ontology", "import", grown, "--dir", self.node)
        self.assertIn("EUCAIM 3.0", said)
        self.assertIn("now in use", said)
        self.fill(self.coverage("--format", "sssom"), SPELLING, "EUCAIM:IMG9000001")
        succeed("build", self.node)
        self.assertEqual(self.manufacturers()["EUCAIM:IMG9000001"], self.count(SPELLING))
        other = self.place / "other.owl"
        other.write_text(self.core_as_owl(("IMG9000001", "Acme, renamed", ["IMG1000010"], "")))
        clash = caim("ontology", "import", other, "--dir", self.node)
        self.assertEqual(clash.returncode, ERROR)
        self.assertIn("--version", clash.stderr)
        succeed("ontology", "use", "bundled", "--dir", self.node)
        told = caim("build", self.node)
        self.assertEqual(told.returncode, OK)
        self.assertIn("IMG9000001", told.stderr)
        self.assertNotIn("EUCAIM:IMG9000001", self.manufacturers())

    @staticmethod
    def core_as_owl(*more):
        """The concepts of the bundled core in the form in which EUCAIM publishes them."""
        core = Path(__file__).resolve().parents[2] / "ontology" / "vocabulary" / "hyperontology.tsv"
        rows = [line.split("\t") for line in core.read_text().splitlines() if not line.startswith("#")]
        start = next(n for n, row in enumerate(rows) if row[0] == "code") + 1
        escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
        classes = []
        for code, label, parents, codes, *_ in rows[start:]:
            cross = "".join(f"<skos:exactMatch>{escape(c)}</skos:exactMatch>" for c in codes.split("|") if c)
            classes.append((code, escape(label), [p for p in parents.split("|") if p], cross))
        return owl(*classes, *more)

    def test_an_ontology_without_the_roots_of_the_models_is_refused(self):
        small = self.place / "small.owl"
        small.write_text(owl(("CLIN9000001", "alpha", [], "")))
        run = caim("ontology", "import", small, "--dir", self.node)
        self.assertEqual(run.returncode, ERROR)
        self.assertIn("cannot take the place of the core", run.stderr)
        self.assertFalse((self.node / "ontology" / "current").exists())

    def test_a_vocabulary_with_other_codes_is_carried_over_as_mappings(self):
        tumours = {"PROSTATE": {"code": "PROSTATE", "name": "Prostate", "externalReferences": {"NCI": ["C12410"]},
                                "children": {"PRX": {"code": "PRX", "name": "Something in it", "children": {}}}}}
        file = self.place / "oncotree.json"
        file.write_text(json.dumps(tumours))
        nameless = caim("ontology", "import", file, "--dir", self.node)
        self.assertEqual(nameless.returncode, ERROR)
        self.assertIn("--version", nameless.stderr)
        said = succeed("ontology", "import", file, "--version", "2025-10-03", "--dir", self.node)
        self.assertIn("carried over 2 of 2", said)
        mapped = (self.node / "mappings" / "oncotree.sssom.tsv").read_text()
        self.assertIn("ONCOTREE:PROSTATE\tProstate\tskos:exactMatch\tEUCAIM:BP1000021", mapped)
        self.assertIn("ONCOTREE:PRX\tSomething in it\tskos:broadMatch\tEUCAIM:BP1000021", mapped)
        self.assertTrue((self.node / "ontology" / "oncotree-2025-10-03.tsv").exists())
        self.assertIn("EUCAIM 2.0", succeed("ontology", "show", "BP1000021", "--dir", self.node))

    def test_mappings_are_imported_when_their_objects_exist(self):
        good, bad = self.place / "good.sssom.tsv", self.place / "bad.sssom.tsv"
        good.write_text(f"subject_id\tpredicate_id\tobject_id\nDICOM.Manufacturer:Rarely%20Seen\t\t{SIEMENS}\n")
        bad.write_text("subject_id\tpredicate_id\tobject_id\nDICOM.Manufacturer:X\t\tEUCAIM:IMG9999999\n")
        refused = caim("ontology", "import", bad, "--dir", self.node)
        self.assertEqual(refused.returncode, ERROR)
        self.assertIn("line 2", refused.stdout)
        self.assertIn("imported 1 mappings", succeed("ontology", "import", good, "--dir", self.node))
        succeed("build", self.node)
        self.assertEqual(self.manufacturers()[SIEMENS], self.count("Rarely Seen") + self.count("SIEMENS"))

    def test_a_folder_that_is_no_node_is_named(self):
        for command in (["show", "BP1000021", "--dir", self.place], ["use", "bundled", "--dir", self.place]):
            run = caim("ontology", *command)
            self.assertEqual(run.returncode, ERROR)
            self.assertIn("neither a node nor a hub", run.stderr)

    def test_the_vocabulary_can_be_asked_in_sql(self):
        answer = ask(self.node, "SELECT count(*) AS n FROM catalog.concept_ancestor WHERE ancestor_code = 'EUCAIM:BP1000021'")
        shown = json.loads(succeed("ontology", "show", "BP1000021", "--format", "json"))
        self.assertEqual(int(answer.stdout.split()[1]), shown["number_of_descendants"] + 1)
        joined = ask(
            self.node,
            "SELECT c.label FROM catalog.cross_code x JOIN catalog.concept c ON c.concept_code = x.concept_code "
            "WHERE x.system = 'SNOMEDCT' AND x.code = '399068003'",
        )
        self.assertIn("Malignant neoplasm of prostate", joined.stdout)
