"""Where the web page lies in the installation."""

from __future__ import annotations

from pathlib import Path


def web_directory() -> Path | None:
    """Return the directory of the page, or None if this installation has none."""
    directory = Path(__file__).parent / "web"
    return directory if directory.is_dir() else None
