import pytest

from server.evidence import Ending, ending, semantic_wait


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Ending.NOTHING),
        (" ... ", Ending.NOTHING),
        ("book a table", Ending.OPEN),
        ("I would like to", Ending.DANGLING),
        ("I would like to.", Ending.DANGLING),
        ("and then we-", Ending.DANGLING),
        ("well I thought…", Ending.DANGLING),
        ("if it rains,", Ending.CLAUSE),
        ("Thank you.", Ending.SENTENCE),
        ("Turn it on!", Ending.SENTENCE),
        ("What is it for?", Ending.QUESTION),
        ("我想订一张桌子", Ending.OPEN),
        ("我想订一张桌子。", Ending.SENTENCE),
        ("我想订一张桌子，", Ending.CLAUSE),
        ("但是", Ending.DANGLING),
        ("Um.", Ending.DANGLING),
        ("I want the, uh,", Ending.DANGLING),
        ("我要那个。", Ending.DANGLING),
        ("可以吗？", Ending.QUESTION),
    ],
)
def test_endings(text: str, expected: Ending):
    assert ending(text) is expected


@pytest.mark.parametrize(
    ("p_turn", "end", "ms", "reason"),
    [
        (0.97, Ending.OPEN, 250, "turn_complete"),
        (0.97, Ending.CLAUSE, 250, "turn_complete"),
        (0.97, Ending.DANGLING, 600, "turn_likely"),
        (0.95, Ending.OPEN, 600, "turn_likely"),
        (0.7, Ending.SENTENCE, 300, "punctuation"),
        (0.7, Ending.CLAUSE, 500, "clause"),
        (0.7, Ending.OPEN, 600, "turn_likely"),
        (0.3, Ending.SENTENCE, 860, "turn_unlikely"),
        (0.05, Ending.SENTENCE, 1750, "unfinished"),
        (0.7, Ending.DANGLING, 1750, "unfinished"),
        (None, Ending.NOTHING, 700, "model_late"),
        (None, Ending.SENTENCE, 450, "punctuation"),
        (None, Ending.CLAUSE, 600, "clause"),
        (None, Ending.DANGLING, 1750, "unfinished"),
    ],
)
def test_waits(p_turn: float | None, end: Ending, ms: float, reason: str):
    wait = semantic_wait(p_turn, end, "auto")
    assert (wait.ms, wait.reason) == (ms, reason)


def test_eagerness_scales_every_wait():
    low, medium, high = (semantic_wait(0.97, Ending.OPEN, eager).ms for eager in ("low", "medium", "high"))
    assert low > medium > high
    assert medium == 250


def test_more_certainty_never_waits_longer():
    for end in Ending:
        waits = [semantic_wait(p / 100, end, "auto").ms for p in range(101)]
        assert waits == sorted(waits, reverse=True)
