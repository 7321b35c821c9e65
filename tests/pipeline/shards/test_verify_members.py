"""Archives that another hand has written, with hashes that agree: every member is looked at."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rewritten import Member, resign, rewrite

from pipeline.shards.verify import verify_stages


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m[:3] + m, "already"),
        (lambda m: [*m, *m[:3]], "already"),
        (lambda m: m[:-1], "the last sample is not whole"),
        (lambda m: [m[0], m[3], *m[1:3], *m[4:]], "not adjacent and sorted"),
        (lambda m: [m[1], m[0], *m[2:]], "not adjacent and sorted"),
        (lambda m: [("../../evil.jpg", b"x"), *m], "not a regular file named"),
        (lambda m: [*m, ("payload.pickle", b"x")], "not a regular file named"),
        (lambda m: [*m, ("/etc/x.jpg", b"x")], "not a regular file named"),
        (lambda m: [*m, ("array.npy", b"\x93NUMPY")], "not a regular file named"),
        (lambda m: [(f".{m[0][0]}", m[0][1]), *m[1:]], "not a regular file named"),
        (lambda m: [(m[0][0].replace(".jpg", ".x.jpg"), m[0][1]), *m[1:]], "not a regular file named"),
        (lambda m: [("é" + m[0][0][1:], m[0][1]), *m[1:]], "not a regular file named"),
        (lambda m: [m[0], *m], "not adjacent and sorted"),
        (lambda m: [(m[0][0].upper(), m[0][1]), *m[1:]], "not a regular file named"),
        (lambda m: [*m[3:6], *m[:3], *m[6:]], "is not where the index says"),
        (lambda m: [*m[:2], (m[2][0], b"other words"), *m[3:]], "is not that of the index"),
        (lambda m: m[3:], "samples"),
    ],
)
def test_what_another_hand_has_written_is_compared_member_by_member(
    stages: Path, change: Callable[[list[Member]], list[Member]], said: str
) -> None:
    path = stages / "3-three/00001.tar"
    rewrite(path, change)
    resign(stages)
    problems = verify_stages(stages)
    assert any(said in problem and str(path) in problem for problem in problems), problems


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_members_that_are_no_plain_files_are_named_and_nothing_is_written(
    stages: Path, tmp_path: Path, kind: bytes
) -> None:
    path = stages / "1-one/00000.tar"
    info = tarfile.TarInfo(f"{'a' * 32}.jpg")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(path, "a") as tar:
        tar.addfile(info)
    resign(stages)
    before = sorted(tmp_path.rglob("*"))
    problems = verify_stages(stages)
    assert any("is not a regular file named" in problem and str(path) in problem for problem in problems), problems
    assert sorted(tmp_path.rglob("*")) == before


def test_a_uid_in_another_shard_of_the_set_is_found(stages: Path) -> None:
    first, second = stages / "1-one/00000.tar", stages / "1-one/00001.tar"
    members: list[Member] = []
    rewrite(first, lambda m: members.extend(m[:3]) or m)  # type: ignore[func-returns-value]
    rewrite(second, lambda m: [*m, *members])
    resign(stages)
    assert any(str(second) in p and f"which is in {first} already" in p for p in verify_stages(stages))


def test_one_sample_in_two_sets_is_found(stages: Path) -> None:
    shutil.rmtree(stages / "eval-validation")
    shutil.copytree(stages / "eval-test_names", stages / "eval-validation")
    resign(stages)
    problems = verify_stages(stages)
    assert any("eval-validation" in problem and "already" in problem for problem in problems)
