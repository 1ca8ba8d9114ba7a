import pytest

from server.floor import Claim, Floor, default_backchannels, tokens

PLAYED = "You can stop the music at any time. Your table for four is booked at seven o'clock tonight."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ...", []),
        ("It's Seven o’clock!", ["it's", "seven", "o'clock"]),
        ("uh-huh", ["uh", "huh"]),
        ("OK,好的", ["ok", "好", "的"]),
        ("我想订2张", ["我", "想", "订", "2", "张"]),
        ("über_all", ["über", "all"]),
    ],
)
def test_tokens(text: str, expected: list[str]):
    assert tokens(text) == expected


@pytest.mark.parametrize(
    "text", ["Uh-huh.", "yeah yeah", "OK, right.", "I see.", "嗯", "对 对", "嗯嗯，好的。", "是的是的"]
)
def test_assent_is_harmless(text: str):
    assert Floor().claim(text) is Claim.HARMLESS


@pytest.mark.parametrize("text", ["Stop.", "OK, but wait", "no", "等一下", "好的，等一下", "see", "I"])
def test_any_other_word_takes_the_floor(text: str):
    assert Floor().claim(text) is Claim.FLOOR


@pytest.mark.parametrize("text", ["", "...", "。"])
def test_no_words_claim_nothing(text: str):
    assert Floor().claim(text) is Claim.NOTHING


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("your table for four is booked", Claim.HARMLESS),
        ("table for four is looked at", Claim.HARMLESS),  # misheard
        ("yes, at seven o'clock", Claim.HARMLESS),
        ("stop", Claim.UNSURE),  # the agent's word, and everybody's
        ("stop talking", Claim.FLOOR),
        ("no, I said a table for five", Claim.FLOOR),
        ("booked four for table your", Claim.FLOOR),  # not in that order
        ("yes", Claim.HARMLESS),
    ],
)
def test_the_agents_own_words(text: str, claim: Claim):
    floor = Floor()
    floor.playing(PLAYED)
    assert floor.claim(text) is claim


def test_chinese_that_is_played_is_the_agents():
    floor = Floor()
    floor.playing("您的桌子已经订好了，今晚七点。")
    assert floor.claim("桌子已经订好了") is Claim.HARMLESS
    assert floor.claim("我要五个人的") is Claim.FLOOR


def test_what_was_played_just_before_is_remembered():
    floor = Floor()
    floor.playing(PLAYED)
    floor.playing(None)
    assert floor.claim("your table for four") is Claim.HARMLESS
    floor.playing("Anything else?")
    assert floor.claim("booked at seven o'clock tonight anything else") is Claim.HARMLESS
    floor.playing("Goodbye.")
    assert floor.claim("your table for four") is Claim.FLOOR


def test_backchannels_are_a_choice():
    floor = Floor(["go ahead", "jawohl"])
    assert floor.claim("Jawohl, go ahead!") is Claim.HARMLESS
    assert floor.claim("ahead") is Claim.FLOOR
    assert floor.claim("yes") is Claim.FLOOR
    floor.agree_by([])
    assert floor.claim("jawohl") is Claim.FLOOR


@pytest.mark.parametrize(
    ("language", "has", "has_not"),
    [("de", "genau", "yeah"), ("zh-CN", "嗯", "yeah"), (None, "嗯", "genau"), ("xx", "yeah", "genau")],
)
def test_backchannels_by_language(language: str | None, has: str, has_not: str):
    assert has in default_backchannels(language)
    assert has_not not in default_backchannels(language)
