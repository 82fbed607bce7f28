"""A real nginx on a free port of loopback, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.redis_server import free_port

START_SECONDS = 20.0

CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {upstream}; {directives} }}
  }}
}}
"""


@contextmanager
def nginx_server(folder: Path, upstream: str, directives: str = "") -> Iterator[str]:
    """Run nginx in front of ``upstream`` until the end of the block; yield its address. ``folder`` is for its files.

    It has nginx's default settings and ``directives``. Without nginx the test is skipped.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        assert not os.environ.get("CI"), "nginx is not installed"
        pytest.skip("nginx is not installed")
    folder.mkdir(exist_ok=True)
    port = free_port()
    path = folder / "nginx.conf"
    path.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream, directives=directives))
    process = subprocess.Popen([program, "-c", path, "-p", folder, "-e", folder / "errors"], stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                assert process.poll() is None, (folder / "errors").read_text()
                assert time.monotonic() < limit, "nginx does not listen"
                time.sleep(0.01)
            else:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
