"""Every promise of `transports/base.py`, on every transport and server there is."""

from erp_connectors.faults import Fault
from erp_connectors.port_types import Upload
from erp_connectors.testing import TransportSuite
from erp_connectors.testing.transports import require_folders


class TestTransports(TransportSuite):
    def test_a_missing_folder_is_named_by_its_own_path(self, place, transport):
        require_folders(place)
        (outcome,) = transport.stage([Upload(place.path("nowhere/a.tmp"), b"a")])

        assert isinstance(outcome, Fault)
        assert (outcome.code, outcome.path) == ("FOLDER_MISSING", place.path("nowhere"))
