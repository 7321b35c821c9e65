import pytest

from pipeline.licences import GROUPS, hub_licence, licence_class, licence_group, most_restrictive, strictest_group


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
        ("CC-BY-NC-ND-4.0", "non-commercial"),
        ("CC-BY-NC", "non-commercial"),
        ("CC-BY-ND", "no derivatives"),
        ("PolyForm-Noncommercial-1.0.0", "non-commercial"),
        ("cc-by-4.0", "attribution"),
        ("LicenseRef-CC-BY-unversioned", "attribution"),
        ("LicenseRef-CC-BY-SA-unversioned", "share alike"),
        ("LicenseRef-PublicDomain", "public domain"),
        ("CC-BY", "unknown"),
        ("MIT-ish", "unknown"),
        ("LicenseRef-mine", "unknown"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "share alike"),
        ("CC0-1.0 OR CC-BY-SA-4.0", "share alike"),
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


@pytest.mark.parametrize(
    ("expression", "group"),
    [
        ("CC0-1.0", "open"),
        ("MIT", "open"),
        ("CC-BY-4.0", "open"),
        ("GPL-3.0-only", "share_alike"),
        ("CC-BY-ND-4.0", "no_derivatives"),
        ("CC-BY-NC-4.0", "non_commercial"),
        ("NOASSERTION", "unknown"),
    ],
)
def test_the_free_classes_share_a_group_and_no_other_does(expression: str, group: str) -> None:
    assert licence_group(expression) == group
    assert group in GROUPS


def test_the_strictest_group_of_several() -> None:
    assert strictest_group(["open", "share_alike"]) == "share_alike"
    assert strictest_group(["closed", "unknown", "open"]) == "closed"


def test_no_two_groups_have_shards_of_the_same_names() -> None:
    assert len(set(GROUPS.values())) == len(GROUPS)
