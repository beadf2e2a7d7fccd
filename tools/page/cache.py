"""What a build makes of files, kept in the environment for the next build."""
import hashlib
import os

from install import WEB


def cached(source: bytes, how: str, make) -> bytes:
    """make(source), kept in the environment under the digest of both: a book built again costs a copy."""
    kept = WEB / "cache" / hashlib.sha256(how.encode() + source).hexdigest()
    if kept.exists():
        return kept.read_bytes()
    made, beside = make(source), kept.with_suffix(f".{os.getpid()}")
    if os.access(WEB, os.W_OK):  # not an environment that belongs to others
        kept.parent.mkdir(exist_ok=True)
        beside.write_bytes(made)
        beside.replace(kept)
    return made
