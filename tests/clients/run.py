"""Runs the client tests; the last line is `N passed, N failed, N skipped`.

`run.py NAME...` runs only the tests whose names contain one of the words.
"""

import sys
import time
import unittest

import answers
import buckets
import canaries
import compare
import conformance
import cookbook
import crowd
import cubes
import dicom_oracle
import dicomweb
import doors
import federation
import foreign_clients
import frames
import generated
import intake
import links
import listener
import notebooks
import ontology
import operators
import quality
import schemas
import terminal
import utility
import views

MODULES = [
    answers, buckets, canaries, compare, conformance, cookbook, crowd, cubes, dicom_oracle, dicomweb, doors,
    foreign_clients, frames, generated, intake, links, listener, notebooks, ontology, operators, quality,
    schemas, terminal, utility, views,
]


class Tally(unittest.TestResult):
    """Prints one line a test, and the cause of each failure below it."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.broken = set()
        self.began = time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        self._line("ok", test)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.broken.add(test.id())
            self._line("FAILED", subtest)
            print(self._exc_info_to_string(error, test))

    def addFailure(self, test, error):
        self.broken.add(test.id())
        self._line("FAILED", test)
        print(self._exc_info_to_string(error, test))

    addError = addFailure

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {name(test)}: {reason}", flush=True)

    def _line(self, outcome, test):
        print(f"{outcome}: {name(test)} ({time.monotonic() - self.began:.1f} s)", flush=True)


def name(test):
    """`answers: grouped counts equal DuckDB`, from the module and the method; the class, where its set-up speaks."""
    if test.id().startswith("setUpClass ("):
        return test.id()[len("setUpClass (") :].rstrip(")").replace(".", ": ")
    module, *_, method = test.id().split(" ")[0].split(".")
    detail = test.id().partition(" ")[2]
    return f"{module}: {method.removeprefix('test_').replace('_', ' ')} {detail}".rstrip()


def cases(suite):
    """The tests of a suite, flat."""
    for part in suite:
        yield from cases(part) if isinstance(part, unittest.TestSuite) else [part]


def main(words):
    loader = unittest.TestLoader()
    found = [case for module in MODULES for case in cases(loader.loadTestsFromModule(module))]
    chosen = [case for case in found if not words or any(word in name(case) for word in words)]
    tally = Tally()
    try:
        unittest.TestSuite(chosen).run(tally)
    finally:
        federation.close()
    print(f"{tally.passed} passed, {len(tally.broken)} failed, {len(tally.skipped)} skipped")
    return 0 if not tally.broken else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
