"""Tables of an operator's own ViewDefinitions: asked at the node through its gate, unknown to hubs."""

import contextlib
import csv
import io
import json
import shutil
import sqlite3
import tempfile
import unittest
from pathlib import Path

from federation import PUBLIC, HubPlace, Service, caim, listens, succeed, until

OK, ERROR, PRIVACY = 0, 1, 4
SMOKING = {
    "resourceType": "ViewDefinition",
    "name": "smoking",
    "resource": "Observation",
    "title": "One row a statement about smoking.",
    "where": [{"path": "code.coding.where(code = '72166-2').exists()"}],
    "select": [
        {
            "column": [
                {"name": "id", "path": "getResourceKey()"},
                {"name": "visit", "path": "identifier.value.first()"},
                {
                    "name": "packs",
                    "path": "component.value.ofType(Quantity).value.first()",
                    "type": "decimal",
                    "tag": [{"name": "caim/bounds", "value": "0..10 by 0.5"}],
                },
            ]
        },
        {
            "forEach": "value.ofType(CodeableConcept).coding",
            "column": [{"name": "status", "path": "code", "type": "code"}, {"name": "said", "path": "display"}],
        },
    ],
}
BY_STATUS = "SELECT status, count(DISTINCT patient_id) AS n, sum(packs) AS packs FROM fhir.smoking GROUP BY status ORDER BY status"


def coded(code):
    return {"coding": [{"code": code, "display": f"canary {code}"}]}


def resources(patients):
    """One statement a patient: every third smokes two packs, the others none."""
    for n in range(patients):
        yield {"resourceType": "Patient", "id": f"p{n}", "gender": "female" if n % 2 else "male"}
        yield {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "identifier": [{"value": f"CANARY-{n}"}],
            "code": coded("72166-2"),
            "subject": {"reference": f"Patient/p{n}"},
            "valueCodeableConcept": coded("never" if n % 3 else "smoker"),
            "component": [{"code": coded("packs"), "valueQuantity": {"value": 0 if n % 3 else 2}}],
        }


class OwnViews(unittest.TestCase):
    """A node with a view of its operator and 90 patients."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-views-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.place = HubPlace()
        cls.node = cls.folder / "node"
        succeed("init", "node", cls.node, "--name", "north", "--hub", f"127.0.0.1:{cls.place.nodes}")
        (cls.node / "views").mkdir()
        cls.write(cls.node, SMOKING)
        cls.source = cls.folder / "export.ndjson"
        cls.source.write_text("\n".join(map(json.dumps, resources(90))))
        cls.report = json.loads(succeed("ingest", cls.node, cls.source, "--json"))

    @staticmethod
    def write(node, view):
        (node / "views" / "smoking.json").write_text(json.dumps(view))

    def ask(self, sql, env=PUBLIC):
        run = caim("sql", "--node", self.node, "--format", "csv", "-c", sql, env=env)
        self.assertEqual(run.returncode, OK, run.stderr)
        return list(csv.reader(io.StringIO(run.stdout)))[1:]

    def test_the_operator_asks_an_own_table_and_joins_it_with_a_bundled_one(self):
        kept = {table["name"]: table["kept"] for table in self.report["tables"]}
        self.assertEqual((kept["fhir.smoking"], kept["fhir.observation"]), (90, 90))
        rows = [(status, int(n), float(packs)) for status, n, packs in self.ask(BY_STATUS)]
        self.assertEqual(rows, [("never", 60, 0.0), ("smoker", 30, 60.0)])
        joined = (
            "SELECT p.gender, count(DISTINCT s.patient_id) AS n FROM fhir.smoking s JOIN fhir.observation o ON o.id = s.id "
            "JOIN fhir.patient p ON p.patient_id = s.patient_id WHERE s.status = 'smoker' GROUP BY p.gender ORDER BY 1"
        )
        self.assertEqual(self.ask(joined), [["female", "15"], ["male", "15"]])
        told = "SELECT remarks FROM information_schema.tables WHERE table_schema = 'fhir' AND table_name = 'smoking'"
        self.assertEqual(self.ask(told), [["One row a statement about smoking."]])

    def test_the_gate_stands_before_own_tables_too(self):
        checked = succeed("check", "--node", self.node, "-c", BY_STATUS)
        self.assertIn("costs rho", checked)
        rows = self.ask("SELECT status, count(DISTINCT patient_id) AS n FROM fhir.smoking GROUP BY status", env={})
        self.assertTrue(all(int(n) % 5 == 0 for _, n in rows), rows)
        for sql in ["SELECT status FROM fhir.smoking", "SELECT said, count(*) FROM fhir.smoking GROUP BY said"]:
            self.assertEqual(caim("sql", "--node", self.node, "-c", sql).returncode, PRIVACY, sql)

    def test_an_answer_hangs_on_the_definition_of_own_tables_and_on_no_other_view(self):
        copy = self.folder / "asked"
        shutil.copytree(self.node, copy)
        shared, own = (
            f"SELECT count(DISTINCT patient_id) AS n FROM fhir.{table}" for table in ("observation", "smoking")
        )

        def asked(sql):
            succeed("sql", "--node", copy, "--format", "csv", "-c", sql)
            with contextlib.closing(sqlite3.connect(copy / "warehouse" / "state.sqlite")) as state:
                return state.execute("SELECT decision FROM audit ORDER BY rowid DESC").fetchone()[0]

        self.assertEqual([asked(sql) for sql in (shared, own, own)], ["released", "released", "repeated"])
        changed = json.loads(json.dumps(SMOKING))
        changed["select"][0]["column"][2]["tag"][0]["value"] = "0..5"
        self.write(copy, changed)
        self.assertEqual([asked(own), asked(shared)], ["released", "repeated"])
        shutil.rmtree(copy / "views")
        self.assertEqual(asked(shared), "repeated")

    def test_other_commands_know_own_tables_and_show_no_identifier(self):
        self.assertIn("export.ndjson", succeed("batches", self.node))
        self.assertIn("checks failed", caim("quality", self.node).stdout)
        succeed("verify", self.node)
        for path in (self.node / "warehouse" / "data").iterdir():
            self.assertNotIn(b"CANARY", path.read_bytes())

    def test_a_hub_knows_no_own_table_and_is_answered_about_the_others(self):
        hub = self.folder / "hub"
        succeed("init", "hub", hub)
        services = [
            Service("hub", ["hub", hub], self.folder / "hub.log", env=self.place.environment),
            Service("node", ["node", self.node], self.folder / "node.log", env=PUBLIC),
        ]
        try:
            until("the hub listens", lambda: listens(self.place.flight))
            ask = lambda sql: caim("sql", "--hub", self.place.url, "--format", "csv", "-c", sql)  # noqa: E731
            count = "SELECT count(DISTINCT patient_id) AS n FROM fhir.observation"
            until("the node answers", lambda: ask(count).stdout.split() == ["n", "90"])
            refused = ask(BY_STATUS)
            self.assertNotEqual(refused.returncode, OK)
            self.assertIn("smoking", refused.stderr)
            listed = ask("SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'smoking'")
            self.assertEqual(listed.stdout.split(), ["n", "0"])
        finally:
            for service in services:
                service.kill()

    def test_a_faulty_view_stops_an_ingest_by_file_place_and_reason_and_the_old_epoch_answers(self):
        copy = self.folder / "copy"
        shutil.copytree(self.node, copy)
        faulty = json.loads(json.dumps(SMOKING))
        faulty["select"][1]["column"][0]["path"] = "code.frist()"
        self.write(copy, faulty)
        run = caim("ingest", copy, self.source)
        self.assertEqual(run.returncode, ERROR)
        for word in ["CAIM-I150", "smoking.json", "select[1].column[0].path", "first()", "fix: "]:
            self.assertIn(word, run.stderr)
        faulty["select"][1]["column"][0]["path"] = "subject.display"
        self.write(copy, faulty)
        self.assertIn("CAIM-I152", caim("sql", "--node", copy, "-c", BY_STATUS).stderr)
        succeed("forget", copy, "--patient", "somebody who asks")
        self.write(copy, SMOKING)
        self.assertIn("unchanged", succeed("ingest", copy, self.source))


if __name__ == "__main__":
    unittest.main()
