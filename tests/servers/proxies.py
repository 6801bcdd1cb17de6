"""Real reverse proxies (Debian's packages) with the configuration in deploy/, in front of a server on 127.0.0.1.

What differs: plain HTTP on a free port, announced to the server as https.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program
from tests.servers.processes import free_port, running, wait_until_listening

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# An ordinary user may not write to the default folders.
_NGINX = """\
{user}
daemon off;
pid "{folder}/pid";
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    {shipped}
}}
"""


@contextmanager
def nginx(folder: Path, web: int, **changes: str) -> Iterator[int]:
    """Yield its port. ``changes``: directives with another value, such as ``client_max_body_size="1m"``."""
    program, port = require_program("nginx"), free_port()
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(user=user, folder=folder, shipped=_shipped_nginx(port, web, changes)))
    with _proxy([program, "-e", "stderr", "-c", str(config)], folder, port):
        yield port


def _shipped_nginx(port: int, web: int, changes: dict[str, str]) -> str:
    text = (DEPLOY / "nginx" / "orderflow.conf").read_text()
    text = re.sub(r"server \{\s+listen 80;.*?\n\}\n", "", text, flags=re.DOTALL)
    text = re.sub(r"\n    ssl_\w+ [^\n]*", "", text).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{web}").replace("$scheme;", "https;")
    for name, value in changes.items():
        text, found = re.subn(rf"\b{name} [^;]*;", f"{name} {value};", text)
        assert found, name
    return text.replace("include proxy_params", "include /etc/nginx/proxy_params")


@contextmanager
def caddy(folder: Path, web: int, **changes: str) -> Iterator[int]:
    """Yield its port. ``changes``: as for `nginx`."""
    program, port = require_program("caddy"), free_port()
    folder.mkdir(parents=True)
    config = folder / "Caddyfile"
    config.write_text(_shipped_caddy(port, web, _version(program), changes))
    with _proxy([program, "run", "--config", str(config), "--adapter", "caddyfile"], folder, port):
        yield port


def _shipped_caddy(port: int, web: int, version: tuple[int, ...], changes: dict[str, str]) -> str:
    text = (DEPLOY / "compose" / "Caddyfile").read_text()
    text = text.replace("{$SITE_NAME} {", f"http://127.0.0.1:{port} {{\n\tbind 127.0.0.1", 1)
    text = text.replace("admin off", "admin off\n\tauto_https off", 1)
    text = text.replace("web:8000 {", f"127.0.0.1:{web} {{\n\t\theader_up X-Forwarded-Proto https", 1)
    if version < (2, 7):
        text = text.replace("request_buffers ", "buffer_requests\n\t\tmax_buffer_size ")
    for name, value in changes.items():
        text, found = re.subn(rf"\b{name} .*", f"{name} {value}", text)
        assert found, name
    return text


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


@contextmanager
def _proxy(command: list[str], folder: Path, port: int) -> Iterator[None]:
    homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    log = folder / "log"
    with (
        log.open("wb") as output,
        running(command, env={**os.environ, **homes}, stdout=output, stderr=output) as process,
    ):
        wait_until_listening(process, port, log=log)
        yield
