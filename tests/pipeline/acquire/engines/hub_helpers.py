"""One data set of ten pictures with two captions each, in every form that the engine hub reads."""

import json
from pathlib import Path

from acquire_helpers import encoded, noise, tar_of

from pipeline.tables import write_table

KINDS = ("PNG", "JPEG", "WEBP", "GIF")
PICTURES = [encoded(noise(number), KINDS[number % 4]) for number in range(10)]
WORDS = [[f"picture {number}", f"number {number}"] for number in range(10)]


def content(rows: list[dict]) -> list[tuple[str, str, str]]:
    return [(row["original_sha256"], row["caption"], row["reason"]) for row in rows]


def write_sets(folder: Path) -> None:
    """Write the data set into a folder, once for each form."""
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.List(datasets.Value("string")),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "info": {"licence": datasets.Value("string"), "who": datasets.Value("string")},
            "notes": datasets.List({"raw": datasets.Value("string")}),
        }
    )
    records = [
        {
            "image": {"bytes": picture, "path": None},
            "caption": words,
            "label": number % 2,
            "info": {"licence": "cc-by", "who": f"painter {number}"},
            "notes": [{"raw": f"note {number}"}],
        }
        for number, (picture, words) in enumerate(zip(PICTURES, WORDS, strict=True))
    ]
    table = datasets.Dataset.from_list(records, features=features)
    for name, part in (("train", table), ("test", table.select(range(3)))):
        (folder / "parquet").mkdir(exist_ok=True)
        part.to_parquet(folder / "parquet" / f"{name}.parquet")
    table.save_to_disk(folder / "saved")
    datasets.DatasetDict(train=table, test=table.select(range(3))).save_to_disk(folder / "dictionary")
    plain = [{"bytes": picture, "path": None} for picture in PICTURES]
    write_table(folder / "struct.parquet", {"image": plain, "caption": WORDS})
    write_table(folder / "binary.parquet", {"image": PICTURES, "caption": WORDS})
    (folder / "images" / "deep").mkdir(parents=True)
    lines = []
    for number, picture in enumerate(PICTURES):
        name = f"deep/{number}.{KINDS[number % 4].lower()}"
        (folder / "images" / name).write_bytes(picture)
        lines.append(json.dumps({"file_name": name, "caption": WORDS[number]}) + "\n")
    (folder / "images" / "metadata.jsonl").write_text("".join(lines))
    (folder / "tars").mkdir()
    for shard in range(2):
        members = []
        for number in range(5 * shard, 5 * shard + 5):
            record = json.dumps({"caption": WORDS[number]}).encode()
            members += [(f"{number:02d}.{KINDS[number % 4].lower()}", PICTURES[number]), (f"{number:02d}.json", record)]
        (folder / "tars" / f"{shard}.tar").write_bytes(tar_of(*members))
