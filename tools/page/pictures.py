"""Pictures have their size and become lossless WebP, and the frames of explorables become files."""
import base64
import hashlib
import io
import re
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.writers.html5 import HTML5Translator

from page.cache import cached

FRAMES = re.compile(r"data:image/webp;base64,([\w+/=]+)")


def visit_image(translator, node):
    """With the size of the picture, so that nothing moves when it arrives; below the first one, only when near.

    A picture that a phone shows small is a link to itself, where two fingers enlarge it.
    """
    uri, known = node["uri"], translator.builder.images
    path, first, wide = Path(translator.builder.srcdir, uri), not hasattr(translator, "has_picture"), False
    translator.has_picture = True
    attributes = 'decoding="async"' + ("" if first else ' loading="lazy"')
    if path.suffix in {".png", ".jpg", ".jpeg", ".webp"} and path.is_file():
        with Image.open(path) as picture:
            attributes += f' width="{picture.width}" height="{picture.height}"'
            wide = picture.width > 400
    if path.suffix == ".png" and uri in known:  # Sphinx copies it under this name, encode() encodes it again
        known[uri] = Path(known[uri]).with_suffix(".webp").name
    HTML5Translator.visit_image(translator, node)
    image = translator.body[-1].replace("<img ", f"<img {attributes} ", 1)
    address = re.search('src="([^"]*)"', image)[1]
    translator.body[-1] = f'<a class="enlarge" href="{address}">{image}</a>' if wide else image


def frames_to_files(app, body: str, pathto) -> str:
    """The body of a page, the frames of its explorables in files of their own."""
    def file(match):
        data = base64.b64decode(match[1])
        name = f"_images/frames-{hashlib.sha256(data).hexdigest()[:16]}.webp"
        path = Path(app.outdir, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return pathto(name, 1)
    return FRAMES.sub(file, body)


def webp(png: bytes) -> bytes:
    """The same pixels as lossless WebP."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(stream := io.BytesIO(), "WEBP", lossless=True, quality=100, exact=True)
    return stream.getvalue()


def encode(out: Path) -> None:
    """The pictures of the book as what their names say."""
    for path in (out / "_images").glob("[!.]*.webp"):
        if (png := path.read_bytes()).startswith(b"\x89PNG"):
            path.write_bytes(cached(png, "webp", webp))


def setup(app):
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
