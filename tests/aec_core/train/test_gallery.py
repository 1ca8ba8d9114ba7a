from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from aec_core.train.gallery import EXAMPLES, GalleryOptions, draw, facts, make_gallery, title
from aec_core.train.mixtures import Change, Mixture, Scene, Talk
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice

SECONDS = 2.0


@pytest.fixture(scope="module")
def gallery(manifest, tmp_path_factory):
    """`(options, numbers reported)` of a gallery on disk."""
    options = GalleryOptions(manifest, tmp_path_factory.mktemp("gallery"), count=2, seconds=SECONDS)
    reported = []
    make_gallery(options, reported.append)
    return options, reported


def mixture(scene, near=1.0, echo=1.0):
    sound = voice(1, 3)
    return Mixture(sound, sound, near * sound, echo * sound, scene, 120.4, 0.5)


def test_sounds_pictures_and_index(gallery):
    options, reported = gallery
    assert reported == [1, 2]
    waves = [f"{number}-{name}.wav" for number in ("01", "02") for name in ("mic", "ref", "near", "echo")]
    assert sorted(path.name for path in options.out.iterdir()) == sorted(
        [*waves, "01.png", "02.png", "index.md"]
    )
    for name in waves:
        info = sf.info(options.out / name)
        assert (info.samplerate, info.channels, info.frames) == (SAMPLE_RATE, 1, SECONDS * SAMPLE_RATE)
    index = (options.out / "index.md").read_text()
    for part in ("01: double talk\n", "SER -5 dB", "02: far end single talk\n", "(02.png)", "as WAV"):
        assert part in index


def test_what_is_written_adds_up(gallery):
    mic, near, echo = (sf.read(gallery[0].out / f"01-{name}.wav")[0] for name in ("mic", "near", "echo"))
    noise = mic - near - echo
    assert np.std(noise) < 0.5 * np.std(mic)


def test_the_seed_decides_the_files_and_sounds_can_be_left_out(gallery, tmp_path):
    options, _ = gallery
    again = replace(options, out=tmp_path / "again", count=1, audio=False)
    other = replace(again, out=tmp_path / "other", seed=2)
    for each in (again, other):
        make_gallery(each, lambda _: None)
        assert sorted(path.name for path in each.out.iterdir()) == ["01.png", "index.md"]
        assert "WAV" not in (each.out / "index.md").read_text()
    picture = (options.out / "01.png").read_bytes()
    assert (again.out / "01.png").read_bytes() == picture
    assert (other.out / "01.png").read_bytes() != picture


def test_pictures_are_small_and_show_signals_where_they_are(tmp_path):
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal((4, 10 * SAMPLE_RATE))).astype(np.float32)
    noise[3, : 5 * SAMPLE_RATE] = 0  # an echo in the second half
    draw(Mixture(*noise, Scene(Talk.DOUBLE), 0.0, 0.3), tmp_path / "worst.png")
    assert (tmp_path / "worst.png").stat().st_size < 200_000
    with Image.open(tmp_path / "worst.png") as image:
        grey = np.asarray(image.convert("L")).astype(float)
    row = grey[round(0.49 * len(grey))]  # through the panel of the echo
    assert (
        row[round(0.7 * len(row)) :].mean() > row[round(0.15 * len(row)) : round(0.4 * len(row))].mean() + 50
    )


def test_titles_and_facts_say_what_was_drawn():
    jump = mixture(Scene(Talk.DOUBLE, Change.JUMP, system_aec=True, change_at_s=5.0), near=1.0, echo=0.1)
    assert title(jump) == "double talk, delay jump, behind the system's own canceller"
    assert facts(jump).startswith("SER 20 dB, delay 120 ms, RT60 0.50 s, change at 5 s, echo ")
    headphones = mixture(Scene(Talk.NEAR, Change.JUMP), echo=0.0)
    assert title(headphones) == "near end single talk, headphones"
    assert "delay" not in facts(headphones)
    assert "echo" not in facts(headphones)


def test_the_first_examples_cover_who_talks_and_what_changes():
    assert {scene.change for scene in EXAMPLES} == set(Change)
    assert {scene.talk for scene in EXAMPLES} >= {Talk.DOUBLE, Talk.FAR, Talk.NEAR}
