"""A page in headless Chromium, spoken to by the DevTools protocol: what it asks for, complains of, and looks like."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 60.0  # seconds for any one answer
NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """A tab. Events of the page opened last are in `events`."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            answer = json.loads(self._socket.recv(timeout=DEADLINE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, page: Path, *, width: int, dark: bool) -> None:
        """Open a file and wait until it has loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.absolute().as_uri())
        end = time.monotonic() + DEADLINE
        while "Page.loadEventFired" not in [event["method"] for event in self.events]:
            assert time.monotonic() < end, f"{page} does not load"
            self.value("0")

    def value(self, script: str) -> Any:
        """Return what a script gives."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def asked(self) -> list[str]:
        """Return the addresses that the page has asked for, itself among them."""
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Return what stands on the console, and what was thrown."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"]) for event in self.events if event["method"] in kinds]

    def picture(self, path: Path, *, top: int = 0, height: int = 1_800) -> None:
        """Write what is seen from `top` on, in pixels of the page, as a PNG file."""
        clip = {"x": 0, "y": top, "width": self.value("innerWidth"), "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium with a profile of its own; skip the test where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium here (Debian package chromium) to look at pages with")
    connect = pytest.importorskip("websockets.sync.client", reason="websockets speaks to Chromium").connect
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
        ]
        process = subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port, path = _address(Path(profile, "DevToolsActivePort"))
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(DEADLINE)


def _address(file: Path) -> tuple[str, str]:
    end = time.monotonic() + DEADLINE
    while not (file.is_file() and len(lines := file.read_text().split()) == 2):
        assert time.monotonic() < end, "Chromium does not start"
        time.sleep(0.05)
    return lines[0], lines[1]
