"""Servers of the built book that the tests can look into: they replace files, and keep what went wrong in a page."""
from contextlib import contextmanager

import server

PREFIX = "/some/path/"  # a book must work wherever it lies
WATCH = b"""<script>
window.seen = [];
addEventListener("error", ({message, target}) => {  // Firefox fetches the next page, but none that it cannot keep
  if (target.rel != "next") seen.push(message ?? `not loaded: ${target.src ?? target.href}`);
}, true);
addEventListener("unhandledrejection", e => seen.push(`rejected: ${e.reason}`));
for (const kind of ["error", "warn"]) console[kind] = (...said) => seen.push(`console: ${said.join(" ")}`);
</script>"""


class Handler(server.Handler):
    """A server below a path, which sends what `site.put` holds in place of a file."""

    def translate_path(self, path):
        return super().translate_path(path.removeprefix(PREFIX) if path.startswith(PREFIX) else "nothing")

    def body(self, path):
        return self.server.put.get(path.relative_to(self.directory).as_posix()) or super().body(path)


class Watched(Handler):
    """A server that puts WATCH into its pages, lets nothing be cached, and keeps in `failed` what it could not send."""

    def body(self, path):
        data = super().body(path)
        return data.replace(b"<head>", b"<head>" + WATCH, 1) if path.suffix == ".html" else data

    def send_header(self, key, value):
        super().send_header(key, "no-cache" if key == "Cache-Control" else value)

    def send_response(self, code, *rest):
        if code >= 400 and self.path != "/favicon.ico":  # which a browser asks for by itself, at any time
            self.server.failed.append(f"{code} {self.path}")
        super().send_response(code, *rest)


@contextmanager
def serving(folder, handler):
    """A running server of a folder: its `url` ends in a slash, `put` is {file: bytes to send in its place}."""
    running = server.serve(folder, handler)
    running.put, running.failed, running.folder = {}, [], folder
    running.url = f"http://127.0.0.1:{running.server_port}{PREFIX}"
    yield running
    running.shutdown()
