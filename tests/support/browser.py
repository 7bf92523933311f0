"""A real browser, headless: Debian's chromium through its chromedriver, over plain WebDriver."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window; use it in a `with`. `requests` and `console` tell what happened since opening."""

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert CHROMIUM is not None
        assert DRIVER is not None
        self.driver = subprocess.Popen(
            [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.base = f"http://127.0.0.1:{port}"
        self._wait()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chrome = {"binary": CHROMIUM, "args": [*flags, f"--window-size={width},{height}"]}
        wanted = {
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        found = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{found['sessionId']}"

    def _wait(self) -> None:
        for _ in range(150):
            try:
                self._call("GET", "/status")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        raise TimeoutError("chromedriver does not answer")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, page: Path) -> None:
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a script returns."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", "/execute/sync", body)

    def hover(self, selector: str, *more: dict[str, Any]) -> None:
        """Move the pointer onto the first element that the selector finds."""
        where = {"using": "css selector", "value": selector}
        element = {ELEMENT: self._call("POST", "/element", where)[ELEMENT]}
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        move = {"type": "pointerMove", "origin": element, "x": 0, "y": 0}
        pointer = {"type": "pointer", "id": "mouse", "actions": [move, *more]}
        self._call("POST", "/actions", {"actions": [pointer]})

    def click(self, selector: str) -> None:
        """Press the first element that the selector finds."""
        self.hover(selector, *({"type": f"pointer{way}", "button": 0} for way in ("Down", "Up")))

    def resize(self, width: int, height: int) -> None:
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def tell(self, command: str, **parameters: Any) -> Any:
        """A command of Chrome's own protocol; its result."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def viewport(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Show the page so wide, in a light or a dark scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", media="", features=[scheme])

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self) -> bytes:
        """The page as PDF, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        return base64.b64decode(self.tell("Page.printToPDF", printBackground=True, **paper)["data"])

    def console(self) -> list[str]:
        """Messages of the console so far."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Addresses that were asked for so far."""
        log = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in log]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(30)
