"""URL lists: the real img2dataset against a real server, judged by what lies on the disk afterwards."""

import csv
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from acquire_helpers import Page, encoded, noise, rows_of
from PIL import Image

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import load_card
from pipeline.acquire.engines import url_list
from pipeline.acquire.net.config import NetConfig
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.errors import ConfigError, DataError
from pipeline.files import files_below

COLUMNS = "columns: {group: story, category: kind, licence: licence, lang: lang}"
NET = "net: {allow_private_hosts: true, backoff: 0, deadline: 5, per_host: 16}"


def write_list(path, rows):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t" if path.suffix == ".tsv" else ",", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def content(folder):
    """All bytes of the files below a folder."""
    return b"".join(file.read_bytes() for file in files_below(folder))


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
        "/empty.jpg": Page(b""),
        "/cut.jpg": Page(jpeg[: len(jpeg) // 2]),
        "/short.jpg": Page(jpeg[:100], headers={"Content-Length": str(len(jpeg))}),
        "/noai.jpg": Page(jpeg, headers={"X-Robots-Tag": "noai"}),
        "/large.jpg": Page(bytes(300_000)),
        "/drips.jpg": Page(jpeg, drips=True),
        "/broken.jpg": Page(status=500),
        "/other.jpg": Page(jpeg),
        "/robots.txt": Page(b"User-agent: essen\nDisallow: /private/\n"),
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
        ({"url": f"{here}/large.jpg", "caption": "more than allowed"}, "too_large"),
        ({"url": f"{here}/drips.jpg", "caption": "without end"}, "timeout"),
        ({"url": f"{here}/private/a.jpg", "caption": "not for robots"}, "opt_out"),
        ({"url": f"{here}/empty.jpg", "caption": "no bytes"}, "not_an_image"),
    ]
    path = write_list(tmp_path / "list.tsv", [line for line, _ in lines])
    net = "{allow_private_hosts: true, attempts: 2, backoff: 0, deadline: 1.5, max_bytes: 200000, failures: 9}"
    card = write_card(
        f"{{engine: url_list, list: list.tsv, {COLUMNS}, sha256: {{}}, net: {net}}}",
        extra="licences: {BY: CC-BY-4.0}\n",
    )
    counts = acquire(card, AcquireOptions(list=path, min_success_rate=0.2), tmp_path / "run")

    rows = rows_of(tmp_path / "run" / "raw" / "mine")
    assert [row["url"] for row in rows] == [line["url"] for line, _ in lines]
    assert [row["reason"] for row in rows] == [reason for _, reason in lines]
    assert (counts["in"], counts["kept"], counts["dropped"]["not_an_image"]) == (20, 5, 2)
    assert [rows[i]["status"] for i in (0, 5, 8, 12, 13)] == [
        "success", "failed_to_resize", "failed_to_download", "excluded", "failed_to_download",
    ]  # fmt: skip
    assert [bool(row["opt_out"]) for row in rows] == [reason == "opt_out" for _, reason in lines]
    assert "robots.txt" in rows[18]["opt_out"]
    found = list(read_raw(tmp_path / "run" / "raw" / "mine"))
    assert [image for _, image in found[:3]] == [jpeg] * 3
    assert [row["ext"] for row, _ in found[3:]] == ["png", "png"]
    assert (rows[4]["width"], rows[4]["height"], rows[4]["original_width"]) == (16, 24, 24)
    assert (rows[0]["group"], rows[0]["category"], rows[0]["licence"], rows[0]["lang"]) == (
        "s1", "cover", "CC0-1.0", "en",
    )  # fmt: skip
    assert (rows[1]["group"], rows[1]["licence"], rows[1]["licence_source"], rows[1]["lang"]) == (
        rows[1]["url"], "CC-BY-4.0", "list", "fr",
    )  # fmt: skip
    assert rows[1]["caption"] == "the same again"
    assert rows[11]["original_sha256"] == right
    # What the server saw: each URL once, what may pass a second time, robots.txt once, one name.
    assert (site.asked["/good.jpg"], site.asked["/broken.jpg"], site.asked["/none.jpg"]) == (1, 2, 1)
    assert (site.asked["/robots.txt"], site.asked["/private/a.jpg"]) == (1, 0)
    assert site.agents == {NetConfig().user_agent}
    assert b"127.0.0.1:" + str(site.address.rsplit(":")[-1]).encode() in content(tmp_path / "run")
    assert not list((tmp_path / "run" / "parts" / "mine").glob("try-*"))


def test_a_private_address_is_not_fetched_unless_allowed(site, write_card, tmp_path):
    path = write_list(tmp_path / "list.csv", [{"url": f"{site.address}/a.jpg", "caption": "literal"}])
    card = write_card("{engine: url_list, list: list.csv}")
    with pytest.raises(DataError, match=r"empty corpus: no row of mine succeeded \(private_address 1"):
        acquire(card, AcquireOptions(list=path), tmp_path / "run")
    assert not site.asked


@pytest.mark.usefixtures("img2dataset")
def test_an_edited_list_costs_only_its_new_urls_and_has_nothing_stale(site, write_card, tmp_path):
    lines = pictures(site, 30)
    gone = {"url": f"{site.address}/gone.jpg", "caption": "gone"}
    card = write_card(f"{{engine: url_list, list: list.csv, urls_per_part: 12, {NET}}}")
    write_list(tmp_path / "list.csv", [*lines[:28], gone])  # beside the card
    acquire(card, AcquireOptions(workers=1), tmp_path / "run")
    first = site.asked.copy()

    edited = [{**line, "caption": f"{line['caption']}, edited"} for line in reversed(lines)] + [gone]
    write_list(tmp_path / "list.csv", edited)
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 30
    new = {
        path: count
        for path, count in (site.asked - first).items()
        if path not in ("/robots.txt", "/.well-known/tdmrep.json")
    }
    assert new == {"/28.jpg": 1, "/29.jpg": 1}
    found = list(read_raw(tmp_path / "run" / "raw" / "mine"))
    assert [(row["url"], row["caption"]) for row, _ in found] == [
        (line["url"], line["caption"]) for line in edited[:-1]
    ]
    assert [image for _, image in found] == [site.pages[f"/{n}.jpg"].body for n in reversed(range(30))]


@pytest.mark.usefixtures("img2dataset")
def test_hosts_that_come_back_are_asked_again_and_nobody_else(site, write_card, tmp_path):
    lines = pictures(site, 8)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    away = f"http://127.0.0.1:{server.server_address[1]}"
    server.server_close()
    lines += [{"url": f"{away}/{n}.jpg", "caption": f"away {n}"} for n in range(12)]
    write_list(tmp_path / "list.csv", lines)
    card = write_card(f"{{engine: url_list, list: list.csv, {NET}}}")
    with pytest.raises(
        DataError, match=r"8 of 20 rows succeeded, less than the minimum of 50% .*run again to retry"
    ) as error:
        acquire(card, AcquireOptions(), tmp_path / "run")
    assert error.value.exit_code == 3
    assert not (tmp_path / "run" / "raw" / "mine").exists()
    asked = site.asked.copy()

    picture = site.pages["/0.jpg"].body

    class Back(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path.endswith(".jpg") else 404)
            self.end_headers()
            self.wfile.write(picture)

        log_message = lambda *_: None  # noqa: E731

    server = ThreadingHTTPServer(("127.0.0.1", int(away.rsplit(":", 1)[1])), Back)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        assert acquire(card, AcquireOptions(), tmp_path / "run") == {"in": 20, "kept": 20, "dropped": {}}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert site.asked == asked


@pytest.mark.usefixtures("img2dataset")
def test_when_all_rows_fail_for_good_nothing_is_published_and_nobody_is_asked_twice(site, write_card, tmp_path):
    write_list(tmp_path / "list.csv", [{"url": f"{site.address}/{n}.jpg", "caption": f"{n}"} for n in range(20)])
    card = write_card(f"{{engine: url_list, list: list.csv, {NET}}}")
    for _ in range(2):
        with pytest.raises(DataError, match=r"empty corpus: no row of mine succeeded \(http_404 20; for") as error:
            acquire(card, AcquireOptions(), tmp_path / "run")
        assert error.value.exit_code == 3
        assert not (tmp_path / "run" / "raw" / "mine").exists()
    assert {count for path, count in site.asked.items() if path.endswith(".jpg")} == {1}


@pytest.mark.usefixtures("img2dataset")
def test_a_body_that_changed_since_its_first_use_is_refused_until_it_is_accepted(site, write_card, tmp_path):
    lines = pictures(site, 100)
    sums = [hashlib.sha256(site.pages[f"/{n}.jpg"].body).hexdigest() for n in range(100)]
    write_list(tmp_path / "list.csv", [{**line, "sha256": sums[n]} for n, line in enumerate(lines)])
    lock = AcquireOptions(ledger=tmp_path / "ledger")
    card = write_card(f"{{engine: url_list, list: list.csv, {NET}}}")
    assert acquire(card, lock, tmp_path / "first")["kept"] == 100

    changed = range(3, 100, 20)
    for number in changed:
        site.pages[f"/{number}.jpg"] = Page(encoded(noise(1_000 + number), "JPEG"))
    counts = acquire(card, lock, tmp_path / "second")
    assert counts == {"in": 100, "kept": 95, "dropped": {"changed_since_first_use": 5}}
    rows = rows_of(tmp_path / "second" / "raw" / "mine")
    assert [n for n, row in enumerate(rows) if row["reason"]] == list(changed)
    assert f"its sha256 was {sums[3]}" in rows[3]["error_message"]

    # From here on everything is in the parts of the second run.
    asked = site.asked.copy()
    accepting = write_card(f"{{engine: url_list, list: list.csv, on_changed: accept, {NET}}}")
    assert acquire(accepting, lock, tmp_path / "second")["kept"] == 100
    assert acquire(card, lock, tmp_path / "second")["kept"] == 100  # the new hashes are locked now
    listed = write_card(f"{{engine: url_list, list: list.csv, sha256: {{}}, {NET}}}")
    counts = acquire(listed, AcquireOptions(), tmp_path / "second")
    assert counts == {"in": 100, "kept": 95, "dropped": {"hash_mismatch": 5}}
    assert site.asked == asked


@pytest.mark.usefixtures("img2dataset")
def test_the_smallest_lists(site, write_card, tmp_path):
    (line,) = pictures(site, 1)
    card = write_card(f"{{engine: url_list, list: list.csv, {NET}}}")
    for lines, outcome in (([line], 1), ([line] * 3, 3), ([{**line, "caption": ""}], 0), ([], 0)):
        write_list(tmp_path / "list.csv", lines)
        if outcome:
            assert acquire(card, AcquireOptions(), tmp_path / "run")["kept"] == outcome
        else:
            with pytest.raises(DataError, match="empty corpus"):
                acquire(card, AcquireOptions(), tmp_path / "run")
    assert site.asked["/0.jpg"] == 1


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
    assert b"127.0.0.1" not in content(tmp_path / "raw")


def test_a_list_that_cannot_be_found_is_said_how_to_give(tmp_path):
    card = load_card("picturebooks")
    with pytest.raises(ConfigError, match=r"where is the list urls\.tsv\? .* Give the folder .*--mirror DIR"):
        acquire(card, AcquireOptions(), tmp_path)
    assert url_list.availability(card, card.source) in ("needs --mirror or a list", "needs `essen setup`")
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
                {"url": "https://a.example/1", "caption": "b", "f": "2"},
            ],
            "{file: f}",
            r"two files for https://a\.example/1: 1 and 2; a mirror has one",
        ),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(write_card, tmp_path, lines, columns, message):
    write_list(tmp_path / "list.csv", lines)
    card = write_card(f"{{engine: url_list, list: list.csv, columns: {columns}}}")
    with pytest.raises(ConfigError, match=message):
        acquire(card, AcquireOptions(mirror=tmp_path), tmp_path / "run")
