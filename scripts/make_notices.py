#!/usr/bin/env python3
"""Write whose work an installation holds: the table of THIRD_PARTY_NOTICES.md, and every licence text.

`make notices` runs it where every extra is installed. The table names each package that the project or one of
its extras brings; the texts go to `dist/THIRD_PARTY_LICENSES.txt`, for whoever ships the packages themselves.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NOTICES = ROOT / "THIRD_PARTY_NOTICES.md"
TEXTS = ROOT / "dist" / "THIRD_PARTY_LICENSES.txt"
BEGIN, END = "<!-- packages: written by make notices -->\n", "<!-- end of packages -->\n"
NOT_SHIPPED = {"dev", "docs", "testing"}  # tools of who works on the project
LEGAL_FILE = re.compile(r"(licen[sc]e|notice|copying|third.?party)[^/]*$", re.IGNORECASE)
CODE_FILE = re.compile(r"\.(pyi?|pyc|so)$|__pycache__")


@dataclass
class Package:
    """An installed package, and what brings it."""

    installed: Distribution
    extras: set[str] = field(default_factory=set[str])  # of the package itself
    wanted_by: list[str] = field(default_factory=list[str])  # "base", or extras of ours

    @property
    def licence(self) -> str:
        """What the package says of itself: its expression, else a short statement, else its classifiers."""
        metadata = self.installed.metadata
        if expression := metadata.get("License-Expression"):
            return expression
        words = " ".join((metadata.get("License") or "").split())
        if words and words != "UNKNOWN" and len(words) <= 60:
            return words
        classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
        return ", ".join(line.rsplit(" :: ", 1)[-1] for line in classifiers) or (
            "in its text" if self.texts else "not stated"
        )

    @property
    def texts(self) -> dict[str, str]:
        """Its legal files by name."""
        names = [str(file) for file in self.installed.files or []]
        legal = sorted(name for name in names if LEGAL_FILE.search(name) and not CODE_FILE.search(name))
        paths = {name: Path(str(self.installed.locate_file(name))) for name in legal}
        return {name: path.read_text("utf-8", "replace").strip() for name, path in paths.items()}


def walk(found: dict[str, Package], requirement: Requirement, wanted_by: str) -> None:
    """Add an installed requirement and all that it requires here."""
    name = canonicalize_name(requirement.name)
    package = found.setdefault(name, Package(distribution(requirement.name)))
    extras = requirement.extras - package.extras
    if wanted_by in package.wanted_by and not extras:
        return
    package.extras |= extras
    package.wanted_by += [] if wanted_by in package.wanted_by else [wanted_by]
    for line in package.installed.requires or []:
        inner = Requirement(line)
        chosen = ["", *package.extras]
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in chosen):
            try:
                walk(found, inner, wanted_by)
            except PackageNotFoundError:
                print(f"{name} wants {inner}, which is not installed: left out")  # noqa: T201


def installed_packages() -> dict[str, Package]:
    """Return every package of the base and of the extras that are shipped, by its canonical name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, Package] = {}
    for group in (name for name in groups if name not in NOT_SHIPPED):
        for line in groups[group]:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                walk(found, requirement, group)
    return {name: found[name] for name in sorted(found) if name != canonicalize_name(project["name"])}


def table(packages: dict[str, Package]) -> str:
    """Return the packages as a Markdown table."""
    rows = ["| package | version | licence | comes with |", "|---|---|---|---|"]
    for name, package in packages.items():
        by = "base" if "base" in package.wanted_by else ", ".join(package.wanted_by)
        rows.append(f"| {name} | {package.installed.version} | {package.licence} | {by} |")
    return "\n".join(rows) + "\n"


def all_texts(packages: dict[str, Package]) -> str:
    """Return every licence text once, under the names of the packages that bring it."""
    owners: dict[str, list[str]] = {}
    silent: list[str] = []
    for name, package in packages.items():
        texts = package.texts
        for file, text in texts.items():
            owners.setdefault(text, []).append(f"{name} {package.installed.version}: {Path(file).name}")
        if not texts:
            silent.append(f"{name} {package.installed.version}: {package.licence}")
    rule = "=" * 100
    parts = [f"{rule}\n" + "\n".join(names) + f"\n{rule}\n\n{text}\n" for text, names in owners.items()]
    return "\n".join([*parts, f"{rule}\nWithout a licence text in the package\n{rule}\n", *silent, ""])


def main() -> None:
    """Write both files."""
    packages = installed_packages()
    before, rest = NOTICES.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    NOTICES.write_text(f"{before}{BEGIN}\n{table(packages)}\n{END}{after}", "utf-8")
    TEXTS.parent.mkdir(exist_ok=True)
    TEXTS.write_text(all_texts(packages), "utf-8")
    print(f"{len(packages)} packages: {NOTICES.relative_to(ROOT)}, {TEXTS.relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    main()
