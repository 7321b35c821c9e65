"""What lies beside the sets of a stages directory, so that a trainer needs nothing else of the run.

- ``orders/<control>.parquet``: the orders that the curriculum must beat (uid, stage, stage_name, rank);
- ``ontology.json``: what the samples are about, as a tree;
- ``subsets/<set>.npy`` and ``subsets/all.npy``: the uids of a stage, and of all stages, in DataComp's form.

All hold training samples only. Where a part of a run is passed on, so is the same part of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.shards.subset import write_subset
from pipeline.shards.write import file_entry
from pipeline.tables import read_table, write_table

ORDERS = "orders"
ONTOLOGY = "ontology.json"
SUBSETS = "subsets"
ALL = "all"


def write_extras(
    folder: Path, controls: Path, ontology: Path, sets: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Write orders, ontology and subsets into a stages directory.

    Args:
        folder: the stages directory.
        controls: folder of the orders, of these samples or of more.
        ontology: file of the tree, likewise.
        sets: uids by the folder of their stage.

    Returns:
        Their entries for the manifest's ``files``, with names relative to the directory.
    """
    uids = {uid for own in sets.values() for uid in own}
    return [
        *_write_orders(folder, controls, uids),
        _write_ontology(folder, ontology, uids),
        *_write_subsets(folder, sets),
    ]


def ontology_part(tree: Mapping[str, Any], uids: set[str]) -> dict[str, Any]:
    """Return the tree of some of its samples: nodes without any are gone, all counts are made anew."""
    nodes = []
    for node in tree["nodes"]:
        if "members" in node:
            members = [uid for uid in node["members"] if uid in uids]
            node = {**node, "members": members, "samples": len(members)}
        else:
            node = {**node, "samples": len(uids)}
        if node["samples"]:
            nodes.append(node)
    with_noun = {uid for node in nodes if node["level"] > 1 for uid in node["members"]}
    return {**tree, "with_noun": len(with_noun), "nodes": nodes}


def _write_orders(folder: Path, controls: Path, uids: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(uids), pa.string())
    for path in sorted(controls.glob("*.parquet")):
        table = read_table(path)
        target = folder / ORDERS / path.name
        write_table(target, table.filter(pc.is_in(table.column("uid"), value_set=wanted)))
        yield file_entry(target, folder)


def _write_ontology(folder: Path, ontology: Path, uids: set[str]) -> dict[str, Any]:
    tree = ontology_part(files.read_json(ontology), uids)
    files.write_bytes(folder / ONTOLOGY, files.canonical_json(tree).encode())
    return file_entry(folder / ONTOLOGY)


def _write_subsets(folder: Path, sets: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    everything = [uid for own in sets.values() for uid in own]
    for name, uids in [*sets.items(), (ALL, everything)]:
        target = folder / f"{SUBSETS}/{name}.npy"
        write_subset(target, uids)
        yield file_entry(target, folder)
