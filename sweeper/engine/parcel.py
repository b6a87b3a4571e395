"""What travels with a command that runs on a cluster: its study, its cards, its settings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sweeper.study import Study

STUDY = "study.yaml"
CARDS = "cards"
SECRETS = "environment.json"


def pack(folder: Path, study: Study | None, secrets: Mapping[str, str], name: str) -> None:
    """Write a parcel into an empty folder.

    The study is as it is meant, with the options that were given besides; what it names relative
    to its file is named absolutely, as it must be on all hosts of a cluster.

    Args:
        folder: Where to.
        study: The study, if the command is about one.
        secrets: Environment variables that Ray is not to see: in its logs and its list of jobs
            stand the runtime environments. The file that holds them is read once; see `unpack`.
        name: What no other parcel is called. Ray unpacks equal parcels once, and one whose
            secrets were taken is of no use to another job.
    """
    (folder / "parcel").write_text(name)
    path = folder / SECRETS
    path.touch(mode=0o600)
    path.write_text(json.dumps(dict(secrets)))
    if study is None:
        return
    told = study.model_dump(mode="json", exclude_unset=True)
    if study.data and study.data != "hub":
        told["data"] = str(_absolute(study, study.data))
    if study.base.model and (here := _absolute(study, study.base.model)).is_dir():
        told["base"]["model"] = str(here)
    if study.tasks_path is not None:
        told["tasks_path"] = CARDS
        (folder / CARDS).mkdir()
        for card in sorted(_absolute(study, study.tasks_path).glob("*.yaml")):
            shutil.copy(card, folder / CARDS)
    (folder / STUDY).write_text(json.dumps(told, indent=1))  # JSON is YAML


def _absolute(study: Study, path: str) -> Path:
    return (study.folder / Path(path).expanduser()).resolve()


def unpack(folder: Path) -> None:
    """Take a parcel's secrets into this process's environment, and from the disk."""
    path = folder / SECRETS
    secrets: dict[str, str] = json.loads(path.read_text())
    path.unlink()
    os.environ.update(secrets)
