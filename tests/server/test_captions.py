from server.asr.recognition import Partial
from server.captions import Caption


class Recognition:
    """Hands out what the recogniser has written so far."""

    def __init__(self, *texts: str) -> None:
        self.results = [Partial(text, 3200 * n) for n, text in enumerate(texts, 1)]

    def poll(self) -> list[Partial]:
        results, self.results = self.results, []
        return results


def deltas(*texts: str, revises: bool = True) -> list[tuple[str, str, bool]]:
    caption = Caption("item_1", 0, Recognition(*texts), revises)  # type: ignore[arg-type]
    return [(event.text, event.delta, event.stable) for event in caption.poll()]


def test_a_text_that_comes_again_becomes_sure():
    assert deltas("book a", "book a table", "book a table", "book a table") == [
        ("book a", "", False),
        ("book a table", "book a", False),
        ("book a table", " table", True),
    ]


def test_what_was_sure_is_never_taken_back():
    assert deltas("book", "book", "look at", "look at") == [
        ("book", "", False),
        ("book", "book", True),
        ("look at", "", False),
    ]


def test_a_recogniser_that_only_appends_is_always_sure():
    assert deltas("book", "book", "book it", revises=False) == [
        ("book", "book", True),
        ("book it", " it", True),
    ]
