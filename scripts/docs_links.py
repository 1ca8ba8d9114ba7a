"""A hook of the documentation's build: a link to a file beside `docs/` becomes the path of that file.

The documents link to files of the repository, so that they can be followed there. The site has none to link
to: such a link is shown as its words and the path. One that leads nowhere stays, and fails the strict build.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[^)\s#]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Replace the links of one page that leave the folder of the documents."""
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def rewrite(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(here / link["target"]))
        if not target.exists() or (target.is_relative_to(docs) and target.is_file()):
            return link[0]
        path, words = f"`{target.relative_to(docs.parent)}`", link["words"]
        return path if words.strip("`") == path.strip("`") else f"{words} ({path})"

    return LINK.sub(rewrite, markdown)
