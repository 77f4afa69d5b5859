"""`caim sql` at a terminal, typed by a program. The page docs/terminal.md is what comes of it.

`CAIM_UPDATE=1` writes the page anew; else the test compares.
"""

import os
import re
import shutil
import sqlite3
import tempfile
import unittest
from pathlib import Path

import pexpect

import federation

PAGE = federation.ROOT / "docs" / "terminal.md"
PROMPT = "caim> "
HEAD = """# A session at a terminal

What `caim sql` shows, as the tests record it (`tests/clients/terminal.py`) over a generated hospital whose data is published.

```console
$ caim sql --user analyst --password ...
"""
TYPED = [
    "\\dt dicom",
    "SELECT Modality, count(DISTINCT PatientID) AS patients\nFROM dicom.series\nGROUP BY Modality ORDER BY patients DESC;",
    "\\x",
    "SELECT count(*) AS series, avg(PatientAge) AS age FROM dicom.series;",
    "\\x",
    "SELECT Modalty FROM dicom.series;",
    "SELECT * FROM dicom.series;",
    "\\df",
    "\\?",
]


class Session(unittest.TestCase):
    """A session over a hub with one node."""

    POLICY = None

    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="caim-terminal-"))
        self.addCleanup(shutil.rmtree, self.home, True)
        self.hub = federation.Federation(policy=self.POLICY)
        self.addCleanup(self.hub.close)
        self.session = self.open()

    def open(self):
        login = self.hub.login
        arguments = ["sql", "--hub", self.hub.url, "--user", login["username"], "--password", login["password"]]
        environment = {**federation.environment(), "NO_COLOR": "1", "TERM": "xterm", "XDG_STATE_HOME": str(self.home)}
        session = pexpect.spawn(str(federation.BINARY), arguments, env=environment, encoding="utf-8",
                                dimensions=(60, 400), timeout=60)
        self.addCleanup(session.close, True)
        session.expect_exact(PROMPT)
        return session

    def says(self, typed):
        """What the session shows for what is typed, without the echo."""
        self.session.send(typed.replace("\n", "\r") + "\r")
        # The editor turns pasting in brackets off when a line is whole, and on again with the next prompt.
        self.session.expect_exact("\x1b[?2004l")
        self.session.expect_exact("\x1b[?2004h")
        answer = clean(self.session.before)
        self.session.expect_exact(PROMPT)
        return answer


class Terminal(Session):
    """Published data: answers are exact and at once."""

    def test_a_session_is_as_the_page_shows_it(self):
        shown = [HEAD]
        for typed in TYPED:
            shown.append(f"{PROMPT}{typed}\n{self.says(typed).strip()}\n")
        page = "".join(shown) + PROMPT + "\\q\n```\n"
        if os.environ.get("CAIM_UPDATE"):
            PAGE.write_text(page)
        self.assertEqual(page, PAGE.read_text(), "docs/terminal.md is not what a session shows: set CAIM_UPDATE=1")

    def test_leaving_keeps_the_history(self):
        self.says("SELECT 1 AS one;")
        self.session.send("\\q\r")
        self.session.expect(pexpect.EOF)
        self.assertIn("SELECT 1 AS one", (self.home / "caim" / "history").read_text())

    def test_names_and_concepts_are_completed(self):
        for beginning, whole in (("SELECT * FROM dicom.ser", "dicom.series"), ("SELECT manufacturermo", "ManufacturerModelName")):
            self.session.send(beginning + "\t")
            self.session.expect_exact(whole)
            self.session.send("\x03")
            self.session.expect_exact(PROMPT)


class Interrupt(Session):
    """A node whose answers leave late, so that there is time to think again."""

    POLICY = {"CAIM__PRIVACY__ANSWER_GRID_MS": "60000"}

    def test_an_interrupt_ends_the_question_and_the_session_goes_on(self):
        self.session.send("SELECT count(*) FROM dicom.series;\r")
        self.session.expect_exact("\x1b[?2004l")
        audited = self.hub.folder / "node" / "warehouse" / "state.sqlite"
        federation.until("the node works on the question", lambda: rows(audited, "audit") > 0)
        self.session.send("\x03")
        self.session.expect_exact(PROMPT, timeout=20)
        self.assertIn("1", self.says("SELECT 1 AS one;"))


def rows(database, table):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as state:
        return state.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def clean(text):
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
