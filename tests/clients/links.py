"""The link between node and hub: the node dials, listens nowhere, and comes back by itself."""

import socket
import struct
import sys
import time
import unittest
from pathlib import Path

import adbc_driver_manager

import federation

LISTEN = "0A"
RELINK_S = 1.0


def listening_sockets(pid):
    """The addresses on which a process accepts TCP connections, from what the kernel shows."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = descriptor.readlink().name if descriptor.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        fields = (line.split() for line in lines)
        found += [(table, local) for _, local, _, state, *rest in fields if state == LISTEN and rest[5] in inodes]
    return found


def port_of(address):
    return int(address.rpartition(":")[2], 16)


class Links(unittest.TestCase):
    def setUp(self):
        self.federation = federation.shared()

    @unittest.skipUnless(sys.platform == "linux", "sockets of a process are read from /proc")
    def test_a_node_holds_no_listening_socket(self):
        hub = listening_sockets(self.federation.services["hub"].pid)
        ports = {port_of(address) for _, address in hub}
        self.assertTrue({self.federation.flight, self.federation.nodes} <= ports, "the hub's sockets are not seen")
        self.assertEqual(listening_sockets(self.federation.services["node"].pid), [])

    @unittest.skipUnless(sys.platform == "linux", "sockets of a process are read from /proc")
    def test_a_hub_listens_on_loopback_only(self):
        loopback = {f"{struct.unpack('<I', socket.inet_aton('127.0.0.1'))[0]:08X}"}
        for table, address in listening_sockets(self.federation.services["hub"].pid):
            self.assertEqual(table, "tcp")
            self.assertIn(address.partition(":")[0], loopback)

    def test_a_node_is_back_within_a_second_of_its_hub(self):
        for round_ in range(3):
            with self.subTest(round=round_):
                self.federation.services["hub"].kill()
                self.assertFalse(federation.listens(self.federation.flight))
                self.federation.start_hub()
                listening = time.monotonic()
                federation.until("the node is linked again", self.federation.linked)
                self.assertLess(time.monotonic() - listening, RELINK_S)

    def test_a_hub_remembers_a_node_that_is_away_and_says_so(self):
        alone = federation.Federation()
        self.addCleanup(alone.close)
        alone.services.pop("node").kill()
        federation.until("the hub notices", lambda: not alone.linked())
        with alone.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT node_id, linked FROM catalog.node")
            self.assertEqual(cursor.fetchall(), [("idc", False)])
            with self.assertRaises(adbc_driver_manager.Error) as caught:
                cursor.execute("SELECT count(*) FROM dicom.series")
                cursor.fetchall()
        self.assertIn("CAIM-N001", str(caught.exception))
