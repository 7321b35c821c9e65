"""Cards: the ones that come with the project, and what a person is told about a wrong one of their own."""

from string import Template

import pytest

from pipeline.acquire.card import CARDS, list_cards, load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.sources import IconifySource, UrlListSource
from pipeline.errors import ConfigError


def test_every_card_loads_and_says_what_must_be_said():
    cards = list_cards()
    assert [card.name for card in cards] == sorted(path.stem for path in CARDS.glob("*.md"))
    assert {"noto", "twemoji", "fluent-emoji-flat", "fxemoji", "emojione", "picturebooks"} <= {c.name for c in cards}
    for card in cards:
        assert load_card(card.path) == card
        assert card.licence in card.attribution or card.licences
        for section in ("## How it is obtained", "## Known noise", "## Safety"):
            assert section in card.body


def test_the_cards_name_the_packages_exactly():
    versions = {c.source.package: c.source.version for c in list_cards() if isinstance(c.source, IconifySource)}
    assert versions == {
        "@iconify-json/noto": "1.2.9",
        "@iconify-json/twemoji": "1.2.5",
        "@iconify-json/fluent-emoji-flat": "1.2.6",
        "@iconify-json/fxemoji": "1.2.2",
        "@iconify-json/emojione": "1.2.3",
    }


def test_the_picture_book_card_maps_the_lists_licences_to_spdx():
    card = load_card("picturebooks")
    assert card.child_directed
    assert isinstance(card.source, UrlListSource)
    assert card.spdx("CC-BY") == "LicenseRef-CC-BY-unversioned"
    assert card.spdx("CC-BY-4.0") == "CC-BY-4.0"
    assert card.spdx("") == card.licence
    assert card.source.attribution is not None
    assert {"title", "text_author", "illustrator"} <= set(Template(card.source.attribution.template).get_identifiers())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1.2.9", "verion: 1.2.9", "unknown key source.verion; did you mean version?"),
        ("{flags: true", "{flag: true", "unknown key source.exclude.flag; did you mean flags?"),
        ("title: ", "titel: ", "unknown key titel; did you mean title?"),
        ("  size: 128", "  size: big", "source.size: input should be a valid integer"),
        ("engine: iconify", "engine: iconfy", "'iconify', 'url_list', 'folder'"),
        ("version: 1.2.9", "version: latest", "source.version: string should match pattern"),
        ("name: noto", "name: [", "its front matter is not YAML"),
        ("---\nname", "name", "has no front matter"),
        ("language: en\n", "", ""),
    ],
)
def test_a_wrong_card_is_refused_in_one_line(tmp_path, old, new, message):
    text = (CARDS / "noto.md").read_text()
    assert old in text
    path = tmp_path / "card.md"
    path.write_text(text.replace(old, new, 1))
    if not message:
        assert load_card(path).language == "und"
        return
    with pytest.raises(ConfigError) as caught:
        load_card(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistyped_name_brings_the_nearest_card():
    with pytest.raises(ConfigError, match=r"named notto; did you mean noto\?; known: emojione, "):
        load_card("notto")
    with pytest.raises(ConfigError, match=r"there is no data card /nowhere/card\.md"):
        load_card("/nowhere/card.md")


def test_options_refuse_what_they_do_not_know():
    assert AcquireOptions().workers == 2
    with pytest.raises(ValueError, match="limitt"):
        AcquireOptions.model_validate({"limitt": 3})
