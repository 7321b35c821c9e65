"""Trust on first use: what is locked, and that two runs do not lose each other's locks."""

from concurrent.futures import ThreadPoolExecutor

from pipeline.acquire.hashes import lock, locked


def test_what_was_locked_is_found_again_and_a_new_hash_takes_the_place_of_an_old_one(tmp_path):
    assert locked(tmp_path, "mine") == {}
    lock(tmp_path, "mine", {"https://a.example/1": "a" * 64})
    lock(tmp_path, "mine", {"https://a.example/2": "b" * 64, "https://a.example/1": "c" * 64})
    assert locked(tmp_path, "mine") == {"https://a.example/1": "c" * 64, "https://a.example/2": "b" * 64}
    assert locked(tmp_path, "other") == {}


def test_its_bytes_depend_on_what_is_locked_alone(tmp_path):
    lock(tmp_path / "one", "mine", {"https://a.example/1": "a" * 64, "https://a.example/2": "b" * 64})
    lock(tmp_path / "two", "mine", {"https://a.example/2": "b" * 64})
    lock(tmp_path / "two", "mine", {"https://a.example/1": "a" * 64})
    one, two = ((tmp_path / name / "hashes" / "mine.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


def test_locks_of_runs_at_the_same_time_add_up(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: lock(tmp_path, "mine", {f"https://a.example/{n}": f"{n:064d}"}), range(40)))
    assert len(locked(tmp_path, "mine")) == 40
