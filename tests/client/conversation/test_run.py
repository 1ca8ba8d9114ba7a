"""The whole evaluation in small: every system, figures, targets, page and plots; and the command."""

import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from client.cli import app
from client.conversation import dialogues, run
from client.conversation.calls import Options
from client.conversation.figures import far_end, latency, recognition, turn_taking
from client.conversation.report import FIGURES, PAGE, markdown, write_docs
from client.conversation.run import evaluate
from client.conversation.scoring import Ending, Hesitation, Outcome
from client.conversation.targets import AEC3, CLEAN, NONE, OURS, SOFT, targets
from tests.client.conversation.scripted import Counting


@pytest.fixture(scope="module")
def shown():
    return []


@pytest.fixture(scope="module")
def small(manifest, shown):
    """Two dialogues of two turns, and far-end calls of six seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialogues, "FAR_S", 6.0)
        patch.setattr(run, "SWEEP", (0.2, 0.6))
        options = Options(manifest, dialogues=2, far_minutes=0.1, seed=5, turns=2)
        return evaluate(options, Counting(), lambda *facts: shown.append(facts))


def test_every_system_hears_every_call(small, shown):
    pytest.importorskip("livekit")
    assert list(small.systems) == [NONE, AEC3, OURS, SOFT, CLEAN]
    said = sum(len(turn.text.split()) for call in small.calls.dialogues for turn in call.turns)
    for name, system in small.systems.items():
        assert system["turns"] == 4
        assert 0 <= system["dcf"] <= 1
        if name == CLEAN:
            assert system["missed"] == 0
        if name not in (SOFT, CLEAN):
            assert list(system["far_end"]) == list(run.VOICES.values())
            assert all(some["minutes"] == 0.1 for some in system["far_end"].values())
        if name != SOFT:
            assert system["words"] == said
    assert list(small.wer_by_beta) == ["0.2", "0.6"]
    assert small.systems[NONE]["dcf"] > small.systems[OURS]["dcf"]
    assert small.systems[NONE]["first_partial_ms"]["n"] == 0
    assert small.systems[OURS]["first_partial_ms"]["n"] > 0


def test_progress_reaches_its_end_in_every_phase(small, shown):
    last = {phase: (done, total) for phase, done, total in shown}
    assert len(last) == 1 + len(small.systems) + len(small.wer_by_beta)
    for done, total in last.values():
        assert done == pytest.approx(total, abs=0.02)


def test_page_figures_and_plots(small, tmp_path):
    write_docs(small, tmp_path, "Written by a test.")
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert page.startswith("# Conversation\n\nWritten by a test.\n\n2 dialogues, 1 minutes of audio")
    for name in small.systems:
        assert f"| {name} |" in page
    assert "| β 0.6 for the recogniser |" in page
    for row in small.targets:
        assert row["name"] in page
    figures = json.loads((tmp_path / FIGURES).read_text(encoding="utf-8"))
    assert figures["systems"].keys() == small.systems.keys()
    assert len(figures["dialogues"]) == 2
    plots = list(tmp_path.glob("*.png"))
    assert len(plots) == 4
    for plot in plots:
        assert f"]({plot.name})" in page
        assert 1000 < plot.stat().st_size < 150_000


def test_without_a_recogniser_there_are_no_words(manifest, monkeypatch):
    monkeypatch.setattr(dialogues, "FAR_S", 6.0)
    options = Options(manifest, dialogues=1, far_minutes=0.1, seed=5, turns=1)
    conversation = evaluate(options, None, lambda *_: None)
    assert "wer" not in conversation.systems[OURS]
    assert conversation.wer_by_beta == {}
    assert "## Words" not in markdown(conversation)
    assert "words are left out" in markdown(conversation)
    assert not any("WER" in row["name"] or "partial" in row["name"] for row in conversation.targets)


def test_speakers_whose_sentences_never_end_are_refused(manifest, tmp_path):
    text = manifest.read_text(encoding="utf-8").replace(".,", ",").replace(".\n", "\n")
    unpunctuated = tmp_path / "m.csv"
    unpunctuated.write_text(text.replace(". ", " "), encoding="utf-8")
    for clip in manifest.parent.glob("*.flac"):
        (tmp_path / clip.name).symlink_to(clip)
    with pytest.raises(ValueError, match="ends as a sentence"):
        evaluate(Options(unpunctuated, turns=1), None, lambda *_: None)


def outcome(**counts):
    return Outcome(**({"ser_db": -10, "turns": 10, "quiet_minutes": 0.5} | counts))


class TestFigures:
    def test_latencies(self):
        assert latency([]) == {"p50": None, "p95": None, "n": 0}
        assert latency(range(101)) == {"p50": 50.0, "p95": 95.0, "n": 101}

    def test_cuts_by_length_and_ends_by_reason(self):
        pauses = [
            Hesitation(301, True),
            Hesitation(500, False),
            Hesitation(501, True),
            Hesitation(1500, False),
        ]
        endings = [Ending(250, "turn_complete"), Ending(900, "unfinished"), Ending(350, "turn_complete")]
        figures = turn_taking([outcome(hesitations=pauses, endings=endings), outcome(ser_db=0)])
        assert figures["wrong_cuts"] == {"share": 0.5, "n": 4}
        shares = [(some["share"], some["n"]) for some in figures["wrong_cuts_by_pause_ms"].values()]
        assert shares == [(0.5, 2), (1.0, 1), (None, 0), (0.0, 1)]
        assert figures["endpoint_ms_by_reason"]["turn_complete"] == {"p50": 300.0, "p95": 345.0, "n": 2}
        assert figures["turns"] == 20
        assert figures["dcf"] is None

    def test_rates_are_over_the_time_in_which_nobody_speaks(self):
        some = [outcome(false_starts=3, false_commits=1), outcome(quiet_minutes=1.0)]
        assert turn_taking(some)["false_starts_per_min"] == 2.0
        assert far_end(some) == {
            "minutes": 1.5,
            "false_starts_per_min": 2.0,
            "false_commits_per_min": pytest.approx(0.6667),
        }

    def test_nobody_reads(self):
        assert recognition([outcome()])["wer"] is None


def system(**given):
    figures = turn_taking([outcome(onsets=[200.0], endings=[Ending(300, "turn_complete")])])
    return figures | {"dcf": 0.05, "far_end": {}} | given


class TestTargets:
    def rows(self, **systems):
        base = {NONE: system(dcf=0.7), OURS: system(), SOFT: system(dcf=0.06)}
        return {row["name"]: row for row in targets(base | systems)}

    def test_what_was_not_measured_has_no_row(self):
        names = " ".join(self.rows())
        assert "onset" in names
        assert "AEC3" not in names
        assert "WER" not in names
        assert "hesitations" not in names

    def test_half_of_a_peers_cost(self):
        rows = self.rows(**{AEC3: system(dcf=0.09)})
        row = next(row for name, row in rows.items() if "AEC3" in name)
        assert (row["value"], row["target"], row["holds"]) == (5.0, 4.5, False)

    def test_a_third_of_the_errors(self):
        def words(wer):
            return {"wer_by_ser": {"-10": wer}, "first_partial_ms": {"p50": 690.0}}

        rows = self.rows(**{OURS: system(**words(0.3)), NONE: system(**words(0.9))})
        row = next(row for name, row in rows.items() if "WER" in name)
        assert row["holds"]
        assert math.isclose(row["target"], 30.0)
        assert next(row for name, row in rows.items() if "partial" in name)["holds"]

    def test_a_false_barge_in_in_ten_minutes_is_one_too_many(self):
        far = {"another": far_end([outcome(false_commits=1, quiet_minutes=9.9)])}
        row = next(row for name, row in self.rows(**{OURS: system(far_end=far)}).items() if "alone" in name)
        assert not row["holds"]


class TestCommand:
    def run(self, *args):
        return CliRunner().invoke(app, ["evaluate", "conversation", *args])

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["--manifest", "none.csv"], "no manifest at none.csv"),
            (["--dialogues", "0"], "dialogues"),
            (["--far", "0"], "far"),
            (["--split", "nobody", "--no-asr"], "0 speakers with transcripts in split nobody"),
        ],
    )
    def test_bad_input_is_clear(self, args, said):
        result = self.run(*args)
        assert result.exit_code in (1, 2)
        assert said in result.stderr

    def test_ctrl_c_is_clean(self, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "make_calls", lambda *_, **__: interrupted())
        result = self.run("--no-asr")
        assert result.exit_code == 130
        assert "nothing was written" in result.stderr

    def test_writes_what_it_found(self, small, monkeypatch, tmp_path):
        monkeypatch.setattr(run, "evaluate", lambda *_: small)
        result = self.run("--no-asr", "--json", str(tmp_path / "f.json"), "--docs", str(tmp_path / "docs"))
        assert result.exit_code == 0, result.stderr
        assert "targets hold" in result.stdout
        assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))["systems"]
        page = (tmp_path / "docs" / PAGE).read_text(encoding="utf-8")
        how = "duplex evaluate conversation --split test --dialogues 8 --far 4 --seed 2026 --no-asr"
        assert f"Written by `{how}`." in page
