import pytest

from client.wer import word_error_rate, words


def test_case_and_punctuation_do_not_count():
    assert words("Wait, DON'T — stop!") == ["wait", "don't", "stop"]
    assert word_error_rate("Thank you, that is all.", "thank you that is all") == 0


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("a b c d", 0),
        ("a x c d", 1),
        ("a c d", 1),
        ("a b b c d", 1),
        ("", 4),
        ("x y", 4),
        ("a b c d e f g h", 4),
    ],
)
def test_counts_edits(heard, errors):
    assert word_error_rate("a b c d", heard) == errors / 4


def test_nothing_said_has_no_rate():
    with pytest.raises(ValueError, match="no words"):
        word_error_rate("…", "hello")
