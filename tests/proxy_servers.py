"""Real proxies on free ports of loopback, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

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
"""


@contextmanager
def nginx_server(folder: Path, upstream: str, directives: str = "") -> Iterator[str]:
    """Run nginx in front of ``upstream`` until the end of the block; yield its address. ``folder`` is for its files.

    It has nginx's default settings and ``directives``. Without nginx the test is skipped.
    """
    port = free_port()
    location = f"location / {{ proxy_pass {upstream}; {directives} }}"
    with nginx_serving(folder, port, f"server {{ listen 127.0.0.1:{port}; {location} }}"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx_serving(folder: Path, port: int, configuration: str) -> Iterator[None]:
    """Run nginx with this content of its ``http`` block, which listens on ``port``, until the end of the block."""
    program = program_of("nginx")
    folder.mkdir(exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(CONFIG.format(folder=folder) + configuration + "\n}\n")
    with listening([program, "-c", str(path), "-p", str(folder), "-e", str(folder / "errors")], port, folder):
        yield


@contextmanager
def haproxy_serving(folder: Path, port: int, configuration: str) -> Iterator[None]:
    """Run HAProxy with this configuration, which listens on ``port``, until the end of the block."""
    program = program_of("haproxy")
    folder.mkdir(exist_ok=True)
    path = folder / "haproxy.cfg"
    path.write_text(configuration)
    with listening([program, "-f", str(path)], port, folder):
        yield


def program_of(name: str) -> str:
    """Return the program's path. Without it the test is skipped, except in CI."""
    program = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return program


@contextmanager
def listening(command: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    """Run ``command`` until the end of the block, which begins when it listens on ``port``."""
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text() + "".join(
                    path.read_text() for path in folder.glob("errors")
                )
                assert time.monotonic() < limit, f"{command[0]} does not listen"
                time.sleep(0.01)
            else:
                break
        yield
    finally:
        process.terminate()
        process.wait()
