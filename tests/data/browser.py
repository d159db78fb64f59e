"""A Chromium that tests steer over its own pipe: no driver, no port."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_S = 30.0
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"),
    *("--no-first-run", "--remote-debugging-pipe", "about:blank"),
)


class Browser:
    """One page of it.

    Attributes:
        complaints: what its console said: errors, and what the page's policy forbade.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._rest, self._number = commands, answers, b"", 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the DevTools protocol."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (told := self._next()).get("id") != self._number:
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(told["params"]))
        assert "error" not in told, told
        return told["result"]

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.until(lambda: self.run("document.readyState") == "complete")

    def fill(self, **texts: str) -> None:
        """Put texts into fields, by id."""
        for name, text in texts.items():
            self.run(f"document.getElementById({json.dumps(name)}).value = {json.dumps(text)}")

    def press(self, key: str) -> None:
        code = {"Tab": 9, "Enter": 13}[key]
        more = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more
            )

    def photograph(self, file: Path, width: int, *, is_dark: bool = False) -> None:
        """The whole page as a picture, at this width."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)
        self.resize(width)
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def resize(self, width: int) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)

    def until(self, holds: Callable[[], bool]) -> None:
        began_s = time.monotonic()
        while not holds():
            assert time.monotonic() - began_s < PATIENCE_S, self.run("document.body.innerText")
            time.sleep(0.05)

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        told, _, self._rest = self._rest.partition(b"\0")
        return json.loads(told)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start one whose profile lies in this folder, and end it."""
    assert CHROMIUM
    # It reads commands from its file 3 and writes answers to its file 4.
    shell = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
    command = ["sh", "-c", shell, "sh", CHROMIUM, *FLAGS, f"--user-data-dir={folder}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Browser(process.stdin.fileno(), process.stdout.fileno())
        finally:
            process.terminate()
            process.wait(20)
