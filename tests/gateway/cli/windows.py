"""Run the command line almost as on Windows: ``python -m tests.gateway.cli.windows export --help``.

Other libraries are imported first: their code for Windows needs Windows. Then everything is
removed that Python lacks there, and ``sys.platform`` becomes ``win32``.
"""

from __future__ import annotations

import ast
import asyncio
import fcntl
import importlib
import os
import signal
import socket
import sys
import time
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
FILES = sorted(path for folder in ("gateway", "schema") for path in (ROOT / folder).rglob("*.py"))

# https://docs.python.org/3/library: "Availability: Unix", or "not Windows".
MODULES = (
    *("crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource", "spwd"),
    *("syslog", "termios", "tty", "_posixshmem", "_posixsubprocess", "uvloop"),
)
ATTRIBUTES: dict[Any, str] = {
    os: "chown chroot confstr ctermid fchdir fchmod fchown fork forkpty fpathconf fstatvfs getegid geteuid getgid"
    " getgroups getloadavg getpgid getpgrp getpriority getresuid getsid getuid getxattr killpg lchown listxattr lockf"
    " mkfifo mknod nice openpty pathconf pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv"
    " pwrite pwritev readv register_at_fork removexattr sched_getaffinity sched_setaffinity sched_yield sendfile"
    " setegid seteuid setgid setgroups setpgid setpriority setsid setuid setxattr statvfs sync sysconf tcgetpgrp"
    " tcsetpgrp uname wait wait3 wait4 waitid writev"
    " O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC",
    signal: "alarm getitimer pause pthread_kill pthread_sigmask setitimer sigpending siginterrupt"
    " sigtimedwait sigwait sigwaitinfo SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGUSR1 SIGUSR2"
    " SIG_BLOCK SIG_SETMASK SIG_UNBLOCK",
    socket: "AF_UNIX MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_PEERCRED SO_REUSEPORT TCP_USER_TIMEOUT recv_fds send_fds",
    asyncio: "open_unix_connection start_unix_server",
    time: "clock_gettime clock_settime pthread_getcpuclockid tzset CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_REALTIME",
}


def import_foreign_modules() -> None:
    """Import every module of the standard library and of others that the gateway's files name."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                # A name may be a separate module.
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                if name.partition(".")[0] not in ("gateway", "schema", *MODULES, "msvcrt"):
                    try:
                        importlib.import_module(name)
                    except ImportError:  # an extra, or another Python's
                        continue


def become_windows() -> None:
    """Remove what Windows lacks. Moving and deleting open files fails."""
    lock_file = fcntl.flock
    # Event loops need a pair of sockets; on Windows it is made of TCP.
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)
    # Since Python 3.13 it calls what is removed below; on Windows it is this.
    vars(os)["process_cpu_count"] = os.cpu_count
    for module, names in ATTRIBUTES.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # makes the import fail
    sys.modules["msvcrt"] = _msvcrt(lock_file)
    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, _for_closed_files(getattr(os, name)))
    asyncio.ProactorEventLoop = asyncio.SelectorEventLoop  # type: ignore[attr-defined]
    asyncio.SelectorEventLoop.add_signal_handler = _not_implemented  # type: ignore[method-assign,assignment]
    sys.platform = "win32"


def _not_implemented(*_: Any) -> None:
    raise NotImplementedError


def _msvcrt(lock_file: Callable[[int, int], None]) -> types.ModuleType:
    module = types.ModuleType("msvcrt")

    def locking(descriptor: int, mode: int, size_bytes: int) -> None:
        assert (mode, size_bytes) == (2, 1)
        lock_file(descriptor, 2 | 4)  # LOCK_EX | LOCK_NB

    vars(module).update(LK_NBLCK=2, locking=locking)
    return module


def _for_closed_files(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*paths: Any, **options: Any) -> Any:
        opened = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        places = {os.path.realpath(link) for link in opened}
        for path in paths:
            if os.path.realpath(path) in places:
                # ERROR_SHARING_VIOLATION
                raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
        return function(*paths, **options)

    return call


def import_own_modules() -> None:
    """Import every module of the gateway, and show the help of each command."""
    for path in FILES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    commands = importlib.import_module("gateway.cli.main").commands
    for name in commands.commands:
        commands.main([name, "--help"], prog_name="gateway", standalone_mode=False)


if __name__ == "__main__":
    import_foreign_modules()
    become_windows()
    # Windows' own encoding is not UTF-8.
    warnings.filterwarnings("error", category=EncodingWarning, module="gateway|schema")
    if sys.argv[1:] == ["import"]:
        import_own_modules()
    else:
        importlib.import_module("gateway.__main__").main()
