"""What a host says of itself: its libraries, GPUs, data, disks, and its way to store and hub.

`facts` runs in a process of each host; what it returns is plain JSON, and judged elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sweeper
from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles
from sweeper.store.nodecache import cache_root
from sweeper.tasks import hub as hub_of_tasks

LIBRARIES = ("ray", "torch", "transformers", "tokenizers", "datasets", "pyarrow", "numpy")
"""What computes, or decides what is computed: the same on all hosts of a sweep."""

_BEGINNING = 1 << 16
_GPU_SECONDS = 60.0

# In a process of its own: Ray hides the GPUs from a task that asked for none.
_ASK_TORCH = """
import json, torch
devices = [
    {"name": torch.cuda.get_device_name(n), "capability": torch.cuda.get_device_capability(n)}
    for n in range(torch.cuda.device_count())
]
print(json.dumps({
    "built": torch.version.cuda, "devices": devices, "kernels": torch.cuda.get_arch_list(),
}))
"""


def facts(name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What this host says of itself.

    Args:
        name: What it is called.
        asked: ``files``: names below ``root``, the data folder (or None); ``base``: the folder of
            the base model and its files (or None); ``models``, ``datasets``: what is read from
            the hub; ``hub``: whether to ask it at all.
    """
    return {
        "host": name,
        "versions": versions(),
        "gpus": gpus(),
        "data": data(asked["root"], asked["files"]),
        "model": data(*(asked["base"] or (None, []))),
        "hub": hub(asked["models"], asked["datasets"]) if asked["hub"] else "",
        "disk": disks(),
    }


def versions() -> dict[str, str]:
    """Python, sweeper and the libraries; "" for one that is not there.

    What stands behind a ``+``, as of a build for one sort of device, may differ between hosts.
    """
    found = {"python": platform.python_version(), "sweeper": sweeper.__version__}
    for name in LIBRARIES:
        found[name] = ""
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]
    return found


def gpus() -> dict[str, Any]:
    """The GPUs that the driver shows, and what torch makes of them.

    ``seen`` are names; ``built`` is the CUDA that torch was built for, if it was for one;
    ``devices`` those that torch reaches, each with its name, ``sm`` and whether torch ``runs``
    on it; ``error`` is why torch could not be asked.
    """
    said = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], os.environ)
    seen = [line.strip() for line in (said or "").splitlines() if line.strip()]
    if not seen:
        return {"seen": [], "built": None, "devices": [], "error": ""}
    shown = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    told = _output([sys.executable, "-c", _ASK_TORCH], shown)
    if told is None:
        return {"seen": seen, "built": None, "devices": [], "error": "torch could not be asked"}
    torch = json.loads(told.splitlines()[-1])
    devices = [
        {
            "name": device["name"],
            "sm": "{}{}".format(*device["capability"]),
            "runs": has_kernels(torch["kernels"], *device["capability"]),
        }
        for device in torch["devices"]
    ]
    return {"seen": seen, "error": "", "built": torch["built"], "devices": devices}


def has_kernels(kernels: Iterable[str], major: int, minor: int) -> bool:
    """Whether a GPU of a compute capability runs what torch was built for.

    Machine code (``sm_86``) runs on its own generation from its minor version on, that of one
    device (``sm_90a``) on no other; ``compute_90`` is compiled when it is loaded, for any later.
    """
    for name in kernels:
        sort, _, number = name.partition("_")
        exact = number.endswith("a")
        built = divmod(int(number.rstrip("af")), 10)
        device = (major, minor)
        if device == built or (not exact and built <= device and "compute" in sort):
            return True
        if not exact and built[0] == major and built[1] <= minor:
            return True
    return False


def _output(command: list[str], env: Mapping[str, str]) -> str | None:
    """What a program prints; None if there is none, or it fails."""
    try:
        ran = subprocess.run(  # noqa: S603  (our own words)
            command,
            capture_output=True,
            text=True,
            env=dict(env),
            timeout=_GPU_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None


def data(root: str | Path | None, files: Iterable[str]) -> dict[str, Any]:
    """Size and a hash of the beginning of files, by name; None for one that is not there."""
    if root is None:
        return {"root": None, "there": True, "files": {}}
    folder = Path(root)
    found = {name: _mark(folder / name) for name in files}
    return {"root": str(root), "there": folder.is_dir(), "files": found}


def _mark(path: Path) -> list[Any] | None:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_BEGINNING)
        return [path.stat().st_size, hashlib.sha256(beginning).hexdigest()[:16]]
    except OSError:
        return None


def hub(models: Iterable[str], datasets: Iterable[str]) -> str:
    """Why something cannot be had from the hub; "" if all can."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    if constants.HF_HUB_OFFLINE:
        lost = [m for m in models if not isinstance(try_to_load_from_cache(m, "config.json"), str)]
        cache = constants.HF_HUB_CACHE
        return f"HF_HUB_OFFLINE is set, and {cache} lacks {', '.join(lost)}" if lost else ""
    asked, api = "", HfApi()
    try:
        for asked in models:
            api.model_info(asked, timeout=20)
        for asked in datasets:
            api.dataset_info(asked, timeout=20)
    except hub_of_tasks.errors() as error:
        return f"{asked} cannot be had from {constants.ENDPOINT} ({type(error).__name__})"
    return ""


def disks() -> dict[str, float]:
    """Free bytes of the disks that a worker writes to, by their folders."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    folders = [tempfile.gettempdir(), str(Path(home).expanduser()), str(cache_root())]
    return {name: float(shutil.disk_usage(_existing(Path(name))).free) for name in folders}


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())


def compete(who: str, address: str, names: int) -> dict[str, Any]:
    """Do in a store what workers do, and be one of several that make the same files.

    Args:
        who: What no other competitor is called.
        address: A store of its own, that the driver has made for this.
        names: How many files each of them tries to make.

    Returns:
        ``error``: what was refused, ``seen``: whether the driver's store is here; ``won``: the
        files that this competitor was told it had made; ``now``: this host's clock.
    """
    answer: dict[str, Any] = {"who": who, "error": "", "seen": True, "won": []}
    try:
        files = StoreFiles(address)
    except StoreError as error:
        answer |= {"error": str(error), "seen": False}
    else:
        try:
            won = [n for n in range(names) if files.create(f"race/{n:03d}", {"by": who})]
            answer["won"] = won
            own = f"own/{who}.json"
            files.replace(own, {"n": 1})
            files.replace(own, {"n": 2})
            if files.read(own) != {"n": 2}:
                answer["error"] = "a file that was just replaced reads as it was before"
            files.delete(own)
        except StoreError as error:
            answer["error"] = str(error)
    answer["now"] = time.time()
    return answer
