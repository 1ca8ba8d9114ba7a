"""Pairs of recordings found by their names, and what is said of them."""

import numpy as np
import pytest
import soundfile as sf

from aec_core.evaluate.recordings import find_recordings, score_recordings
from aec_core.evaluate.systems import unprocessed
from tests.aec_core.signals import speech_like

SPEECH = speech_like(5, seed=1)


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, (audio, rate) in files.items():
        sf.write(folder / f"{stem}.wav", audio, rate)


def test_pairs_are_found_by_their_names(tmp_path):
    short, stereo = SPEECH[:48000], np.stack([SPEECH, SPEECH], axis=1)
    write(
        tmp_path / "a", x_farend_mic=(SPEECH, 16000), x_farend_lpb=(short, 16000), alone_mic=(SPEECH, 16000)
    )
    write(
        tmp_path / "b", call_in=(stereo, 48000), call_ref=(stereo, 48000), d=(SPEECH, 8000), x=(SPEECH, 8000)
    )
    write(
        tmp_path / "b",
        nearend_mic_fileid_1=(SPEECH, 16000),
        farend_speech_fileid_1=(SPEECH, 16000),
        nearend_speech_fileid_1=(SPEECH, 16000),
    )
    found = {each.name: each for each in find_recordings(tmp_path)}
    assert set(found) == {"a/x_farend_mic", "b/call_in", "b/d", "b/nearend_mic_fileid_1"}
    assert [each.kind for each in found.values()] == ["far", None, None, "double"]
    assert len(found["a/x_farend_mic"].mic) == 48000
    assert found["b/call_in"].mic.shape == (80000 // 3 + 1,)
    assert len(found["b/d"].mic) == 160000
    assert found["b/nearend_mic_fileid_1"].near is not None


def test_no_folder_no_pairs_and_unreadable_files_are_clear(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_recordings(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no pair"):
        find_recordings(tmp_path)
    write(tmp_path, y_ref=(SPEECH, 16000))
    (tmp_path / "y_mic.wav").write_bytes(b"no audio")
    with pytest.raises(ValueError, match="cannot read"):
        find_recordings(tmp_path)


def test_each_kind_gets_its_scores(tmp_path):
    def halved(mic, ref):
        return {"half": 0.5 * mic}

    write(tmp_path, x_nearend_mic=(SPEECH, 16000), x_nearend_lpb=(0 * SPEECH, 16000))
    write(tmp_path, z_mic=(SPEECH, 16000), z_ref=(SPEECH, 16000), z_near=(SPEECH, 16000))
    rows = {
        row["name"].split("/")[1]: row
        for row in score_recordings(find_recordings(tmp_path), [unprocessed(), halved], int)
    }
    near = rows["x_nearend_mic"]["systems"]["half"]
    assert near["level_change_db"] == pytest.approx(-6.02, abs=0.01)
    assert near["reduction_after_3s_db"] == pytest.approx(6.02, abs=0.01)
    both = rows["z_mic"]["systems"]
    assert both["half"]["near_kept_db"] == pytest.approx(-6.02, abs=0.01)
    assert both["half"]["sdr_db"] > 60
    assert both["no processing"]["reduction_db"] == 0
