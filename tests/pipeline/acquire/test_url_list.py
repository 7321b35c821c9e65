"""URL lists: the real img2dataset against a real server, judged by what lies on the disk afterwards."""

import contextlib
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from acquire_helpers import Page, encoded, noise
from PIL import Image

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.fetch import failure_reason
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import raw_tables, read_raw
from pipeline.errors import ConfigError, DataError
from pipeline.files import files_below
from pipeline.tables import read_columns

ROOT = Path(__file__).resolve().parents[3]
COLUMNS = "columns: {group: story, category: kind, licence: licence, lang: lang}"


def write_list(path, rows):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t" if path.suffix == ".tsv" else ",", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(folder):
    rows = []
    for table in raw_tables(folder):
        columns = read_columns(table)
        rows += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows


def tree(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files_below(folder)}


def pictures(site, count, **page):
    """Put pictures on a site, and return the lines of a list of them."""
    for number in range(count):
        site.pages[f"/{number}.jpg"] = Page(encoded(noise(number), "JPEG"), **page)
    return [{"url": f"{site.address}/{n}.jpg", "caption": f"picture {n}"} for n in range(count)]


@pytest.mark.usefixtures("img2dataset")
def test_every_line_of_a_list_becomes_a_row_with_its_picture_or_a_reason(site, write_card, tmp_path):
    jpeg, rgba, turned = encoded(noise(1), "JPEG"), encoded(noise(2, mode="RGBA"), "PNG"), Image.Exif()
    turned[0x0112] = 6
    site.pages |= {
        "/good.jpg": Page(jpeg),
        "/with%20space/%C3%BC.jpg?v=1": Page(jpeg),
        "/alpha.png": Page(rgba),
        "/turned.jpg": Page(encoded(noise(3), "JPEG", exif=turned)),
        "/page.html": Page(b"<html>not a picture</html>"),
        "/cut.jpg": Page(jpeg[: len(jpeg) // 2]),
        "/short.jpg": Page(jpeg[:100], headers={"Content-Length": str(len(jpeg))}),
        "/noai.jpg": Page(jpeg, headers={"X-Robots-Tag": "noai"}),
        "/broken.jpg": Page(status=500),
        "/other.jpg": Page(jpeg),
    }
    right, wrong = hashlib.sha256(jpeg).hexdigest(), "0" * 64
    here = site.address
    lines = [
        ({"url": f"{here}/good.jpg", "caption": "a good one", "sha256": right, "story": "s1", "kind": "cover"}, ""),
        ({"url": f"{here}/good.jpg", "caption": "the same  again", "licence": "BY", "lang": "fr"}, ""),
        ({"url": f"{here}/with space/ü.jpg?v=1", "caption": "ein Umlaut"}, ""),
        ({"url": f"{here}/alpha.png", "caption": "transparent"}, ""),
        ({"url": f"{here}/turned.jpg", "caption": "on its side"}, ""),
        ({"url": f"{here}/page.html", "caption": "a page"}, "not_an_image"),
        ({"url": f"{here}/cut.jpg", "caption": "half"}, "truncated"),
        ({"url": f"{here}/short.jpg", "caption": "a lie"}, "incomplete"),
        ({"url": f"{here}/noai.jpg", "caption": "not for us"}, "opt_out"),
        ({"url": f"{here}/broken.jpg", "caption": "broken"}, "http_500"),
        ({"url": f"{here}/none.jpg", "caption": "gone"}, "http_404"),
        ({"url": f"{here}/other.jpg", "caption": "exchanged", "sha256": wrong}, "hash_mismatch"),
        ({"url": f"{here}/other.jpg", "caption": " NaN "}, "empty_caption"),
        ({"url": f"file://{tmp_path}/list.tsv", "caption": "a file"}, "scheme_not_allowed"),
        ({"url": "", "caption": "nothing"}, "bad_url"),
        ({"url": "http://127.0.0.1:9/a.jpg", "caption": "nobody there"}, "no_connection"),
    ]
    path = write_list(tmp_path / "list.tsv", [line for line, _ in lines])
    source = f"{{engine: url_list, list: list.tsv, {COLUMNS}, sha256: {{}}, allow_private_hosts: true, retries: 1}}"
    card = write_card(source, extra="licences: {BY: CC-BY-4.0}\n")
    counts = acquire(card, AcquireOptions(list=path, min_success_rate=0.2), tmp_path / "run")

    rows = rows_of(tmp_path / "run" / "raw" / "mine")
    assert [row["url"] for row in rows] == [line["url"] for line, _ in lines]
    assert [row["reason"] for row in rows] == [reason for _, reason in lines]
    assert counts == {"in": 16, "kept": 5, "dropped": {reason: 1 for _, reason in lines if reason}}
    assert [rows[i]["status"] for i in (0, 5, 8, 12, 13)] == [
        "success", "failed_to_resize", "failed_to_download", "excluded", "failed_to_download",
    ]  # fmt: skip
    assert rows[8]["opt_out"] == "X-Robots-Tag"
    found = list(read_raw(tmp_path / "run" / "raw" / "mine"))
    assert [image for _, image in found[:3]] == [jpeg] * 3
    assert [(row["ext"], row["error_message"]) for row, _ in found[3:]] == [
        ("png", "transparency on white"), ("png", "turned upright"),
    ]  # fmt: skip
    assert (rows[4]["width"], rows[4]["height"], rows[4]["original_width"]) == (16, 24, 24)
    assert (rows[0]["group"], rows[0]["category"], rows[0]["licence"], rows[0]["lang"]) == (
        "s1",
        "cover",
        "CC0-1.0",
        "en",
    )
    assert (rows[1]["group"], rows[1]["licence"], rows[1]["licence_source"], rows[1]["lang"]) == (
        rows[1]["url"], "CC-BY-4.0", "list", "fr",
    )  # fmt: skip
    assert rows[1]["caption"] == "the same again"
    assert site.asked["/good.jpg"] == 1
    assert site.asked["/broken.jpg"] == 2
    assert all("essen" in agent for agent in site.agents)


def test_a_host_name_or_a_redirect_that_leads_to_a_private_address_is_not_followed(site, write_card, tmp_path):
    path = write_list(tmp_path / "list.csv", [{"url": f"{site.address}/a.jpg", "caption": "literal"}])
    card = write_card("{engine: url_list, list: list.csv}")
    with pytest.raises(DataError, match=r"empty corpus: no row of mine succeeded \(private_address 1"):
        acquire(card, AcquireOptions(list=path), tmp_path / "run")
    assert not site.asked

    # What img2dataset's process does with an address that a name or a redirect led to.
    probe = (
        "import runpy, socket, sys\n"
        f"child = runpy.run_path({str(ROOT / 'pipeline/acquire/fetch_child.py')!r})\n"
        "try:\n    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)\n"
        "except PermissionError as error:\n    print('refused', error)\n"
        "else:\n    print('connected')\n"
    )
    port = site.address.rsplit(":", 1)[1]
    for allowed, outcome in (
        ("", "refused"),
        ("127.0.0.1:9", "refused"),
        (f"127.0.0.1:{port}", "connected"),
        ("any", "connected"),
    ):
        environment = {**os.environ, "ESSEN_FETCH_ALLOWED": allowed}
        done = subprocess.run(
            [sys.executable, "-c", probe, "localhost", port],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(outcome)


@pytest.mark.slow
@pytest.mark.usefixtures("img2dataset")
def test_too_few_successes_publish_nothing_and_are_tried_again(site, write_card, tmp_path):
    lines = pictures(site, 3)
    kept = site.pages.pop("/0.jpg"), site.pages.pop("/1.jpg")
    path = write_list(tmp_path / "list.csv", lines)
    card = write_card("{engine: url_list, list: list.csv, allow_private_hosts: true, retries: 0}")
    with pytest.raises(
        DataError, match=r"1 of 3 rows succeeded, less than the minimum of 50% \(http_404 2; for example: "
    ):
        acquire(card, AcquireOptions(list=path), tmp_path / "run")
    assert not (tmp_path / "run" / "raw" / "mine").exists()
    site.pages |= {"/0.jpg": kept[0], "/1.jpg": kept[1]}
    assert acquire(card, AcquireOptions(list=path), tmp_path / "run") == {"in": 3, "kept": 3, "dropped": {}}


@pytest.mark.usefixtures("img2dataset")
def test_picture_books_come_from_the_mirror_with_their_credits(corpora, tmp_path):
    card, options = load_card("picturebooks"), AcquireOptions(mirror=corpora / "picturebooks", limit=40)
    assert acquire(card, options, tmp_path) == {"in": 40, "kept": 40, "dropped": {}}
    with (corpora / "picturebooks" / "urls.tsv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))[:40]
    rows = rows_of(tmp_path / "raw" / "picturebooks")
    assert [(row["url"], row["sha256"], row["group"], row["category"]) for row in rows] == [
        (line["url"], line["sha256"], line["group"], line["kind"]) for line in lines
    ]
    assert rows[0]["attribution"] == (
        '"A very tall man" by Cornelius Gulere, illustrated by Catherine Groenewald. African Storybook, CC-BY'
    )
    assert {(row["licence"], row["lang"]) for row in rows} == {("LicenseRef-CC-BY-unversioned", "en")}
    assert b"127.0.0.1" not in b"".join(tree(tmp_path / "raw").values())


def test_a_list_that_cannot_be_found_is_said_how_to_give(tmp_path):
    card = load_card("picturebooks")
    with pytest.raises(ConfigError, match=r"where is the list urls\.tsv\? Give the folder .*--mirror DIR"):
        acquire(card, AcquireOptions(), tmp_path)
    with pytest.raises(ConfigError, match=r"there is no list .*urls\.tsv; give the folder"):
        source_params(card, AcquireOptions(mirror=tmp_path))
    write_list(tmp_path / "urls.tsv", [{"url": "https://example.org/a.jpg", "caption": "a"}])
    with pytest.raises(ConfigError, match=r"there is no .*ATTRIBUTION\.csv; the list's credits"):
        acquire(card, AcquireOptions(mirror=tmp_path), tmp_path)


def test_a_missing_environment_names_the_command_that_makes_it(write_card, tmp_path, monkeypatch):
    monkeypatch.setenv("ESSEN_IMG2DATASET", str(tmp_path / "nowhere"))
    path = write_list(tmp_path / "list.csv", [{"url": "https://example.org/a.jpg", "caption": "a"}])
    card = write_card("{engine: url_list, list: list.csv}")
    with pytest.raises(ConfigError, match=r"environment is missing \(.*nowhere\); run `essen setup`"):
        acquire(card, AcquireOptions(list=path), tmp_path / "run")
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(ConfigError, match="unfinished or out of date; run `essen setup`"):
        acquire(card, AcquireOptions(list=path), tmp_path / "run")


def test_parameters_follow_the_list_and_not_its_place(write_card, tmp_path):
    card = write_card("{engine: url_list, list: list.csv}")
    line = {"url": "https://example.org/a.jpg", "caption": "a"}
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        write_list(tmp_path / place / "list.csv", [line])
    one = source_params(card, AcquireOptions(mirror=tmp_path / "one"))
    assert one == source_params(card, AcquireOptions(mirror=tmp_path / "two"))
    assert one != source_params(card, AcquireOptions(list=tmp_path / "one" / "list.csv"))
    write_list(tmp_path / "two" / "list.csv", [{**line, "caption": "b"}])
    assert one != source_params(card, AcquireOptions(mirror=tmp_path / "two"))
    assert str(tmp_path) not in json.dumps(one)


@pytest.mark.parametrize(
    ("lines", "columns", "message"),
    [
        ([{"link": "x", "caption": "a"}], "{}", r"has no column url; it has caption, link"),
        ([{"url": "x", "captions": "a"}], "{}", r"has no column caption; did you mean captions\?"),
        (
            [
                {"url": "https://a.example/1", "caption": "a", "f": "1"},
                {"url": "https://b.example/1", "caption": "b", "f": "2"},
            ],
            "{file: f}",
            r"two files for the path /1: 1 and 2; a mirror has one",
        ),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(write_card, tmp_path, lines, columns, message):
    write_list(tmp_path / "list.csv", lines)
    card = write_card(f"{{engine: url_list, list: list.csv, columns: {columns}}}")
    with pytest.raises(ConfigError, match=message):
        acquire(card, AcquireOptions(mirror=tmp_path), tmp_path / "run")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("HTTP Error 403: Forbidden", "http_403"),
        ("<urlopen error timed out>", "timeout"),
        ("The read operation timed out", "timeout"),
        ("<urlopen error [Errno -2] Name or service not known>", "unknown_host"),
        ("<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired>", "tls"),
        ("private address 10.0.0.1", "private_address"),
        ("something else", "failed_to_download"),
    ],
)
def test_messages_become_reasons(message, reason):
    assert failure_reason(message) == reason


def processes_below(folder: Path) -> list[int]:
    """The processes of img2dataset that work on a folder, by their arguments and those of their parents."""
    parents, found = {}, set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if str(folder).encode() in (entry / "cmdline").read_bytes() and (entry / "cmdline").read_bytes().count(
                b"fetch_child"
            ):
                found.add(int(entry.name))
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def wait_for(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def start(card, path, out, **options):
    code = (
        "import sys; from pathlib import Path; from pipeline.acquire.card import load_card\n"
        "from pipeline.acquire.acquire import acquire; from pipeline.acquire.options import AcquireOptions\n"
        "if __name__ == '__main__':\n"
        "    card, path, out = map(Path, sys.argv[1:])\n"
        "    acquire(load_card(card), AcquireOptions(list=path, workers=1), out)\n"
    )
    arguments = [sys.executable, "-c", code, str(card.path), str(path), str(out)]
    return subprocess.Popen(arguments, cwd=ROOT, **options)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.usefixtures("img2dataset")
def test_killed_and_started_again_it_goes_on_and_ends_in_the_same_bytes(site, write_card, tmp_path):
    lines = pictures(site, 12, delay=0.1)
    path = write_list(tmp_path / "list.csv", lines)
    card = write_card("{engine: url_list, list: list.csv, allow_private_hosts: true, urls_per_part: 6, threads: 2}")
    parts = tmp_path / "killed" / "parts" / "mine"
    process = start(card, path, tmp_path / "killed")
    wait_for(lambda: parts.is_dir() and any(not entry.name.startswith("try-") for entry in parts.iterdir()))
    wait_for(lambda: site.asked["/6.jpg"])
    process.kill()
    process.wait()
    # With the caller gone, img2dataset ends by itself.
    wait_for(lambda: not processes_below(parts), seconds=10)
    asked = site.asked.copy()
    assert not (tmp_path / "killed" / "raw" / "mine" / "00000.parquet").exists()

    acquire(card, AcquireOptions(list=path), tmp_path / "killed")
    assert all(site.asked[f"/{number}.jpg"] == asked[f"/{number}.jpg"] == 1 for number in range(6))
    acquire(card, AcquireOptions(list=path, workers=1), tmp_path / "straight")
    assert tree(tmp_path / "killed" / "raw") == tree(tmp_path / "straight" / "raw")
    assert not list(parts.glob("try-*"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.usefixtures("img2dataset")
def test_a_killed_worker_of_img2dataset_does_not_hang_the_run(site, write_card, tmp_path):
    path = write_list(tmp_path / "list.csv", pictures(site, 8, delay=0.3))
    card = write_card("{engine: url_list, list: list.csv, allow_private_hosts: true, threads: 1, patience: 100}")
    process = start(card, path, tmp_path / "run")
    wait_for(lambda: site.asked["/1.jpg"])
    top, *_ = processes_below(tmp_path / "run" / "parts")
    workers = [pid for pid in processes_below(tmp_path / "run" / "parts") if pid != top]
    for pid in workers:
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=120) == 0
    assert [row["status"] for row in rows_of(tmp_path / "run" / "raw" / "mine")] == ["success"] * 8


@pytest.mark.slow
@pytest.mark.usefixtures("img2dataset")
def test_an_answer_without_end_costs_its_own_row(site, write_card, tmp_path):
    lines = pictures(site, 2)
    site.pages["/1.jpg"] = Page(b"\xff\xd8\xff", drips=True)
    path = write_list(tmp_path / "list.csv", lines)
    card = write_card("{engine: url_list, list: list.csv, allow_private_hosts: true, patience: 3, timeout: 2}")
    counts = acquire(card, AcquireOptions(list=path), tmp_path / "run")
    assert counts == {"in": 2, "kept": 1, "dropped": {"no_end": 1}}
    assert rows_of(tmp_path / "run" / "raw" / "mine")[1]["reason"] == "no_end"
