"""The codes of the API, as choices of serializer fields; the description names each enumeration (settings)."""

from erp_connectors.faults import FAULT_KINDS
from erp_connectors.states import Stage
from orderflow.orders.warning_codes import Code as OrderWarningCode

FAULT_CODES = [(code, code) for code in FAULT_KINDS]
WARNING_CODES = [(code.value, code.value) for code in OrderWarningCode]
STAGES = [(stage.value, stage.value) for stage in Stage]
