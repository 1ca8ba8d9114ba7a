"""The documents as a site: every link leads somewhere, and nothing is loaded from other hosts."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NO_FETCH = {"canonical", "prev", "next"}  # relations of a <link> that load nothing


class Page(HTMLParser):
    """Addresses that a browser loads with a page, and those that it is led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(LOADS.get(tag, "")) or ""
        if address and values.get("rel") not in NO_FETCH:
            self.loaded.append(address)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("index.html")}


def test_the_front_page_is_the_readme(site):
    text = (site / "index.html").read_text("utf-8")
    assert "A real-time speech service for people who talk over an agent" in text
    assert 'href="protocol/"' in text


def test_pages_load_nothing_from_other_hosts(pages):
    assert len(pages) > 20
    foreign = {address for page in pages.values() for address in page.loaded if urlsplit(address).netloc}
    assert foreign == set()


def test_files_that_pages_load_or_lead_to_are_there(pages):
    missing = [
        (str(path), address)
        for path, page in pages.items()
        for address in [*page.loaded, *page.links]
        if not urlsplit(address).netloc and not urlsplit(address).scheme
        if not (path.parent / urlsplit(address).path).exists()
    ]
    assert missing == []


def test_links_out_of_the_documents_became_paths(site):
    text = (site / "security/index.html").read_text("utf-8")
    assert "<code>docker/grafana/duplex.json</code>" in text
    assert "../docker/" not in text
    assert 'href="../notices/"' in (site / "dependencies/index.html").read_text("utf-8")


@pytest.mark.slow
def test_two_versions_stand_side_by_side(tmp_path):
    subprocess.run(["git", "clone", "-q", "--no-local", str(ROOT), tmp_path / "clone"], check=True)
    who = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    tools = Path(sys.executable).parent  # mike calls mkdocs by name
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **who, "PATH": path, "NO_MKDOCS_2_WARNING": "1"}
    for command in (
        ["deploy", "0.1"],
        ["deploy", "--update-aliases", "0.2", "latest"],
        ["set-default", "latest"],
    ):
        subprocess.run([tools / "mike", *command], cwd=tmp_path / "clone", env=environment, check=True)

    def show(path: str) -> str:
        command = ["git", "show", f"gh-pages:{path}"]
        return subprocess.run(
            command, cwd=tmp_path / "clone", capture_output=True, text=True, check=True
        ).stdout

    versions = {entry["version"]: entry["aliases"] for entry in json.loads(show("versions.json"))}
    assert versions == {"0.2": ["latest"], "0.1": []}
    assert "latest/" in show("index.html")
    assert "Duplex" in show("0.1/protocol/index.html")
