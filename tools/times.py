"""What running a chapter costs, as the record that `make refresh` and `make bench` leave in its notebook's metadata.

The record carries a digest of itself, so that a number typed by hand shows.
"""
import json
import os
import platform
from importlib.metadata import version

import notebooks


def machine() -> str:
    """Processor, cores, memory and versions, without the name of the host."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, "
            f"Python {platform.python_version()}, torch {version('torch').split('+')[0]}")


def seal(measured: dict) -> dict:
    """The record with the digest of all else in it."""
    rest = {key: value for key, value in measured.items() if key != "digest"}
    return rest | {"digest": notebooks.digest(notebooks.canonical(rest))}


def record(seconds: float, over_seeds: float, peak_mib: float) -> dict:
    """The record of one run on this machine: all cells, those that name SEEDS, and the kernel's peak memory."""
    return seal(json.loads(notebooks.canonical({
        "seconds": round(seconds, 1), "over_seeds": round(over_seeds, 1), "peak_mib": round(peak_mib),
        "machine": machine()})))
