"""What a wheel and an sdist hold: everything that an installation needs, and nothing else."""

import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.metadata import Metadata

ROOT = Path(__file__).parents[2]
PACKAGES = ("aec_core", "server", "client")
NEEDED = (
    "aec_core/pretrained.safetensors",
    "aec_core/py.typed",
    "aec_core/train/clips/manifest.csv",
    "client/recordings/mic.wav",
    "client/recordings/ref.wav",
    "client/recordings/transcript.json",
    "client/web/index.html",
    "client/web/worklet.js",
    "client/web/agent.mp3",
    "server/agents/prompts/prompts.ogg",
)


def built(builder, folder):
    return Path(next(builder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    with zipfile.ZipFile(built(WheelBuilder, tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    with tarfile.open(built(SdistBuilder, tmp_path_factory.mktemp("sdist"))) as archive:
        yield archive


def in_packages(names):
    return sorted(name for name in names if name.split("/")[0] in PACKAGES)


def in_repository():
    """What is committed, or would be: files that git ignores are caches."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git repository here")
    return sorted(name for name in done.stdout.splitlines() if (ROOT / name).is_file())


def test_the_wheel_holds_the_three_packages_whole_and_no_caches(wheel):
    assert in_packages(wheel.namelist()) == in_repository()


def test_the_wheel_holds_nothing_beside_them(wheel):
    others = {name.split("/")[0] for name in wheel.namelist()} - {*PACKAGES}
    assert len(others) == 1
    assert others.pop().endswith(".dist-info")


@pytest.mark.parametrize("name", NEEDED)
def test_what_the_service_and_its_demo_read_is_there(wheel, name):
    assert wheel.getinfo(name).file_size == (ROOT / name).stat().st_size


def test_licences_travel_in_the_wheel(wheel):
    texts = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert texts == {"LICENSE", "THIRD_PARTY_NOTICES.md"}


def test_metadata_is_valid_and_says_what_pyproject_says(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Metadata.from_email(wheel.read(name), validate=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(metadata.version) == project["version"]
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description is not None
    assert metadata.description.startswith("# Duplex")
    assert set(metadata.provides_extra or ()) == set(project["optional-dependencies"])


def test_the_sdist_holds_the_packages_and_what_builds_them(sdist):
    names = [name.split("/", 1)[1] for name in sdist.getnames()]
    assert in_packages(names) == in_repository()
    beside = {name for name in names if name.split("/")[0] not in PACKAGES}
    assert beside == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "THIRD_PARTY_NOTICES.md",
        "pyproject.toml",
    }
