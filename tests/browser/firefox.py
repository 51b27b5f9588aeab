"""Firefox, as Debian brings it, driven by Mozilla's own client of its remote protocol, Marionette.

Playwright needs a Firefox that it has patched itself. Source: https://firefox-source-docs.mozilla.org/testing/marionette/.
"""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab import wait_until

with warnings.catch_warnings():
    # What they use will leave the next Python.
    warnings.simplefilter("ignore", DeprecationWarning)
    from marionette_driver import By
    from marionette_driver.errors import ElementClickInterceptedException
    from marionette_driver.marionette import Marionette

PREFERENCES = {
    # What pages say and throw goes into the log.
    "devtools.console.stdout.content": True,
    "browser.dom.window.dump.enabled": True,
    "intl.accept_languages": "en-GB",
    # Nothing on the browser's own account.
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}
COMPLAINTS = ("JavaScript error: {url}", "console.error:")
NO_FAULTS = ("resource://", "RSLoader", "Unable to preload CSS")
"""Of Firefox itself, and of a page that is left before it has loaded a part of itself."""
TIMEOUT_SECONDS = 20.0


class Firefox:
    """One browser with one user. What is looked for is waited for."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self._log = folder / "firefox.log"
        path = shutil.which("firefox-esr") or shutil.which("firefox")
        self.driver = Marionette(bin=path, headless=True, prefs=PREFERENCES, gecko_log=str(self._log))
        self.driver.start_session()

    def close(self) -> None:
        self.driver.quit(in_app=True)
        self.driver.cleanup()

    def sign_in(self, token: str) -> None:
        self.goto("/favicon.svg")
        status = self.driver.execute_async_script(
            """
            const [token, done] = arguments;
            const headers = { "Content-Type": "application/json" };
            const body = JSON.stringify({ token });
            fetch("/v1/session", { method: "POST", headers, body }).then((answer) => done(answer.status));
            """,
            [token],
        )
        assert status == 200, status

    def goto(self, path: str, lands: str | None = None) -> None:
        """Open the address; it may lead to another one."""

        def is_there() -> bool:
            # A page that writes its state into its address cancels, in Firefox, a load that just began.
            self.driver.navigate(self.url + path)
            found: str = self.evaluate("return location.pathname")
            return found == (lands or path.partition("?")[0])

        wait_until(is_there, timeout_seconds=TIMEOUT_SECONDS, what=f"the page {path}")

    def find(self, css: str, text: str = "") -> Any:
        """The first visible element with this text in it."""
        try:
            return wait_until(lambda: self._found(css, text), timeout_seconds=TIMEOUT_SECONDS, what=f"{css} {text!r}")
        except AssertionError as error:
            error.add_note(self.evaluate("return `${location}\\n${document.body.innerText.slice(0, 2000)}`"))
            raise

    def _found(self, css: str, text: str) -> Any:
        # One question for all: an element that is asked for its text may be gone by then.
        return self.driver.execute_script(
            """
            const shown = (one) => one.checkVisibility() && (one.innerText ?? "").includes(arguments[1]);
            return [...document.querySelectorAll(arguments[0])].find(shown) ?? null;
            """,
            [css, text],
        )

    def click(self, css: str, text: str = "") -> None:
        found = self.find(css, text)
        self.evaluate("arguments[0].scrollIntoView({ block: 'center' })", found)

        def is_clicked() -> bool:
            try:
                found.click()
            except ElementClickInterceptedException:
                # A notice lies on it, and will go.
                return False
            return True

        wait_until(is_clicked, timeout_seconds=TIMEOUT_SECONDS, what=f"a click on {css} {text!r}")

    def fill(self, css: str, text: str) -> None:
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def choose_files(self, css: str, *paths: Path) -> None:
        """Into a field that is hidden behind a button, as the browser's own window does."""
        field = self.driver.find_element(By.CSS_SELECTOR, css)
        self.driver.execute_script("arguments[0].hidden = false", [field])
        field.send_keys("\n".join(map(str, paths)))

    def open_tab(self, path: str) -> str:
        handle: str = self.driver.open("tab")["handle"]
        self.driver.switch_to_window(handle)
        self.goto(path)
        return handle

    def close_other_tabs(self) -> None:
        keep, *others = self.driver.window_handles
        for handle in others:
            self.driver.switch_to_window(handle)
            self.driver.close()
        self.driver.switch_to_window(keep)

    def evaluate(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, list(values))

    def complaints(self) -> Sequence[str]:
        """What pages threw or logged as an error so far."""
        starts = tuple(start.format(url=self.url) for start in COMPLAINTS)
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.startswith(starts) and not any(words in line for words in NO_FAULTS)]
