"""Firefox and WebKit, each as a Selenium driver. A picture of a page, to look at:

    python tests/engines.py ENGINE ADDRESS PICTURE.png [WIDTH]

Selenium drives WebKit through Debian's WebKitWebDriver, below Xvfb. For Firefox it wants geckodriver, which Debian 12
lacks; but that only hands its commands on to Firefox over Marionette, and so does the class here.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.remote.command import Command

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
XVFB, DRIVER = shutil.which("Xvfb"), shutil.which("WebKitWebDriver")
# Per engine: Debian's packages, and where what each brings is found
NEEDS = {"firefox": {"firefox-esr": FIREFOX}, "webkit": {"xvfb": XVFB, "webkit2gtk-driver": DRIVER}}
HEIGHT = 900  # pixels of the window
MARIONETTE = {
    Command.NEW_SESSION: "WebDriver:NewSession", Command.GET: "WebDriver:Navigate",
    Command.GET_CURRENT_URL: "WebDriver:GetCurrentURL", Command.REFRESH: "WebDriver:Refresh",
    Command.GO_BACK: "WebDriver:Back", Command.W3C_EXECUTE_SCRIPT: "WebDriver:ExecuteScript",
    Command.W3C_EXECUTE_SCRIPT_ASYNC: "WebDriver:ExecuteAsyncScript", Command.SET_TIMEOUTS: "WebDriver:SetTimeouts",
    Command.W3C_ACTIONS: "WebDriver:PerformActions", Command.SET_WINDOW_RECT: "WebDriver:SetWindowRect",
    Command.SCREENSHOT: "WebDriver:TakeScreenshot",
}


def missing(engine: str) -> list[str]:
    """The packages of Debian that an engine needs and this machine lacks."""
    return [package for package, program in NEEDS[engine].items() if not program]


class Marionette:
    """What Selenium takes for a connection to a driver; it speaks to Firefox itself, `length:[0, id, name, {…}]`."""

    def __init__(self, port: int):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.receive()  # the greeting

    def receive(self):
        length = b""
        while (digit := self.stream.read(1)).isdigit():
            length += digit
        return json.loads(self.stream.read(int(length)))

    def execute(self, command, params):
        if command == Command.NEW_SESSION:
            params = params["capabilities"]["alwaysMatch"]
        if command == Command.SCREENSHOT:
            params = {"full": False}  # what is in the window, as WebKit's
        message = json.dumps([0, 0, MARIONETTE[command], params]).encode()
        self.stream.write(b"%d:%b" % (len(message), message))
        self.stream.flush()
        _, _, error, value = self.receive()
        if error:
            return {"status": 500, "value": json.dumps({"value": error})}
        return value if isinstance(value, dict) and "value" in value else {"value": value}


@contextmanager
def firefox(dark: bool):
    options = webdriver.FirefoxOptions()
    prefs = {"marionette.port": 0, "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
             "ui.prefersReducedMotion": 1, "browser.shell.checkDefaultBrowser": False,
             "datareporting.policy.dataSubmissionEnabled": False, "app.update.auto": False,
             "browser.sessionhistory.max_total_viewers": 0}  # Back loads the page again
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        Path(profile, "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n"
                                                    for k, v in prefs.items()))
        process = subprocess.Popen([FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", profile],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port, end = Path(profile, "MarionetteActivePort"), time.monotonic() + 120
            while not (port.exists() and port.read_text()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{FIREFOX}: no Marionette, exit status {process.poll()}")
                time.sleep(0.1)
            yield webdriver.Remote(Marionette(int(port.read_text())), options=options)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def webkit(dark: bool):
    screen = subprocess.Popen([XVFB, "-displayfd", "1", "-screen", "0", "2000x1200x24", "-nolisten", "tcp"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        env = {**os.environ, "DISPLAY": f":{screen.stdout.readline().strip()}",
               "GTK_THEME": "Adwaita:dark" if dark else "Adwaita"}
        options = webdriver.WebKitGTKOptions()
        options.binary_location = glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")[0]
        options.add_argument("--automation")
        options.add_argument("--enable-page-cache=false")  # Back loads the page again
        driver = webdriver.WebKitGTK(options, webdriver.WebKitGTKService(DRIVER, env=env))
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        screen.terminate()
        screen.wait()


@contextmanager
def launch(engine: str, dark: bool = False):
    """A driver of a browser that has just started, its window 1280 pixels wide."""
    with {"firefox": firefox, "webkit": webkit}[engine](dark) as driver:
        resize(driver, 1280)
        yield driver


def resize(driver, width: int):
    """Make the page this wide; the window is wider by its frame. WebKit's is at least 447 pixels wide."""
    frame = driver.execute_script("return [outerWidth - innerWidth, outerHeight - innerHeight]")
    driver.set_window_rect(width=width + frame[0], height=HEIGHT + frame[1])


def main():
    engine, address, picture, *width = sys.argv[1:]
    with launch(engine) as driver:
        resize(driver, int(*width or ["1280"]))
        driver.get(address)
        driver.save_screenshot(picture)


if __name__ == "__main__":
    main()
