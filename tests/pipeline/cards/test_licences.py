import pytest

from pipeline.cards.licences import hub_licence, licence_class, most_restrictive


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("CC0-1.0", "public domain"),
        ("MIT", "permissive"),
        ("Apache-2.0", "permissive"),
        ("CC-BY-4.0", "attribution"),
        ("CC-BY-SA-4.0", "share alike"),
        ("GPL-2.0-or-later", "share alike"),
        ("CC-BY-ND-4.0", "no derivatives"),
        ("CC-BY-NC-4.0", "non-commercial"),
        ("CC-BY-NC-SA-3.0", "non-commercial"),
        ("NOASSERTION", "unknown"),
        ("", "unknown"),
        ("my own words", "unknown"),
        ("MIT AND CC-BY-SA-4.0", "share alike"),
        ("(MIT OR Apache-2.0) AND CC-BY-NC-4.0", "non-commercial"),
    ],
)
def test_the_class_is_that_of_the_most_restrictive_part(expression: str, kind: str) -> None:
    assert licence_class(expression) == kind


def test_the_most_restrictive_of_several() -> None:
    assert most_restrictive(["MIT", "CC-BY-4.0", "CC0-1.0"]) == "CC-BY-4.0"
    assert most_restrictive(["MIT", "NOASSERTION", "CC-BY-NC-4.0"]) == "NOASSERTION"
    assert most_restrictive(["MIT", "Apache-2.0"]) == most_restrictive(["Apache-2.0", "MIT"]) == "Apache-2.0"


def test_the_hubs_words() -> None:
    assert hub_licence("CC-BY-SA-4.0") == "cc-by-sa-4.0"
    assert hub_licence("GPL-2.0-only") == "gpl-2.0"
    assert hub_licence("NOASSERTION") == "other"
