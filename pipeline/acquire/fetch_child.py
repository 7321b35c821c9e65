"""Runs img2dataset on one list: a script for the interpreter of img2dataset's own environment, not a module of ours.

    python -I fetch_child.py ARGUMENTS.json

It calls ``img2dataset.download`` with the arguments of the file, and adds what img2dataset lacks:

- It ends with its whole process group when the program that started it is gone (its standard input closes).
- It does the same when a worker was killed or crashed, for which img2dataset would wait for ever.
- It touches the file ``ESSEN_FETCH_HEARTBEAT`` at each new request, so that a standstill can be told from slow hosts.
- It makes no connection to a private address, whatever a host name or a redirect leads to, unless
  ``ESSEN_FETCH_ALLOWED`` is this ``host:port`` or ``any``.

img2dataset's workers import this file again, so what stands at the top applies to them as well.
"""

import ipaddress
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ALLOWED = os.environ.get("ESSEN_FETCH_ALLOWED", "")
HEARTBEAT = os.environ.get("ESSEN_FETCH_HEARTBEAT", "")


def proxy_addresses() -> set[str]:
    """Return the addresses of the proxies that the environment names: they may be private."""
    found: set[str] = set()
    for proxy in urllib.request.getproxies().values():
        host = urlsplit(proxy).hostname
        if host:
            try:
                found.update(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))
            except OSError:
                continue
    return found


PROXIES = proxy_addresses()


def is_allowed(address: tuple[Any, ...]) -> bool:
    """Tell whether a connection to (host, port, …) may be made."""
    host, port = address[0], address[1]
    if ALLOWED == "any" or f"{host}:{port}" == ALLOWED or host in PROXIES:
        return True
    ip = ipaddress.ip_address(host.split("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_global and not ip.is_multicast


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections to private addresses, and note each new request (an audit hook of the interpreter)."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not is_allowed(arguments[1]):
        raise PermissionError(f"private address {arguments[1][0]}")
    if event == "urllib.Request" and HEARTBEAT:
        Path(HEARTBEAT).touch()


def end_with_parent() -> None:
    """Wait until standard input closes, then end the whole process group."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def end_with_worker() -> None:
    """Wait until a worker ends otherwise than by itself or by img2dataset's own SIGTERM, then end the whole group."""
    workers: set[Any] = set()
    while all(worker.exitcode in (None, 0, -signal.SIGTERM) for worker in workers):
        time.sleep(0.5)
        workers.update(multiprocessing.active_children())
    os.killpg(0, signal.SIGKILL)


sys.addaudithook(watch)

if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=end_with_worker, daemon=True).start()
    from img2dataset import download

    download(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
