"""Where handled ack files go, below the ack folder."""

PROCESSED = "processed"
ERROR = "error"
# Behind the name of a file in error/: why it lies there.
REASON_SUFFIX = ".reason.txt"
