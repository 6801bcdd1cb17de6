"""Publish staged objects exactly once, as far as the server allows.

A rename is a conditional PUT of the staged bytes under the final key, then the removal of the temporary object:

- The temporary object is gone: it was published. It is only removed after that.
- It is there, and the final key exists or has versions (a delete marker included): it was published, and the ERP may
  have taken it.
- It is there, and a versioned bucket never had the final key: it was not published.
- It is there, and a bucket without versions has no final key: it was published and taken, or not published. A mark is
  written before the PUT. Without the mark, the PUT was not sent; with it, the outcome is unknown.
"""

import hashlib
from dataclasses import dataclass

from erp_connectors import faults
from erp_connectors.dropzone_paths import TEMPORARY, folder_of, is_temporary, join, name_of, read_temporary
from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.s3 import answers, signed_put
from erp_connectors.transports.s3.bucket import Bucket, key_of
from erp_connectors.transports.s3.signed_put import PutAnswer
from orderflow.messages import Message

# No reader takes it for an order, and the cleanup of temporary files does not know it.
SENDING = f"sending{TEMPORARY}"


@dataclass(slots=True)
class PutRules:
    """Conditions of the next PUT requests.

    ``versioned``: the bucket keeps versions. ``until`` and ``ahead``: see `signed_put.expiry`. ``conditional``: the
    server has not rejected If-None-Match.
    """

    io_timeout: float
    versioned: bool = False
    until: float | None = None
    ahead: float = 0.0
    conditional: bool = True


def stage(bucket: Bucket, upload: Upload) -> None:
    """Write the object, and compare size and MD5 with what the server has. Raises `Fault` and `answers.ERRORS`."""
    key = key_of(upload.path)
    bucket.put(key, upload.data)
    found = bucket.head(key)
    if found is None:
        if is_temporary(upload.path):
            raise Fault(faults.SIZE_MISMATCH, Message("sftp.not_there"), path=upload.path)
        return  # the ERP took it
    if found.size != len(upload.data):
        sizes = Message("file.size", size=found.size, expected=len(upload.data))
        raise Fault(faults.SIZE_MISMATCH, sizes, path=upload.path)
    own = hashlib.md5(upload.data, usedforsecurity=False).hexdigest()
    if len(found.etag) == len(own) and not found.is_encrypted and found.etag != own:
        raise Fault(faults.SIZE_MISMATCH, Message("s3.checksum"), path=upload.path)


def publish_staged(bucket: Bucket, move: Move, data: bytes, rules: PutRules) -> None:
    """Publish what this worker staged and has not tried to publish before."""
    _write_once(bucket, move, data, rules)
    _remove_staged(bucket, move.source, rules)


def recover(bucket: Bucket, move: Move, rules: PutRules) -> None:
    """Publish, or withdraw, what was staged earlier. Raise `Fault` NOT_FOUND if it was published before."""
    source, final = key_of(move.source), key_of(final_path(move))
    stem = source.removesuffix(TEMPORARY.lstrip("."))
    beside = bucket.keys(stem, most=10)
    if source not in beside:
        raise Fault(faults.NOT_FOUND, path=move.source)
    if bucket.had(final) if rules.versioned else bucket.has(final):
        _remove_staged(bucket, move.source, rules, marked=mark_of(move.source) in beside)
        raise Fault(faults.NOT_FOUND, path=move.source)
    if mark_of(move.source) in beside:
        raise Fault(faults.OUTCOME_UNKNOWN, path=final_path(move))
    data = bucket.get(source, most=staged_size(bucket, source))
    if data is None:
        raise Fault(faults.FOLDER_UNSTABLE, path=move.source)
    publish_staged(bucket, move, data, rules)


def staged_size(bucket: Bucket, key: str) -> int:
    """Return the size of an object that we staged, which is how much may be read."""
    found = bucket.head(key)
    return found.size if found else 0


def final_path(move: Move) -> str:
    """Return the path under which the order of a staged file appears, also if it is to be withdrawn."""
    if not is_temporary(move.target):
        return move.target
    staged = read_temporary(name_of(move.source))
    return join(folder_of(move.source), staged.filename) if staged else move.target


def mark_of(path: str) -> str:
    """Return the key of the mark that the file may have been sent."""
    return key_of(path).removesuffix(TEMPORARY.lstrip(".")) + SENDING


def _write_once(bucket: Bucket, move: Move, data: bytes, rules: PutRules) -> None:
    marked = not rules.versioned and not is_temporary(move.target)
    if marked:
        bucket.put(mark_of(move.source), b"")
    try:
        answer = _put(bucket, move, data, rules)
    except answers.ERRORS as error:
        if marked and _was_not_sent(answers.fault_of(error, move.target)):
            bucket.delete(mark_of(move.source))
        raise
    if not answer.is_done:
        if marked and answer.is_refused and answer.fault("").kind is not faults.NAME_TAKEN:
            bucket.delete(mark_of(move.source))
        raise answer.fault(move.target)


def _put(bucket: Bucket, move: Move, data: bytes, rules: PutRules) -> PutAnswer:
    key = key_of(move.target)
    now = signed_put.now()
    # A withdrawn file is published by no worker, so it may be withdrawn at any time.
    until = None if is_temporary(move.target) else rules.until
    seconds = signed_put.expiry(until=until, io_timeout=rules.io_timeout, ahead=rules.ahead, now=now)
    if seconds < signed_put.SHORTEST:
        raise signed_put.too_late(move.target)
    if not rules.conditional and bucket.has(key):
        return PutAnswer(412, "PreconditionFailed")
    answer = signed_put.put(
        bucket.client, bucket.name, key, data,
        seconds=seconds, until=until, if_absent=rules.conditional,
    )  # fmt: skip
    if rules.conditional and (answer.status == 501 or answer.code in answers.UNSUPPORTED):
        rules.conditional = False
        return _put(bucket, move, data, rules)
    return answer


def _was_not_sent(fault: Fault) -> bool:
    never = (
        faults.CONNECTION_REFUSED,
        faults.CONNECTION_TIMEOUT,
        faults.NAME_NOT_FOUND,
        faults.HOST_NOT_ALLOWED,
    )
    return fault.kind in never or (fault.detail is not None and fault.detail.code == "s3.too_late")


def _remove_staged(bucket: Bucket, path: str, rules: PutRules, *, marked: bool | None = None) -> None:
    """Remove the temporary object first: without it, the mark means nothing."""
    bucket.delete(key_of(path))
    if marked or (marked is None and not rules.versioned):
        bucket.delete(mark_of(path))
