"""Ask PyPI for known faults of what is installed beside this Python; say so where nobody can tell."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = ["-m", "pip_audit", "--skip-editable", "--format", "json", "--progress-spinner", "off"]


def audit() -> list[dict[str, Any]]:
    """Return what pip-audit found out of each package; nothing if it could not ask."""
    done = subprocess.run([sys.executable, *COMMAND], stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout)["dependencies"] if done.stdout else []


def main() -> str | None:
    """Print the result; return why it is no good."""
    packages = audit()
    known = [package for package in packages if "vulns" in package]
    if not known:  # pip-audit itself calls that a success
        return "No advisory service answers here: NOTHING was audited."
    if skipped := [package["name"] for package in packages if package not in known]:
        sys.stdout.write(f"Nothing is known of {', '.join(skipped)}\n")
    for package in known:
        for fault in package["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "nowhere"
            sys.stdout.write(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}\n")
    faulty = sum(bool(package["vulns"]) for package in known)
    sys.stdout.write(f"{len(known)} packages audited\n")
    return f"{faulty} of them have known faults" if faulty else None


if __name__ == "__main__":
    sys.exit(main())
