"""Training rows made up by rule, and a learner that gets better with every step: what samplers are tested on."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from essen.config import SamplingConfig
from essen.data import read_pairs
from essen.sampling.build import build_sampler
from essen.sampling.orders import Columns, hold_out
from essen.sampling.sampler import Logits, Question, Rows, Sampler, next_batch
from pipeline import files
from pipeline.shards.read import open_stages
from pipeline.shards.write import file_entry
from pipeline.tables import write_table

CORPORA = ("drawings", "books", "stamps")


def make_columns(count: int = 240, *, pictures: int | None = None, captions: int = 40, seed: int = 0) -> Columns:
    """Rows of three corpora in three stages; some pictures have several captions, most captions several pictures."""
    rng = np.random.default_rng(seed)
    images = np.concatenate([np.arange(pictures or count), rng.integers(0, pictures or count, count)])[:count]
    corpora = np.array([CORPORA[image % 3] for image in images], dtype=object)
    places = rng.permutation(count)
    stages = 1 + places * 3 // count
    return Columns(
        uids=[f"{row:032x}" for row in range(count)],
        images=images.astype(np.int64),
        captions=rng.integers(0, captions, count),
        stages=stages,
        places=places,
        difficulty=np.floor(places / 7) / count,
        corpora=corpora,
        stage_names=np.array([f"s{stage}" for stage in stages], dtype=object),
    )


def make_ontology(columns: Columns, nouns: int = 4) -> dict[str, Any]:
    """Root, corpora, and nouns that are a remainder of the caption: a strict tree in the form of ``ontology.json``."""
    count = len(columns.uids)
    nodes: list[dict[str, Any]] = [{"id": "root", "name": "root", "parent": None, "level": 0, "samples": count}]
    for corpus in CORPORA:
        own = np.flatnonzero(columns.corpora == corpus)
        members = {f"root/{corpus}": own}
        members |= {f"root/{corpus}/n{noun}": own[columns.captions[own] % nouns == noun] for noun in range(nouns)}
        for name, rows in members.items():
            parent, _, last = name.rpartition("/")
            uids = sorted(columns.uids[row] for row in rows)
            facts = {"parent": parent, "level": name.count("/"), "samples": len(uids), "members": uids}
            nodes.append({"id": name, "name": last, **facts})
    return {"min_count": 1, "nodes": nodes}


def make_sampler(
    config: SamplingConfig, columns: Columns, *, batch_size: int = 8, steps: int = 60, seed: int = 0
) -> tuple[Sampler, Rows, Rows]:
    """Return the sampler, the rows that it may draw and those that it may not."""
    rows, held_out = hold_out(columns, config.held_out_share, seed, config.sources)
    ontology = make_ontology(columns)
    sampler = build_sampler(
        config, columns, rows, held_out, batch_size=batch_size, steps=steps, seed=seed, ontology=ontology
    )
    return sampler, rows, held_out


def learner(step: int, speed: float = 0.1) -> Any:
    """Return what answers questions at a step: right more often the later it is; the reference is right from 0 on."""

    def answer(question: Question) -> Logits:
        rng = np.random.default_rng([step, zlib.crc32(question.rows.tobytes())])
        noise = rng.normal(size=(len(question.rows), len(question.rows)))
        skill = 3.0 if question.of == "reference" else speed * step
        logits: Logits = (noise + skill * np.eye(len(question.rows))).astype(np.float32)
        return logits

    return answer


def drive(sampler: Sampler, steps: range) -> list[list[int]]:
    """Return the batches of some steps."""
    return [next_batch(sampler, step, learner(step)).tolist() for step in steps]


def add_to_manifest(stages: Path, *names: str, **facts: Any) -> None:
    """List further files in the manifest of a stages directory, and say further facts in it."""
    manifest = files.read_json(stages / "manifest.json")
    del manifest["sha256"]
    manifest["files"] += [{**file_entry(stages / name), "file": name} for name in names]
    manifest |= facts
    files.write_json(stages / "manifest.json", {**manifest, "sha256": files.digest(manifest)})


def add_control(stages: Path, name: str, permuted: Callable[[Rows], Rows]) -> Path:
    """Write a control: the sample at `permuted(places)[i]` of the order takes place i, with the stage of that place."""
    pairs = read_pairs(open_stages(stages).stages)
    moved = permuted(np.arange(len(pairs)))
    columns = {
        "uid": [pairs.uids[row] for row in moved],
        "stage": pairs.stages[: len(moved)].tolist(),
        "stage_name": [f"stage{stage}" for stage in pairs.stages[: len(moved)]],
        "rank": list(range(len(moved))),
    }
    write_table(stages / f"orders/{name}.parquet", columns)
    add_to_manifest(stages, f"orders/{name}.parquet")
    return stages / f"orders/{name}.parquet"


def add_tree(stages: Path, word: int = 0) -> None:
    """Write an ontology: the root, and below it one node for each word that stands at a place of the captions."""
    pairs = read_pairs(open_stages(stages).stages)
    words = [caption.split()[word] for caption in pairs.captions]
    nodes: list[dict[str, Any]] = [{"id": "root", "name": "root", "parent": None, "level": 0, "samples": len(pairs)}]
    for name in sorted(set(words)):
        members = sorted(uid for uid, own in zip(pairs.uids, words, strict=True) if own == name)
        facts = {"parent": "root", "level": 1, "samples": len(members), "members": members}
        nodes.append({"id": f"root/{name}", "name": name, **facts})
    files.write_json(stages / "ontology.json", {"min_count": 1, "with_noun": len(pairs), "nodes": nodes})
    add_to_manifest(stages, "ontology.json")
