"""Every promise of `transports/base.py`, on every transport and server there is."""

from erp_connectors.testing import TransportSuite


class TestTransports(TransportSuite):
    pass
