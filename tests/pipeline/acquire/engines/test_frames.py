"""Recordings: every utterance has its frames or a reason, and none of it is ever called redistributable."""

import pytest
from acquire_helpers import encoded, hashes_below, noise, rows_of
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.frames import availability, chosen
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.acquire.sources import FramesSource
from pipeline.errors import ConfigError, DataError

TRANSCRIPT = """start,end,speaker,text
0.5,2.5,MOT,look at the dog .
1.0,3.0,CHI,ba [babbles]
2.0,4.0,MOT,&=laughs xxx .
4.0,6.2,MOT,where's the <red> ball ?
20,22,FAT,too late
soon,22,MOT,no time
9,8,MOT,backwards
"""


@pytest.fixture
def card(tmp_path):
    def make(options: str = "", *, redistributable: str = "false"):
        path = tmp_path / "home.md"
        path.write_text(
            "---\nname: home\ntitle: Home\nlicence: LicenseRef-agreement\nattribution: The families\nlanguage: en\n"
            f"child_directed: true\nredistributable: {redistributable}\n"
            f"source: {{engine: frames, path: recordings{options}}}\n---\nAt home.\n"
        )
        return load_card(path)

    return make


@pytest.fixture
def recordings(tmp_path):
    """Two recordings: S1 with frames each second from 0 to 6 and a table beside it, S2 with subtitles inside."""
    folder = tmp_path / "recordings"
    for second in range(7):
        write(folder / "S1" / f"frame_{second}.jpg", second)
    (folder / "S1.csv").write_text(TRANSCRIPT)
    for milliseconds in (0, 500):
        write(folder / "S2" / f"f{milliseconds / 1000:.3f}.jpg", 10 + milliseconds)
    (folder / "S2" / "transcript.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nbye bye\n")
    write(folder / "S3" / "0.jpg", 99)
    return folder


def write(path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(noise(seed), "JPEG"))


def frames_of(folder) -> list[tuple[str, str, str]]:
    return [(row["url"].removeprefix("frames:home/"), row["caption"], row["reason"]) for row in rows_of(folder)]


def test_every_utterance_is_a_row_with_its_frame_or_a_reason(card, recordings, tmp_path):
    counts = acquire(card(), AcquireOptions(workers=1, min_success_rate=0), tmp_path)
    dropped = {"bad_time": 2, "empty_caption": 1, "no_frame": 1, "no_transcript": 1}
    assert counts == {"in": 9, "kept": 4, "dropped": dropped}
    assert frames_of(tmp_path / "raw" / "home") == [
        ("S1/frame_2.jpg#t=0.500,2.500", "look at the dog.", ""),
        ("S1/frame_2.jpg#t=1.000,3.000", "ba", ""),
        ("S1#t=2.000,4.000", "", "empty_caption"),
        ("S1/frame_5.jpg#t=4.000,6.200", "where's the red ball?", ""),
        ("S1#t=20.000,22.000", "too late", "no_frame"),
        ("S1", "no time", "bad_time"),
        ("S1", "backwards", "bad_time"),
        ("S2/f0.500.jpg#t=0.000,1.000", "bye bye", ""),
        ("S3", "", "no_transcript"),
    ]
    (row, image), *_ = read_raw(tmp_path / "raw" / "home")
    wanted = {"group": "S1", "category": "MOT", "lang": "en", "licence": "LicenseRef-agreement", "ext": "jpg"}
    assert {key: row[key] for key in wanted} == wanted
    assert image == (recordings / "S1" / "frame_2.jpg").read_bytes()


def test_windows_grow_and_speakers_are_chosen(card, recordings, tmp_path):
    options = ", speakers: [mot, FAT], before: 1, after: 1, frames_per_utterance: 2, choose: middle"
    acquire(card(options), AcquireOptions(workers=1, min_success_rate=0), tmp_path)
    assert [row for row in frames_of(tmp_path / "raw" / "home") if not row[2]] == [
        ("S1/frame_1.jpg#t=0.500,2.500", "look at the dog.", ""),
        ("S1/frame_2.jpg#t=0.500,2.500", "look at the dog.", ""),
        ("S1/frame_5.jpg#t=4.000,6.200", "where's the red ball?", ""),
        ("S1/frame_6.jpg#t=4.000,6.200", "where's the red ball?", ""),
    ]
    reasons = [row["reason"] for row in rows_of(tmp_path / "raw" / "home")]
    assert reasons.count("speaker") == 2  # the child, and the subtitles, which name nobody


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("", "S_7.5.jpg"),
        (", frame_times: milliseconds", "S-7500.jpg"),
        (", frame_times: clock", "S_00-00-07.500.jpg"),
        (", frame_times: clock", "00:00:07.5.jpg"),
        (", frame_times: number, frames_per_second: 2", "S_00016.jpg"),
        (", frame_times: number, frames_per_second: 2, first_number: 0", "deep/er/15.jpg"),
    ],
)
def test_times_in_names(card, tmp_path, options, name):
    write(tmp_path / "recordings" / "S" / name, 1)
    (tmp_path / "recordings" / "S.csv").write_text("start,end,text\n7.4,7.6,now\n7.6,7.9,after\n")
    acquire(card(options), AcquireOptions(workers=1), tmp_path)
    assert [(row["caption"], row["reason"]) for row in rows_of(tmp_path / "raw" / "home")] == [
        ("now", ""),
        ("after", "no_frame"),
    ]


def test_times_in_a_table_and_frames_outside_the_folder(card, tmp_path):
    folder = tmp_path / "recordings" / "S"
    write(folder / "a.png.jpg", 1)
    write(tmp_path / "secret.jpg", 2)
    (folder / "frames.csv").write_text("file,timestamp\na.png.jpg,0:01\n../../secret.jpg,2\nlost.jpg,3\n")
    (folder / "transcript.csv").write_text("start,end,text\n1,1,one\n2,2,two\n3,3,three\n")
    acquire(card(), AcquireOptions(workers=1, min_success_rate=0), tmp_path)
    reasons = {row["caption"]: row["reason"] for row in rows_of(tmp_path / "raw" / "home")}
    assert reasons == {"one": "", "two": "outside_folder", "three": "missing_file"}


@given(
    times=st.lists(st.integers(0, 50), max_size=40).map(sorted),
    start=st.integers(0, 50),
    length=st.integers(0, 50),
    wanted=st.integers(1, 8),
    choose=st.sampled_from(["even", "middle"]),
)
def test_chosen_frames_lie_in_the_window_in_order_and_are_as_many_as_there_can_be(times, start, length, wanted, choose):
    source = FramesSource(path=".", frames_per_utterance=wanted, choose=choose, before=1, after=2)
    found = chosen(times, start, start + length, source)
    inside = [frame for frame, time in enumerate(times) if start - 1 <= time <= start + length + 2]
    assert found == sorted(set(found))
    assert set(found) <= set(inside)
    assert len(found) == min(wanted, len(inside))


def test_one_worker_or_two_give_the_same_bytes_and_a_limit_takes_the_first_rows(card, recordings, tmp_path):
    for name, options in {"one": {"workers": 1}, "two": {"workers": 2}, "few": {"workers": 1, "limit": 3}}.items():
        acquire(card(), AcquireOptions(min_success_rate=0, **options), tmp_path / name)
    assert hashes_below(tmp_path / "one" / "raw") == hashes_below(tmp_path / "two" / "raw")
    assert rows_of(tmp_path / "few/raw/home") == rows_of(tmp_path / "one/raw/home")[:3]


def test_parameters_follow_the_files_and_not_their_place(card, recordings, tmp_path):
    before = source_params(card(), AcquireOptions())
    assert source_params(card(), AcquireOptions()) == before
    (recordings / "S1.csv").write_text(TRANSCRIPT.replace("dog", "cat"))
    assert source_params(card(), AcquireOptions()) != before


def test_a_card_that_calls_recordings_redistributable_is_refused(card, recordings, tmp_path):
    refused = card(redistributable="true")
    message = r"data card home: recordings of people are not passed on; set redistributable: false"
    with pytest.raises(ConfigError, match=message):
        source_params(refused, AcquireOptions())
    with pytest.raises(ConfigError, match=message):
        acquire(refused, AcquireOptions(), tmp_path)


def test_what_is_missing_or_double_is_one_line(card, recordings, tmp_path):
    assert availability(card(), card().source) == ""
    write(recordings / "S4" / "frame.jpg", 1)
    with pytest.raises(ConfigError, match=r"S4: frame frame\.jpg has no time that can be read"):
        acquire(card(), AcquireOptions(workers=1), tmp_path)
    (recordings / "S1" / "transcript.vtt").write_text("WEBVTT\n")
    with pytest.raises(ConfigError, match="recording S1 has two transcripts"):
        acquire(card(), AcquireOptions(workers=1), tmp_path)
    elsewhere = card().model_copy(update={"source": FramesSource(path="nowhere")})
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere; set source\.path to the recordings'"):
        acquire(elsewhere, AcquireOptions(), tmp_path)
    assert availability(elsewhere, elsewhere.source).endswith("nowhere is missing")
    (tmp_path / "empty").mkdir()
    empty = card().model_copy(update={"source": FramesSource(path="empty")})
    with pytest.raises(ConfigError, match="holds no recordings"):
        acquire(empty, AcquireOptions(), tmp_path)


def test_recordings_of_which_no_frame_can_be_used_are_an_empty_corpus(card, tmp_path):
    (tmp_path / "recordings" / "S").mkdir(parents=True)
    (tmp_path / "recordings" / "S.csv").write_text("start,text\n1,hello\n")
    with pytest.raises(DataError, match=r"empty corpus: no row of home succeeded \(no_frame 1"):
        acquire(card(), AcquireOptions(workers=1), tmp_path)
