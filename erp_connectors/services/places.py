"""Where handled ack files go, below the ack folder."""

PROCESSED = "processed"
ERROR = "error"
