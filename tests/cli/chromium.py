"""Headless Chromium over its debugging pipe, with Python's standard library only.

Chromium reads commands from file descriptor 3 and writes answers and events to 4, JSON texts that end with a zero byte
(https://chromedevtools.github.io/devtools-protocol/).
"""
import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time


class Browser:
    def __init__(self):
        program = shutil.which("chromium")
        if not program:
            sys.exit("chromium is missing; scripts/setup test installs it")
        self._profile = tempfile.mkdtemp(prefix="nibble_chromium_")
        atexit.register(shutil.rmtree, self._profile, ignore_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Through a shell, which puts the pipes where Chromium looks for them, whatever their numbers are here.
        command = 'exec "$@" 3<&%d 4>&%d' % (theirs_in, theirs_out)
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir=" + self._profile],
            pass_fds=[theirs_in, theirs_out], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        atexit.register(self.close)
        self._buffer = b""
        self._count = 0
        self._session = None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _message(self, deadline):
        while b"\0" not in self._buffer:
            ready = select.select([self._in], [], [], max(0, deadline - time.monotonic()))[0]
            part = os.read(self._in, 1 << 20) if ready else b""
            if not part:
                sys.exit("chromium does not answer")
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        """Sends a command and returns its result; events that arrive meanwhile are kept in `events`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 120
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        """Loads a file and returns once it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url="file://" + path)
        while self.evaluate("location.protocol + document.readyState") != "file:complete":
            time.sleep(0.05)

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError("%s: %s" % (expression, answer["exceptionDetails"]))
        return answer["result"].get("value")

    def view(self, width, dark=False, media=""):
        """A window `width` wide, in the dark or light scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
