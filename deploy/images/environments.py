#!/usr/bin/env python3
"""Makes what the images hold, within the Dockerfile: `environments.py dependencies|code IMAGE…`.

`dependencies` makes /out/dependencies/IMAGE: what the lock file says, compiled, without our own packages. `code` then makes
/out/code/IMAGE: our own packages and the command that the image runs. Both are trees to be copied to /. Every time in them is
0 and each file is compiled apart from all others, so that the same sources make the same layers. Stands on the standard library.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path("/opt/meetai")
DEPENDENCIES = Path("/out/dependencies")
CODE = Path("/out/code")
SERVICE = """\
#!/bin/sh
exec /opt/meetai/bin/python -m {module} "$@"
"""


def sync(image: str, *options: str) -> None:
    """Let uv bring /opt/meetai to what the lock file says for an image."""
    service = image.removesuffix("-local")
    more = () if service == image else ("--extra", "local", "--group", "model")
    command = ("uv", "sync", "--quiet", "--locked", "--no-default-groups", "--package", f"meetai-{service}", *more)
    subprocess.run((*command, *options), check=True)  # noqa: S603 - the Dockerfile says what is run


def drop(tree: Path, *patterns: str) -> None:
    """Delete what has no use at run time or differs from build to build, and its mention in the packages' records."""
    dropped = {path for pattern in patterns for path in tree.rglob(pattern)}
    for path in dropped:
        path.unlink()
    for record in tree.rglob("RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if (record.parent.parent / line.split(",")[0]) not in dropped]
        if kept != lines:
            record.unlink()  # it may be one file with those of other environments
            record.write_text("".join(kept), encoding="utf-8")


def compile_all(tree: Path, compiled: dict[int, Path]) -> None:
    """Bytecode that isn't checked against its source: the files can't change, and the file system is read-only.

    `compiled` knows a source file by its inode: what an earlier tree has as well is linked.
    """
    for source in sorted((tree / VENV.relative_to("/")).rglob("*.py")):
        bytecode = Path(importlib.util.cache_from_source(str(source)))
        bytecode.parent.mkdir(exist_ok=True)
        if same := compiled.get(source.stat().st_ino):
            bytecode.hardlink_to(same)
            continue
        py_compile.compile(
            str(source),
            str(bytecode),
            dfile=f"/{source.relative_to(tree)}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        compiled[source.stat().st_ino] = bytecode


def forget_times(tree: Path) -> None:
    """Everything was made at the beginning of 1970."""
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (0, 0), follow_symlinks=False)


def dependencies(images: list[str]) -> None:
    """All that the images depend on; each wheel is fetched and unpacked once, and what two have in common is one file."""
    cache = Path("/src/uv-cache")
    os.environ |= {"UV_CACHE_DIR": str(cache), "UV_LINK_MODE": "hardlink"}
    compiled: dict[int, Path] = {}
    for image in images:
        sync(image, "--no-install-workspace")
        drop(VENV, "*.pyi", "uv_cache.json", "activate*", "*.bat", ".lock", ".gitignore", "CACHEDIR.TAG")
        tree = DEPENDENCIES / image
        (tree / "opt").mkdir(parents=True)
        VENV.rename(tree / VENV.relative_to("/"))
        compile_all(tree, compiled)
    shutil.rmtree(cache)
    for image in images:
        forget_times(DEPENDENCIES / image)


def code(images: list[str]) -> None:
    """Our own packages, installed into the same environments and then laid aside."""
    os.environ["UV_NO_CACHE"] = "1"
    for image in images:
        environment, tree = DEPENDENCIES / image / VENV.relative_to("/"), CODE / image
        VENV.unlink(missing_ok=True)
        VENV.symlink_to(environment)
        sync(image, "--no-editable")
        for package in sorted(environment.glob("lib/python3*/site-packages/meetai_*")):
            aside = tree / VENV.relative_to("/") / package.relative_to(environment)
            aside.parent.mkdir(parents=True, exist_ok=True)
            package.rename(aside)
        drop(tree, "uv_cache.json")
        service = tree / VENV.relative_to("/") / "bin" / "service"
        service.parent.mkdir()
        service.write_text(SERVICE.format(module=f"meetai_{image.removesuffix('-local').replace('-', '_')}"))
        service.chmod(0o755)
        if image.startswith("agent"):
            spool = tree / "spool"  # a volume that is made on it takes its mode: the agent isn't root
            spool.mkdir()
            spool.chmod(0o1777)
        compile_all(tree, {})
        forget_times(tree)


if __name__ == "__main__":
    (what, *which) = sys.argv[1:]
    if not which:
        raise SystemExit("environments.py: no image is named")
    {"dependencies": dependencies, "code": code}[what](which)
