"""A hook of the documentation's build: links to files beside `docs/`.

The documents link to files of the repository, so that they can be followed there. The site has none to link
to: a link to a file that is included as a page leads to that page, another is shown as words and path.
One that leads nowhere stays, and fails the strict build.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")

INCLUDED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "THIRD_PARTY_NOTICES.md": "notices.md",
}


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Replace the links of one page that leave the folder of the documents."""
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def rewrite(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(here / link["target"]))
        if not target.exists() or (target.is_relative_to(docs) and target.is_file()):
            return link[0]
        name, words = str(target.relative_to(docs.parent)), link["words"]
        if name in INCLUDED:
            return f"[{words}]({os.path.relpath(docs / INCLUDED[name], here)}{link['anchor'] or ''})"
        path = f"`{name}`"
        return path if words.strip("`") == path.strip("`") else f"{words} ({path})"

    return LINK.sub(rewrite, markdown)
