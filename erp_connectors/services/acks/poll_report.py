"""The result of one poll, as `poll_acks` prints it."""

from uuid import UUID

import msgspec

from erp_connectors.models import AckFile
from erp_connectors.states import AckFileStatus


class PollReport(msgspec.Struct):
    """Counts of ack files. ``others`` were left alone, because they answer orders of other orgs.

    ``more``: the time of the poll ended before the folder did.
    """

    connection_id: UUID
    listed: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    conflicts: int = 0
    unmatched: int = 0
    malformed: int = 0
    waiting: int = 0
    moved: int = 0
    others: int = 0
    misnamed: list[str] = msgspec.field(default_factory=list)
    misnamed_more: int = 0
    error: str = ""
    busy: bool = False
    more: bool = False

    def lines(self) -> list[str]:
        if self.busy:
            return [f"{self.connection_id}: another worker is polling"]
        counts = [
            f"{value} {'conflict' if name == 'conflicts' and value == 1 else name}"
            for name in ("accepted", "refused", "repeated", "conflicts", "unmatched", "malformed", "waiting")
            if (value := getattr(self, name))
        ]
        files = "1 ack file" if self.listed == 1 else f"{self.listed} ack files"
        done = f"{self.connection_id}: {files}" + (f": {', '.join(counts)}" if counts else "")
        done += f"; {self.others} of other orgs" if self.others else ""
        error = [f"  error: {self.error}"] if self.error else []
        misnamed = [f"  wrong name: {line}" for line in self.misnamed]
        misnamed += [f"  and {self.misnamed_more} more with a wrong name"] if self.misnamed_more else []
        return [done, *error, *misnamed, *(["  there are more"] if self.more else [])]

    def count(self, row: AckFile) -> None:
        match row.status:
            case AckFileStatus.APPLIED if (row.answer_json or {}).get("accepted") is False:
                self.refused += 1
            case AckFileStatus.APPLIED:
                self.accepted += 1
            case AckFileStatus.REPEATED:
                self.repeated += 1
            case AckFileStatus.CONFLICT:
                self.conflicts += 1
            case AckFileStatus.UNMATCHED:
                self.unmatched += 1
            case AckFileStatus.MALFORMED:
                self.malformed += 1
            case _:
                self.waiting += 1
