"""The key parsers under atheris, which looks for input that reaches code that none before it reached.

It is no part of the suite, nor of any lock: tests/fuzz/README.md says how it is run.
"""

import sys

import atheris

with atheris.instrument_imports(include=["erp_connectors.sftp", "paramiko", "cryptography"]):
    from erp_connectors.sftp.errors import HostKeyUnknown, KeyUnreadable
    from erp_connectors.sftp.keys import load_private_key, parse_host_key


def try_out(data: bytes) -> None:
    """The first byte chooses what the rest is read as."""
    text = data[1:].decode("utf-8", "surrogateescape")
    try:
        if data[:1] < b"\x40":
            parse_host_key(text)
        else:
            load_private_key(text, "secret" if data[:1] > b"\x80" else None)
    except (HostKeyUnknown, KeyUnreadable):
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_out)
    atheris.Fuzz()
