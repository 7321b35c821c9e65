"""The index in clip-retrieval's layout, for its server, its front end and whatever else reads it.

clip-retrieval (https://github.com/rom1504/clip-retrieval) has one row a sample, the same in ``img_emb/img_emb_0.npy``,
``text_emb/text_emb_0.npy``, ``metadata/metadata_0.parquet``, ``image.index`` and ``text.index``. Where a picture has
several captions, its vector stands there as often.
"""

from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.index.config import IndexConfig
from pipeline.index.search import FIELDS
from pipeline.index.store import open_index
from pipeline.index.vectors import make_index
from pipeline.tables import write_table
from pipeline.workspace import Counts

FOLDERS = {"image": "img_emb", "text": "text_emb"}


def export_index(config: IndexConfig, run: Path, target: Path) -> Counts:
    """Write the kept samples of a run as a folder that clip-retrieval opens.

    This is a copy for the same machine, not a publication: it holds the captions of all kept samples, whatever their
    licence, and no picture.

    Args:
        config: kind of index.
        target: a folder that is not there yet, or is empty.

    Raises:
        ConfigError: there is no index, or the folder holds something.
        DataError: the index is damaged or of other data.
    """
    import faiss
    import numpy as np

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} holds something already; name a new folder")
    index = open_index(run)
    part = target.with_name(target.name + ".part")
    files.remove(part)
    counts: Counts = {"samples": len(index.samples["uid"])}
    for side, name in FOLDERS.items():
        own = index.vectors(side)
        if isinstance(own, faiss.IndexIVF):
            own.make_direct_map()
        vectors = own.reconstruct_n(0, own.ntotal)[index.samples[f"{side}_row"]]
        (part / name).mkdir(parents=True)
        np.save(part / name / f"{name}_0.npy", vectors, allow_pickle=False)
        made, _ = make_index(config, vectors)
        faiss.write_index(made, str(part / f"{side}.index"))
        counts[f"{side}_features"] = own.d
    columns = {name: index.samples[name] for name in FIELDS}
    write_table(part / "metadata/metadata_0.parquet", {"image_path": columns["uid"], **columns})
    if target.exists():
        target.rmdir()
    part.rename(target)
    return counts
