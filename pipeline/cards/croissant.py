"""The staged shards in Croissant's vocabulary, with its fields for responsible AI: ``croissant.json``.

Plain JSON-LD of version 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html). A record joins a
picture, out of its tar, with the row of ``samples.parquet`` that has its uid: readers of Croissant join two sources at
most, so that table holds whatever is said of a sample.

Paths are relative to the file. mlcroissant unpacks tars into a folder that it names by these paths, so every copy that
is read on one machine needs a cache of its own (``CROISSANT_CACHE``).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.licences import UNKNOWN, hub_licence
from pipeline.shards.write import file_entry
from pipeline.tables import write_table

if TYPE_CHECKING:
    import pyarrow as pa

CROISSANT_FILES = FILE, TABLE = "croissant.json", "samples.parquet"
VERSIONS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
KEY = "([0-9a-f]{32})"  # the uid, at the beginning of a member's name

# What is said of a sample: its column in the table, Croissant's data type, and what it is.
FIELDS = (
    ("uid", "sc:Text", "128 bits of the sha256 of picture and caption, in hex"),
    ("caption", "sc:Text", "the text that belongs to the picture"),
    ("lang", "sc:Text", "language code of the caption (ISO 639), und where unknown"),
    ("corpus", "sc:Text", "the source, by the name of its data card"),
    ("group", "sc:Text", "the work that a split never cuts: a book, a story, a recording, a name"),
    ("licence", "sc:Text", "SPDX expression"),
    ("attribution", "sc:Text", "the credit to give"),
    ("url", "sc:Text", "where the picture was published, or a stable name of its source"),
    ("words", "sc:Integer", "white-space tokens of the caption"),
    ("set", "sc:Text", "the stage, or the evaluation split"),
    ("stage", "sc:Integer", "from 1, the easiest; 0 in an evaluation split"),
    ("rank", "sc:Integer", "place in the order over all stages, from 0"),
    ("difficulty", "sc:Float", "from 0, easy, to 1; none in an evaluation split"),
)
MEMBERS = {"jpg": "image/jpeg", "json": "application/json", "txt": "text/plain"}
# The mapping of names that the specification prescribes, and those of the two further vocabularies.
CR = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in CR},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}


def write_croissant(facts: Mapping[str, Any], tables: "Mapping[str, pa.Table]", out: Path, folder: str) -> None:
    """Write ``samples.parquet`` and ``croissant.json`` for staged shards.

    Args:
        facts: see `pipeline.cards.facts.gather`.
        tables: the index of each set, by its folder.
        out: directory of the two files.
        folder: where the sets lie from there, with a slash at its end; empty where they lie beside them.
    """
    manifest = facts["manifest"]
    write_table(out / TABLE, sample_table((*manifest["stages"], *manifest["evaluation"]), tables))
    files.write_json(out / FILE, croissant(facts, file_entry(out / TABLE), folder))


def sample_table(entries: Iterable[Mapping[str, Any]], tables: "Mapping[str, pa.Table]") -> "pa.Table":
    """Return what is said of every sample, one row each: the stages in rank order, then the evaluation splits.

    Args:
        entries: of the sets, as the manifest has them.
        tables: see `write_croissant`.
    """
    import pyarrow as pa

    columns = [name for name, *_ in FIELDS]
    parts = []
    for entry in entries:
        table = tables[entry["path"]]
        name = pa.array([set_name(entry)] * table.num_rows, pa.string())
        parts.append(table.append_column("set", name).select(columns))
    return pa.concat_tables(parts)


def set_name(entry: Mapping[str, Any]) -> str:
    """Return a set's name as credits and tables have it: the stage's folder, or the evaluation split."""
    return str(entry["path"]).removeprefix("eval-")


def croissant(facts: Mapping[str, Any], table: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return the whole description as a JSON value.

    Args:
        facts: see `pipeline.cards.facts.gather`.
        table: name, sha256 and bytes of the table beside it.
        folder: see `write_croissant`.
    """
    config, manifest = facts["config"], facts["manifest"]
    sets = (*manifest["stages"], *manifest["evaluation"])
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(VERSIONS),
        "name": config.name,
        "description": _description(facts),
        "license": list(dict.fromkeys(licence_url(licence or UNKNOWN[0]) for licence in facts["licences"])),
        "version": f"{config.version}+{manifest['sha256'][:16]}",
        "citeAs": facts["citation"],
        "creator": [
            {"@type": "sc:Organization", "name": name}
            for name in dict.fromkeys(source["attribution"] for source in facts["sources"])
        ],
        "inLanguage": facts["languages"],
        "keywords": facts["tags"],
        "isLiveDataset": False,
        **({"url": config.url} if config.url else {}),
        **({"datePublished": config.published} if config.published else {}),
        **{f"rai:{name}": value for name, value in facts["responsible"].items()},
        **_provenance(facts),
        "distribution": [
            _file(TABLE, TABLE, table, "application/x-parquet"),
            *(_shard(entry, shard, folder) for entry in sets for shard in entry["shards"]),
            *(_members(record, members, kind) for record, members in _records(manifest).items() for kind in MEMBERS),
        ],
        "recordSet": [_record_set(name, members) for name, members in _records(manifest).items()],
    }


def licence_url(expression: str) -> str:
    """Return the page of a licence that hubs know, the SPDX expression itself otherwise."""
    return expression if hub_licence(expression) == "other" else f"https://spdx.org/licenses/{expression}.html"


def _description(facts: Mapping[str, Any]) -> str:
    manifest = facts["manifest"]
    size = (
        f"{facts['samples']:,} image-caption pairs with {facts['words']:,} words, in {len(manifest['stages'])} "
        f"curriculum stages and {len(manifest['evaluation'])} evaluation sets."
    )
    return f"{facts['config'].description} {size}".strip()


def _provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data were derived from, and by which steps."""
    return {
        "prov:wasDerivedFrom": [
            {"@type": "prov:Entity", "prov:label": source["title"]}
            | ({"@id": source["homepage"]} if source["homepage"] else {})
            for source in facts["sources"]
        ],
        "prov:wasGeneratedBy": [
            {"@type": "prov:Activity", "prov:label": line} for line in facts["responsible"]["dataPreprocessingProtocol"]
        ],
    }


def _records(manifest: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the sets of every record set by its name: all stages, each stage, each evaluation split."""
    stages = manifest["stages"]
    return {
        "all": list(stages),
        **{f"stage{entry['stage']}": [entry] for entry in stages},
        **{entry["path"]: [entry] for entry in manifest["evaluation"]},
    }


def _file(name: str, path: str, entry: Mapping[str, Any], encoding: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": path,
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": encoding,
        "sha256": entry["sha256"],
    }


def _shard(entry: Mapping[str, Any], shard: Mapping[str, Any], folder: str) -> dict[str, Any]:
    name = f"{entry['path']}/{shard['file']}"
    return _file(name, folder + name, shard, "application/x-tar")


def _members(record: str, sets: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """Describe the files of one kind in the shards of some sets."""
    shards = [f"{entry['path']}/{shard['file']}" for entry in sets for shard in entry["shards"]]
    return {
        "@type": "cr:FileSet",
        "@id": f"{record}-{kind}",
        "name": f"{record}-{kind}",
        "containedIn": [{"@id": name} for name in shards],
        "encodingFormat": MEMBERS[kind],
        "includes": f"*.{kind}",
    }


def _record_set(name: str, sets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    pictures = {"fileSet": {"@id": f"{name}-jpg"}}
    key = {**pictures, "extract": {"fileProperty": "filename"}, "transform": {"regex": KEY}}
    joined = {"references": {"fileObject": {"@id": TABLE}, "extract": {"column": "uid"}}}
    fields = [
        {
            **_field(name, column, kind, text),
            "source": key if column == "uid" else {"fileObject": {"@id": TABLE}, "extract": {"column": column}},
            **(joined if column == "uid" else {}),
        }
        for column, kind, text in FIELDS
    ]
    image = _field(name, "image", "sc:ImageObject", "the picture, a square JPEG")
    fields.insert(1, {**image, "source": {**pictures, "extract": {"fileProperty": "content"}}})
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{sum(entry['samples'] for entry in sets):,} pairs of {', '.join(map(set_name, sets))}",
        "key": {"@id": f"{name}/uid"},
        "field": fields,
    }


def _field(record: str, name: str, kind: str, text: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record}/{name}", "name": name, "description": text, "dataType": kind}
