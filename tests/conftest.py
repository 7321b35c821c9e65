"""What the tests share: real corpora where they can be had, and a clear word where they cannot."""

import logging
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora, from $ESSEN_CORPORA or beside the checkout."""
    folder = Path(os.environ.get("ESSEN_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set ESSEN_CORPORA to run this test")
    return folder


@pytest.fixture(scope="session")
def npm_registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the npm client cannot reach its registry."""
    from pipeline.acquire.packages.npm import npm_command

    probe = subprocess.run(
        [*npm_command(), "view", "@iconify-json/fxemoji@1.2.2", "version"],
        cwd=tmp_path_factory.mktemp("npm"),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip("the npm client cannot reach its registry from here")


@pytest.fixture(scope="session")
def debian_archive() -> None:
    """Skip where there is no apt, or its index does not have the packages of the cards."""
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get here to fetch Debian packages with")
    known = subprocess.run(
        ["apt-cache", "policy", "tuxpaint-stamps-default"], capture_output=True, text=True, check=False
    )
    if "2022.06.04-1" not in known.stdout:
        pytest.skip("apt's index does not have the package tuxpaint-stamps-default 2022.06.04-1")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of a server in this process that speaks S3's protocol."""
    pytest.importorskip("s3fs", reason="s3fs is not installed; pip install 'essen[s3]' to run this test")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed; it stands in for S3 here")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for every request
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a new bucket; endpoint and credentials stand in the environment, as a person has them there."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "a/secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    return f"s3://{name}"
