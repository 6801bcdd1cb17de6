"""Test suites for connectors and transports of other packages. They need pytest, which the product does not install.

Call ``pytest.register_assert_rewrite("erp_connectors.testing")`` in your ``conftest.py`` before you import it.
"""

from erp_connectors.testing.connectors import ORDER as ORDER
from erp_connectors.testing.connectors import AnswerFile as AnswerFile
from erp_connectors.testing.connectors import ConnectorSuite as ConnectorSuite
from erp_connectors.testing.transports import Place as Place
from erp_connectors.testing.transports import TransportSuite as TransportSuite
