"""The answers of the ERP. `tools.bench.against` lets the bench of another commit write the same ones."""

import json
from collections.abc import Sequence
from pathlib import Path


def write_acks(folder: Path, names: Sequence[str]) -> int:
    """Accept order files. Each answer has an ERP number of its own: the same number twice would be doubtful."""
    for name in names:
        number = f"SO-{Path(name).stem}"
        body = {"status": "ACKED", "erp_order_id": number, "processed_at": "2026-11-23T10:00:00Z"}
        (folder / f"ack_{name}").write_text(json.dumps(body))
    return len(names)
