"""Transcripts in every form that is read, and the words that are left of what transcribers wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.engines.transcripts import Utterance, cleaned_utterance, read_transcript, seconds_of
from pipeline.acquire.sources import TranscriptColumns
from pipeline.errors import ConfigError

COLUMNS = TranscriptColumns()
SRT = """1
00:00:01,000 --> 00:00:02,500
MOT: look at the <i>dog</i>

2
00:01:03,250 --> 00:01:04,000
[laughs]
"""
VTT = """WEBVTT

NOTE made by hand

00:01.000 --> 00:02.500
<v Mother>look at the <i>dog</i>

second
01:00:03.000 --> 01:00:04.000 align:start
- ball?
- yes.
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("look at the dog .", "look at the dog."),
        ("xxx the ball", "the ball"),
        ("yyy . ", ""),
        ("[laughs]", ""),
        ("(sighs) come here (.) baby", "come here baby"),
        ("&~um &-uh &=laughs that one !", "that one!"),
        ("want <the the> [/] the dog", "want the dog"),
        ("the [/] the dog", "the dog"),
        ("a cat [//] a dog", "a a dog"),
        ("it's (be)cause I said", "it's because I said"),
        ("woof@o says doggie@c:fam", "woof says doggie"),
        ("the choo_choo train", "the choo choo train"),
        ("where 0is it [= the toy] ?", "where it?"),
        ("and then +...", "and then"),
        ("bye \x15123_456\x15", "bye"),
        ("♪ row row row your boat ♪", "row row row your boat"),
        ("<v Mother>hello <b>you</b>", "hello you"),
        ("- ball?\n- yes.", "ball? yes."),
        ("...", ""),
        ("0 [=! cries]", "0"),
    ],
)
def test_codes_are_left_out_and_words_are_kept(written, said):
    assert cleaned_utterance(written) == said


@given(st.lists(st.sampled_from(["dog", "a", "Ball!", "isn't", "ça", "犬"]), min_size=1, max_size=8))
def test_plain_words_stay_as_they_are(words):
    text = " ".join(words)
    assert cleaned_utterance(text) == text


@given(st.text(max_size=60))
def test_any_text_can_be_cleaned(text):
    cleaned = cleaned_utterance(text)
    assert cleaned == "" or any(character.isalnum() for character in cleaned)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("12.5", 12.5),
        ("0:12.5", 12.5),
        ("01:02:03,250", 3723.25),
        (" 7 ", 7),
        ("", None),
        ("soon", None),
        ("1:2:3:4", None),
    ],
)
def test_times_are_seconds_or_clocks(time, seconds):
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [(1, 2, (1, 2)), (1, 1, (1, 1)), (2, 1, None), (-1, 1, None), (None, 1, None), (1, float("inf"), None)],
)
def test_only_times_in_order_are_a_window(start, end, window):
    assert Utterance(start, end, "a").window == window


def test_tables_and_subtitles_say_the_same(tmp_path):
    (tmp_path / "a.srt").write_text("\ufeff" + SRT.replace("\n", "\r\n"), encoding="utf-8", newline="")
    (tmp_path / "a.vtt").write_text(VTT, encoding="utf-8")
    (tmp_path / "a.csv").write_text("start,end,speaker,text\n1,2.5,*MOT:,look at the dog\n1:03.25,,CHI,ba\n")
    (tmp_path / "a.jsonl").write_text('{"start": 1, "text": "ball"}\n')
    srt, vtt = read_transcript(tmp_path / "a.srt", COLUMNS), read_transcript(tmp_path / "a.vtt", COLUMNS)
    assert srt == [Utterance(1.0, 2.5, "look at the <i>dog</i>", "MOT"), Utterance(63.25, 64.0, "[laughs]", "")]
    assert [(cue.start, cue.end, cue.speaker) for cue in vtt] == [(1.0, 2.5, "Mother"), (3603.0, 3604.0, "")]
    assert [cleaned_utterance(cue.text) for cue in vtt] == ["look at the dog", "ball? yes."]
    assert read_transcript(tmp_path / "a.csv", COLUMNS) == [
        Utterance(1.0, 2.5, "look at the dog", "MOT"),
        Utterance(63.25, 63.25, "ba", "CHI"),
    ]
    assert read_transcript(tmp_path / "a.jsonl", COLUMNS) == [Utterance(1.0, 1.0, "ball", "")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "begin,text\n1,a\n", r"a\.csv has no column start; it has begin, text"),
        ("a.srt", "1\n00:00:01 -> 00:00:02\nhm\n", r"a\.srt cannot be read as subtitles"),
        ("a.vtt", VTT.replace("01:00:03.000", "later"), r"a\.vtt has 2 cues, but only 1 have times that can be read"),
        ("a.vtt", "no header", r"a\.vtt cannot be read as subtitles"),
    ],
)
def test_a_transcript_that_cannot_be_read_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_transcript(tmp_path / name, COLUMNS)


def test_an_empty_subtitle_file_holds_no_utterance_and_another_encoding_is_named(tmp_path):
    (tmp_path / "a.srt").write_text("\n")
    assert read_transcript(tmp_path / "a.srt", COLUMNS) == []
    (tmp_path / "a.srt").write_bytes(SRT.replace("look", "schön").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"a\.srt is not in UTF-8"):
        read_transcript(tmp_path / "a.srt", COLUMNS)
