#!/usr/bin/env python3
"""Take order files into an ERP, and answer each. Python 3.6 or newer, nothing to install, any system.

    read_orders.py EXPORT_FOLDER ACK_FOLDER PROGRAM [ARGUMENT ...]

PROGRAM is called with the path of one order file behind its arguments. It prints the ERP's order number and ends with
exit code 0; or it prints why the order is refused and ends with 1; any other code means "not now", and the order is
tried again by the next run. Where it has seen the file's draft_order_id before, it prints the same number as then: a
machine that dies between the import and the answer makes us ask again.

Exit code 0: every order has its answer; 1: some wait for the next run. Run it every minute; a second one ends at once.
"""

import json
import os
import subprocess
import sys
from datetime import datetime, timezone


def main(export_folder, ack_folder, program):
    taken, done = os.path.join(export_folder, "taken"), os.path.join(export_folder, "done")
    for folder in (taken, done):
        os.makedirs(folder, exist_ok=True)
    with open(os.path.join(taken, ".lock"), "w") as lock:
        if not only_one(lock):
            return 0
        for name in orders_in(export_folder):
            # Out of the way first: whatever lies in taken/ is ours, and a later run goes on with it.
            os.replace(os.path.join(export_folder, name), os.path.join(taken, name))
        waiting = 0
        for name in orders_in(taken):
            answer = ask(program, os.path.join(taken, name))
            if answer is None:
                waiting += 1
                continue
            prefix = "ack_" if answer["status"] == "ACKED" else "error_"
            write(os.path.join(ack_folder, prefix + name), answer)
            os.replace(os.path.join(taken, name), os.path.join(done, name))
    return 1 if waiting else 0


def orders_in(folder):
    """Only .json files: what ends in .tmp is still being written, and test_connection_ files are no orders."""
    names = (entry.name for entry in os.scandir(folder) if entry.is_file())
    return sorted(name for name in names if name.endswith(".json") and name.startswith("sales_order_"))


def ask(program, path):
    """The answer to one order; None where it has to wait."""
    ran = subprocess.run([*program, path], stdout=subprocess.PIPE)
    said = ran.stdout.decode("utf-8", "replace").strip()
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if ran.returncode == 0 and 0 < len(said) <= 255:
        return {"status": "ACKED", "erp_order_id": said, "processed_at": now}
    if ran.returncode == 1 and said:
        return {
            "status": "FAILED",
            "error_code": "ERP_VALIDATION",
            "message": said[:2000],
            "processed_at": now,
        }
    print("%s waits: exit code %s, %r" % (path, ran.returncode, said), file=sys.stderr)
    return None


def write(path, answer):
    """Whole under another name, on the disk, then renamed: nobody reads half an answer."""
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        json.dump(answer, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def only_one(lock):
    """A lock that the system takes back when we die."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
