"""A server of a folder for tests and measurements, which sends files as the public servers do."""
import functools
import gzip
import http.server
import threading
from pathlib import Path

pack = functools.lru_cache(100)(gzip.compress)  # the same files are asked for again and again


class Handler(http.server.SimpleHTTPRequestHandler):
    """A static server as the public ones are: gzip, connections kept open, a lifetime, any origin, 404.html."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self, path: Path) -> bytes:
        """What to send for a file."""
        return path.read_bytes()

    def do_GET(self):
        path, status = Path(self.translate_path(self.path)), 200
        if not path.is_file():
            path, status = Path(self.directory, "404.html"), 404
        if not path.is_file():
            return self.send_error(404)
        data, kind = self.body(path), self.guess_type(str(path))
        headers = {"Content-Type": kind, "Cache-Control": "max-age=600", "Access-Control-Allow-Origin": "*"}
        if any(word in kind for word in ("text", "javascript", "json", "svg")):
            data, headers["Content-Encoding"] = pack(data, 6), "gzip"
        self.send_response(status)
        for key, value in {**headers, "Content-Length": len(data)}.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(data)
        return None


def serve(folder: Path, handler=Handler) -> http.server.ThreadingHTTPServer:
    """A running server of a folder on a free port of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
