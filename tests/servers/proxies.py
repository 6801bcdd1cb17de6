"""Real reverse proxies (Debian's packages) in front of a web server on 127.0.0.1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program
from tests.servers.processes import free_port, running, wait_until_listening

# Passes on what deploy/nginx/orderflow.conf does. An ordinary user may not write to the default folders.
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
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size {most};
        location / {{
            proxy_pass http://127.0.0.1:{web};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""
_CADDY = """\
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{web}
}}
"""


@contextmanager
def nginx(folder: Path, web: int, *, most: str = "12m") -> Iterator[int]:
    """Yield its port; it reads a whole body, of at most ``most`` bytes, before it passes it on with its length."""
    program, port = require_program("nginx"), free_port()
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(user=user, folder=folder, port=port, web=web, most=most))
    with _proxy([program, "-e", "stderr", "-c", str(config)], folder, port):
        yield port


@contextmanager
def caddy(folder: Path, web: int) -> Iterator[int]:
    """Yield its port; it passes a chunked body on as it comes."""
    program, port = require_program("caddy"), free_port()
    folder.mkdir(parents=True)
    config = folder / "Caddyfile"
    config.write_text(_CADDY.format(port=port, web=web))
    with _proxy([program, "run", "--config", str(config), "--adapter", "caddyfile"], folder, port):
        yield port


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
