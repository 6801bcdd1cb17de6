"""A password in a text of a server is hidden before the text is shortened."""

from erp_connectors.sftp.other_services import MAX_LINE, other_service
from erp_connectors.sftp.redact import redactor

PASSWORD = "correct horse battery"


def test_a_password_at_the_end_of_a_shortened_greeting_is_hidden():
    greeting = f"220 {'x' * (MAX_LINE - 15)} {PASSWORD}\r\n".encode()

    error = other_service(greeting, redactor(PASSWORD))

    assert "x [hidden]" in str(error)
    assert PASSWORD[:5] not in str(error)
