"""gunicorn's own settings: `gunicorn --config python:orderflow.gunicorn_conf orderflow.wsgi`.

The process that reads them outlives an upgrade by `systemctl reload`, and its new workers have what it has imported. So
nothing of ours and of structlog may be imported here: a new worker would run on the old version of it.
"""

import json
import logging
import os
import resource
import sys
from datetime import UTC, datetime

# A core would hold the master key; workers have the limit from the process that reads this.
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
# Whoever runs the service could steer it there; systemd and signals do that already.
control_socket_disable = True
# Threads for clients, and threads for the application: orderflow/gunicorn_worker.py says why.
worker_class = "orderflow.gunicorn_worker.Worker"
threads = 128
# A client takes one file descriptor. Left are one for each thread, as a long answer is in a temporary file, and 128 for
# large bodies, connections of the application and logs. 1,024 is the usual limit, and all that select() can handle.
_FILES = 1024
worker_connections = _FILES - threads - 128
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if _hard != resource.RLIM_INFINITY and _hard < _FILES:
    raise RuntimeError(
        f"The web server needs {_FILES} open files; {_hard} are allowed. Raise LimitNOFILE or ulimit -n."
    )
if _soft != resource.RLIM_INFINITY and _soft < _FILES:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _hard))
# A file is passed on like any other answer.
sendfile = False
# Each request has one line of ours, with its ids; gunicorn's would say it again.
accesslog = None


class Structured(logging.Formatter):
    """One JSON object a line, with the fields that every other line of OrderFlow's log has."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": record.name,
            "pid": record.process,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _is_json() -> bool:
    """Return True if `LOG_FORMAT` of orderflow.settings is JSON."""
    for_people = os.environ.get("ORDERFLOW_ENV") == "development" or sys.stderr.isatty()
    return (os.environ.get("LOG_FORMAT") or ("console" if for_people else "json")) == "json"


if _is_json():
    logconfig_dict = {
        "formatters": {"structured": {"()": Structured}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"level": "INFO", "handlers": []},
        "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False}},
    }
