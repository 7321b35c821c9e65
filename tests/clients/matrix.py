"""The table of clients: what opens what is published, in which way, and the test that does it."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HEAD = ("client", "version", "opens", "samples")
MARKS = ("<!-- clients -->\n", "<!-- /clients -->")
NOT_RUN = "not run"


class Row(NamedTuple):
    """A client.

    Attributes:
        client: its name.
        version: of its package: what the test installs; ``constraints:NAME`` for that of the tests' environment.
        opens: what it is given, and how it reads.
        samples: how many it returns, all with the uid, bytes or vectors that they should have; None: it shows none.
        test: that makes it do so; else why it is not run.
    """

    client: str
    version: str
    opens: str
    samples: int | None
    test: str

    @property
    def is_run(self) -> bool:
        """Whether a test makes it read."""
        return self.test.startswith("test_")


CLIENTS = (
    Row("clip_benchmark", "1.6.2", "a folder of `clip_benchmark/` as `wds/…`", 20, "test_clip_benchmark"),
    Row(
        "datasets",
        "constraints:datasets",
        "the folder by its card, every configuration of the shards",
        160,
        "test_hf_datasets_by_the_configurations_of_the_card[False]",
    ),
    Row(
        "datasets",
        "constraints:datasets",
        "the same, streamed",
        160,
        "test_hf_datasets_by_the_configurations_of_the_card[True]",
    ),
    Row(
        "datasets",
        "constraints:datasets",
        "`atlas.parquet`, its pictures as pictures",
        160,
        "test_hf_datasets_shows_the_atlas",
    ),
    Row(
        "embedding-atlas",
        "0.26.0",
        "`atlas.parquet`, by its command, as points on the map",
        160,
        "test_embedding_atlas",
    ),
    Row(
        "FiftyOne",
        "1.22.1",
        '`atlas.parquet` as a hub data set of its own: `load_from_hub(…, format="parquet", filepath="image")`',
        None,
        "needs a MongoDB server; the form is that of its documentation",
    ),
    Row(
        "huggingface_hub",
        "constraints:huggingface_hub",
        "the cards of data and model, their fields",
        None,
        "test_the_cards_of_the_hub",
    ),
    Row(
        "mlcroissant",
        "constraints:mlcroissant",
        "`croissant.json`, every record set, sha256 checked",
        160,
        "test_mlcroissant",
    ),
    Row(
        "NumPy",
        "constraints:numpy",
        "`subsets/*.npy` as DataComp's tools do",
        120,
        "test_numpy_reads_the_subsets_of_datacomp",
    ),
    Row(
        "ONNX Runtime",
        "constraints:onnxruntime",
        "both towers of `models/…/onnx`, pictures and captions",
        20,
        "test_onnx_runtime",
    ),
    Row(
        "open_clip",
        "constraints:open_clip_torch",
        "the stages joined by `::`, by its training loader (webdataset 0.2.86)",
        120,
        "test_the_training_loader_of_open_clip",
    ),
    Row(
        "open_clip",
        "constraints:open_clip_torch",
        "`train_open_clip.sh`, 21 steps of its training command",
        None,
        "test_twenty_steps_over_two_stages",
    ),
    Row("pandas", "constraints:pandas", "`atlas.parquet` and `samples.parquet`", 160, "test_pandas_reads_the_tables"),
    Row("tarfile", "3.11, 3.12", "the shards", 120, "test_tarfile"),
    Row(
        "Transformers",
        "constraints:transformers",
        "`models/…` by `AutoModel`, `AutoTokenizer`, `AutoImageProcessor`",
        20,
        "test_transformers",
    ),
    Row("webdataset", "constraints:webdataset", "the shards", 120, "test_webdataset"),
    Row("webdataset", "0.2.111", "the shards", 120, "test_the_last_webdataset_before_1"),
    Row("wids", "constraints:wids", "`index.json` of every stage, by number", 120, "test_wids"),
)


def markdown() -> str:
    """Return the clients as the table of the README."""
    rows = [(row.client, _version(row.version), row.opens, _samples(row)) for row in CLIENTS]
    return "".join(f"| {' | '.join(line)} |\n" for line in (HEAD, ("---", "---", "---", "---:"), *rows))


def in_readme() -> str:
    """Return what the README has between its marks; empty where they are not there."""
    _, _, after = (ROOT / "README.md").read_text(encoding="utf-8").partition(MARKS[0])
    return after.partition(MARKS[1])[0]


def _version(version: str) -> str:
    place, _, package = version.partition(":")
    if place != "constraints":
        return version
    found = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None, f"constraints.txt does not name {package}"
    return found[1]


def _samples(row: Row) -> str:
    if not row.is_run:
        return f"{NOT_RUN}: {row.test}"
    return "–" if row.samples is None else str(row.samples)
