"""What the tests of the import share: files, and the command run on them."""

import io
from pathlib import Path

from django.core.management import CommandError, call_command

HEADER = "external_order_number,erp_customer_number,order_date,currency,internal_sku,qty,uom,unit_price"


def csv_file(folder, *rows, header=HEADER, name="orders.csv", encoding="utf-8"):
    path = Path(folder) / name
    path.write_bytes("\n".join([header, *rows, ""]).encode(encoding))
    return path


def run(path, *arguments, org="acme"):
    """Exit code, what was said on stdout, what on stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_orders", str(path), "--org", org, *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue(), err.getvalue() + str(error)
    return 0, out.getvalue(), err.getvalue()
