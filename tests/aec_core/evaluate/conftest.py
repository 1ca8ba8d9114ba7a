"""A manifest that the tests make themselves: three talkers, whose words it tells."""

import csv

import pytest
import soundfile as sf

from tests.aec_core.signals import speech_like


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for speaker in range(3):
        name = f"{speaker}.wav"
        sf.write(folder / name, speech_like(4, seed=speaker), 16000)
        rows.append([name, "speech", "librispeech", speaker, "test", 40, "en", f"WORD NUMBER {speaker}"])
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "kind", "corpus", "speaker", "split", "dyn_dB", "language", "transcript"])
        writer.writerows(rows)
    return folder / "manifest.csv"
