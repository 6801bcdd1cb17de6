"""Decimals as the database holds them, never rounded."""

from decimal import Decimal

from erp_connectors.faults import RENDER_FAILED, Fault
from orderflow.messages import Message, register

QTY_STEP = Decimal("0.001")
PRICE_STEP = Decimal("0.0001")

register(
    {
        "render.not_a_number": "Line %(line)s: %(field)s is not a number.",
        "render.too_many_decimals": "Line %(line)s: %(field)s %(value)s has more decimals than the format carries.",
    }
)


def exact(value: Decimal, step: Decimal, line_no: int, field: str) -> Decimal:
    """Return the value with the decimals of ``step``. Raises `Fault` RENDER_FAILED if that would change it.

    A fixed scale keeps encoders from writing 1E+3.
    """
    if not value.is_finite():
        raise Fault(RENDER_FAILED, Message("render.not_a_number", line=line_no, field=field))
    scaled = value.quantize(step)
    if scaled != value:
        raise Fault(
            RENDER_FAILED, Message("render.too_many_decimals", line=line_no, field=field, value=str(value))
        )
    return scaled
