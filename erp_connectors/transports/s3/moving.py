"""Move objects: copy, compare, then delete the source.

A worker that dies after the copy leaves both. The next move finds the same content at the target and deletes the
source. The source is deleted only if it is unchanged, so an answer that the ERP wrote meanwhile stays.
"""

from botocore.exceptions import ClientError

from erp_connectors import faults
from erp_connectors.faults import Fault
from erp_connectors.port_types import Move
from erp_connectors.transports.s3 import answers
from erp_connectors.transports.s3.bucket import Bucket, ObjectState, key_of
from orderflow.messages import Message


def move(bucket: Bucket, one: Move) -> None:
    """Raise `Fault` NOT_FOUND without a source, NAME_TAKEN if the target has another content; or `answers.ERRORS`."""
    source, target = key_of(one.source), key_of(one.target)
    found = bucket.head(source)
    if found is None:
        if bucket.has(source):
            raise Fault(faults.FOLDER_UNSTABLE, path=one.source)
        raise Fault(faults.NOT_FOUND, path=one.source)
    copied = bucket.head(target)
    if copied is None:
        _copy(bucket, one, found)
        copied = bucket.head(target)
        if copied is None or copied.size != found.size:
            raise Fault(faults.SIZE_MISMATCH, Message("sftp.not_there"), path=one.target)
    elif not _is_same(found, copied):
        raise Fault(faults.NAME_TAKEN, path=one.target)
    try:
        bucket.delete(source, etag=found.etag)
    except ClientError as error:
        if answers.fault_of(error, one.source).kind is faults.NAME_TAKEN:  # that is: changed meanwhile
            raise Fault(faults.FOLDER_UNSTABLE, path=one.source) from None
        raise


def _copy(bucket: Bucket, one: Move, found: ObjectState) -> None:
    source, target = key_of(one.source), key_of(one.target)
    try:
        bucket.copy(source, target, found.etag, if_absent=True)
    except ClientError as error:
        if not answers.is_unsupported(error):
            if answers.fault_of(error, "").kind is faults.NAME_TAKEN:
                # Either condition failed: the target appeared, or the source changed.
                raise Fault(faults.NAME_TAKEN, path=one.target) from None
            raise
        bucket.copy(source, target, found.etag, if_absent=False)


def _is_same(one: ObjectState, other: ObjectState) -> bool:
    return bool(one.etag) and (one.size, one.etag) == (other.size, other.etag)
