"""Titles as people and programs wrote them, and the captions that are left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.engines.clip_art_text import Series, Work, agrees, caption, cleaned_title, file_words, read_work
from pipeline.acquire.pictures.drawing import read_svg


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("Acoustic Guitar", "Acoustic Guitar"),
        ("guitar2", "guitar"),
        ("Tigre02", "Tigre"),
        ("star (3)", "star"),
        ("Flat_Cake_bw", "Flat Cake"),
        ("Ice Cream Cone (2 scoop) (B and W)", "Ice Cream Cone (2 scoop)"),
        ("coccinelle2.svg", "coccinelle"),
        ("Clipart by Nicu Buculei - baloon1_04", "baloon"),
        ("Dog 01 Drawn With Straight Lines", "Dog 01 Drawn With Straight Lines"),
        ("  Many\n spaces ", "Many spaces"),
        ("2004", ""),
    ],
)
def test_titles_lose_numbers_authors_and_file_endings(title, cleaned):
    assert cleaned_title(title) == cleaned


@given(st.text(max_size=40))
def test_cleaning_any_title_ends_and_adds_nothing(title):
    cleaned = cleaned_title(title)
    assert len(cleaned) <= 3 * len(title) + 1  # a letter may fall into parts in NFC
    assert cleaned == cleaned.strip()


@pytest.mark.parametrize(
    ("title", "stem", "same"),
    [
        ("Left Foot Print", "left_foot_print_benji_pa_02", True),
        ("National flag of Republic of China (Taiwan)", "national_flag_of_republ_", True),
        ("Café", "cafe", True),
        ("jigsaw red", "jigsaw_blue_03", False),
        ("piggybank", "rubik", False),
        ("", "rubik", False),
        ("x", "04", False),
    ],
)
def test_a_title_agrees_with_a_file_name_that_begins_with_it(title, stem, same):
    assert agrees(title, stem) is same


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_caption"),
        ("untitled", "not_a_caption"),
        ("New document 1", "not_a_caption"),
        ("jean.victor.balin@gmail.com", "not_a_caption"),
        ("www.example.org", "not_a_caption"),
        ("see example.com", "not_a_caption"),
        ("HASH(0x89b1318)", "not_a_caption"),
        (":)", "not_a_caption"),
        ("MD", "not_a_caption"),
        ("A new drawing of a test tube", ""),
        ("ox cart", ""),
    ],
)
def test_what_names_nothing_is_no_caption(text, reason):
    assert caption("title", Work(title=text), "01", Series(8))[1] == reason


def test_the_name_of_the_file_stands_in_without_its_author_and_version():
    assert file_words("sheep-md-v0.1", "Ann") == "sheep"
    assert file_words("cone2_ganson", "Bob Ganson") == "cone"
    assert file_words("balloon-black-aj", "AJ Ashton") == "balloon black"
    assert file_words("sm_014", "") == "sm"
    assert caption("title", Work(), "pine_tree_02", Series(8)) == ("pine tree", "", "file name")


def test_metadata_of_either_vocabulary_is_read_and_its_absence_is_no_error():
    rdf = """<svg><metadata><rdf:RDF
        xmlns:cc="http://creativecommons.org/ns#"
        xmlns:dc="http://purl.org/dc/elements/1.1/"
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <cc:Work><dc:title>Gelato all&amp;#39;italiana</dc:title><cc:license>Public Domain</cc:license></cc:Work>
        <cc:Work><cc:license rdf:resource="urn:x"/></cc:Work>
        </rdf:RDF></metadata></svg>"""
    work = read_work(read_svg(rdf.encode()))
    assert work == Work(title="Gelato all'italiana", licences=("Public Domain", "urn:x"))
    assert read_work(read_svg(b"<svg/>")) is None
