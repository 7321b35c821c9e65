"""Search by picture, by sample and by words."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.index.query import minilm_vector
from pipeline.index.search import alike, search, word_scores
from pipeline.index.sheet import contact_sheet
from pipeline.index.store import open_index
from pipeline.measure.embed import read_embeddings
from pipeline.measure.text_encoder import MiniLM
from pipeline.tables import read_columns, write_table
from pipeline.tar import read_span


def rows(run: Path) -> list[dict[str, str]]:
    columns = read_columns(run / "signals/samples.parquet")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def picture_file(run: Path, row: dict[str, str], folder: Path) -> Path:
    path = folder / f"query.{row['ext']}"
    path.write_bytes(read_span(run / row["raw_shard"], int(row["raw_offset"]), int(row["raw_size"])))
    return path


def test_a_sample_finds_its_neighbours_as_brute_force_does(indexed: Path) -> None:
    names, vectors = read_embeddings(indexed / "embeddings/efficientnet-lite0")
    for row in rows(indexed)[:5]:
        scores = vectors @ vectors[names.index(row["image_sha256"])]
        others = [name for name in names if name != row["image_sha256"]]
        expected = sorted(others, key=lambda name: -scores[names.index(name)])
        hits = search(indexed, uid=row["uid"], k=5)
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][1:6], atol=1e-5)
        assert hits[0].image_sha256 == expected[0]
        assert row["image_sha256"] not in {hit.image_sha256 for hit in hits}


def test_captions_alike_are_found_without_an_encoder(indexed: Path) -> None:
    index = open_index(indexed)
    uid = index.samples["uid"][7]
    own = index.samples["caption"][7]
    by_words = [hit for hit in search(indexed, text=own, k=6) if hit.caption != own]
    found = alike(index, uid, "text", 5)
    assert [hit.caption for hit in found] == [hit.caption for hit in by_words]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in by_words], abs=1e-4)
    assert [hit.uid for hit in alike(index, uid, "image", 5)] == [hit.uid for hit in search(indexed, uid=uid, k=5)]
    with pytest.raises(ConfigError, match="kept no sample"):
        alike(index, "0" * 32, "text", 5)


def test_a_picture_file_finds_itself(indexed: Path, tmp_path: Path) -> None:
    row = rows(indexed)[7]
    best = search(indexed, image=picture_file(indexed, row, tmp_path), k=1)[0]
    for name in ("uid", "image_sha256", "caption", "lang", "corpus", "licence", "url"):
        assert getattr(best, name) == row[name]
    split = read_columns(indexed / "selection/kept.parquet")
    assert best.split == split["split"][split["uid"].index(row["uid"])]
    assert best.score == pytest.approx(1, abs=1e-4)


def test_words_find_the_caption_that_says_them(indexed: Path) -> None:
    hits = search(indexed, text="Purple CIRCLE!", k=3)
    assert hits[0].caption == "purple circle"
    assert hits[0].score > 0.9
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_words_that_no_caption_has_find_what_is_meant(indexed: Path) -> None:
    captions = [hit.caption for hit in search(indexed, text="rectangle", k=6)]
    assert all("square" in caption.split() for caption in captions)


def test_exact_words_come_before_what_is_merely_meant(indexed: Path) -> None:
    captions = [hit.caption for hit in search(indexed, text="arc", k=40)]
    assert all("arc" in caption.split() for caption in captions)


def test_the_scores_are_those_of_all_captions(indexed: Path, minilm: MiniLM) -> None:
    """Looking at the nearest captions alone leaves out none that would be among the best."""
    captions = sorted({row["caption"] for row in rows(indexed)})
    cosines = minilm.encode_texts(captions) @ minilm.encode_texts(["orange square"])[0]
    words = word_scores(captions, "orange square")
    expected = sorted((0.5 * cosine + 0.5 * words.get(place, 0.0) for place, cosine in enumerate(cosines)))[::-1]
    hits = search(indexed, text="orange square", k=6)
    np.testing.assert_allclose([hit.score for hit in hits], expected[:6], atol=1e-5)


def test_more_than_there_are_gives_all_and_no_picture_twice(indexed: Path) -> None:
    for hits in (search(indexed, uid=rows(indexed)[0]["uid"], k=10_000), search(indexed, text="red", k=10_000)):
        assert len({hit.image_sha256 for hit in hits}) == len(hits) >= 159


def test_what_cannot_be_looked_for_is_named(indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    for message, query in (
        ("has kept no sample 0000", {"uid": "0000"}),
        (r"no.png cannot be used as a picture", {"image": tmp_path / "no.png"}),
        ("cannot be used as a picture", {"image": tmp_path / "missing.png"}),
        ("look for one thing", {}),
        ("look for one thing", {"text": "a", "uid": "b"}),
        ("no words to look for", {"text": " "}),
        ("encoders of their own", {"text": "a", "within": "pictures"}),
        ("goes with words", {"uid": "a", "within": "pictures"}),
    ):
        with pytest.raises(ConfigError, match=message):
            search(indexed, **query)


def test_an_encoder_that_is_not_the_one_of_the_index_is_refused(own: Path, tmp_path: Path) -> None:
    from test_index_store import seal

    for side, folder, key in (("image", "efficientnet-lite0", "weights_sha256"), ("text", "minilm", "weights_sha256")):
        path = own / "embeddings" / folder / "header.json"
        stale = {**files.read_json(path), key: "0" * 64}
        files.write_json(path, stale)
        header = files.read_json(own / "index/header.json")
        header[side]["embeddings"]["encoder"] = stale
        seal(own / "index", **{side: header[side]})
    with pytest.raises(DataError, match=r"not the one that made the index \(weights_sha256 differ\)"):
        search(own, text="red")
    with pytest.raises(DataError, match=r"not the one that made the index \(weights_sha256 differ\)"):
        search(own, image=picture_file(own, rows(own)[0], tmp_path))


def test_a_query_has_the_vector_that_the_captions_have(minilm: MiniLM) -> None:
    texts = ["a", "Ein roter Ball; 红色的球 🎈", "red " * 400, "\u202e", "It's 3 o'clock — isn't it?"]
    expected = minilm.encode_texts(texts)
    for text, vector in zip(texts, expected, strict=True):
        np.testing.assert_allclose(minilm_vector(text), vector, atol=1e-5)


def test_words_wait_for_no_heavy_library(indexed: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.index.search import search; "
        "hits = search(Path(sys.argv[1]), text='red arc'); "
        "print(hits[0].caption, [m for m in ('torch', 'transformers', 'spacy', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(indexed)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "red arc []"


def test_a_contact_sheet_shows_each_hit(indexed: Path, tmp_path: Path) -> None:
    contact_sheet(indexed, search(indexed, text="red", k=7), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 6 * 144
        colours = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert (255, 0, 0) in colours
    contact_sheet(indexed, [], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="name another file with --sheet"):
        contact_sheet(indexed, [], tmp_path / "file/sheet.png")


def test_a_sheet_leaves_out_what_safety_dropped_under_another_caption(own: Path, tmp_path: Path) -> None:
    hits = search(own, text="red square", k=1)
    samples = read_columns(own / "signals/samples.parquet")
    other = samples["uid"][samples["caption"].index("blue arc")]
    samples["image_sha256"][samples["caption"].index("blue arc")] = hits[0].image_sha256
    write_table(own / "signals/samples.parquet", samples)
    for step in ("filter", "safety"):
        write_table(own / "selection/verdicts.parquet", {"uid": [other], "step": [step]})
        contact_sheet(own, hits, tmp_path / f"{step}.png")
    for step, shown in (("filter", True), ("safety", False)):
        with Image.open(tmp_path / f"{step}.png") as sheet:
            assert ((255, 0, 0) in {colour for _, colour in sheet.getcolors(1 << 20) or []}) is shown


def test_a_sheet_takes_any_caption(indexed: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    hit = search(indexed, text="red", k=1)[0]
    odd = ["", "x" * 500, "very " * 100, "😀 مرحبا שלום", "𝒳\u0301"]
    contact_sheet(indexed, [replace(hit, caption=text) for text in odd], tmp_path / "sheet.png")
    with Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())) as sheet:
        sheet.load()


def test_words_find_pictures_by_an_encoder_of_both(small_run: Path, tmp_path: Path) -> None:
    from pipeline.index.config import IndexConfig
    from pipeline.index.store import build_index
    from pipeline.measure.config import EmbedConfig
    from pipeline.measure.measure import embed

    spec = f"open_clip:local-dir:{clip_model(tmp_path / 'model')}"
    run = shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("stages"))
    encoders = EmbedConfig(encoder=spec, text_encoder=spec)
    embed(encoders, run, run)
    build_index(IndexConfig(), encoders, run, run)
    names, pictures = read_embeddings(run / "embeddings" / encoders.image_folder)
    texts = np.load(run / "embeddings" / encoders.text_folder / "text.npy")
    captions = files.read_json(run / "embeddings" / encoders.text_folder / "captions.json")
    cosines = pictures @ texts[captions.index("red circle")]
    hits = search(run, text="red circle", within="pictures", k=4)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines)[::-1][:4], atol=1e-5)
    assert hits[0].image_sha256 == names[int(cosines.argmax())]
    assert search(run, text="red circle", k=1)[0].caption == "red circle"


def clip_model(folder: Path) -> Path:
    """A tiny open_clip model with random weights, saved as open_clip saves its own."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    tensors = {name: tensor.contiguous() for name, tensor in CLIP(16, vision, text).state_dict().items()}
    folder.mkdir()
    save_file(tensors, folder / "open_clip_model.safetensors")
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    files.write_json(folder / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": preprocess})
    return folder
