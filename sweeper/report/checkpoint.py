"""The best checkpoint of a target as a folder of its own, and that folder on the hub."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.analysis.best import Best, best
from sweeper.analysis.view import View
from sweeper.errors import DamageError, StoreError
from sweeper.graph import Cell
from sweeper.redaction import redacted
from sweeper.report.lineage import lineage
from sweeper.report.modelcard import model_card
from sweeper.store.intact import difference

if TYPE_CHECKING:
    from sweeper.store.markers import Commit


def export_checkpoint(
    view: View, target: str, folder: Path, *, intermediate: str | None = None
) -> Best:
    """Write a target's best checkpoint as a Hugging Face folder, with a model card.

    The checkpoint is the one that `sweeper.analysis.best.best` names, so it is chosen by dev
    scores. Every file is compared with the hash in its marker. The folder appears whole, under
    its name, or not at all. A mixture's checkpoint is its encoder; its heads lie in ``heads/``.

    Args:
        view: The study.
        target: One of its targets.
        folder: Where to write: a folder that does not exist, or is empty.
        intermediate: A row; default: the best one.

    Returns:
        What was written, and why it was chosen.

    Raises:
        StoreError: an unknown name, nothing is selected yet, the folder has files, or cannot be
            written; or what was chosen is the base model as it is.
        DamageError: a file of the checkpoint is not what was committed.
    """
    found = best(view, target, intermediate)
    cell = _cell(view, found)
    checkpoint = view.progress.addressing.checkpoint(view.plan.jobs[cell.score])
    assert checkpoint is not None
    if checkpoint.job is None:
        raise StoreError(
            f"{target} was scored with the base model as it is: {found.address}. There is no "
            "checkpoint to export. Name a row that is trained: `--intermediate ROW`."
        )
    commit = view.progress.addressing.commit(checkpoint.job)
    assert commit is not None
    with _new_folder(folder) as draft:
        _copy(view, commit, f"{commit.folder}/{checkpoint.folder}/", draft)
        config = _config(draft)
        card = model_card(view, found, cell, lineage(view, cell), config)
        (draft / "README.md").write_text(card, encoding="utf-8", newline="\n")
    return found


def _cell(view: View, found: Best) -> Cell:
    wanted = (found.intermediate, found.target, found.seed)
    return next(c for c in view.plan.cells if (c.intermediate, c.target, c.seed) == wanted)


def _copy(view: View, commit: Commit, prefix: str, folder: Path) -> None:
    """The files of a checkpoint, each compared with what was committed."""
    mine = {name: said for name, said in commit.files.items() if name.startswith(prefix)}
    if f"{prefix}config.json" not in mine:
        raise StoreError(
            f"The marker of {commit.job} ({commit.name}) names no checkpoint in {prefix}, so "
            "there is none to export. `sweeper store verify` says more."
        )
    for name, said in mine.items():
        path = folder / name.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        problem = _copied(view, name, said, path)
        if problem:
            raise DamageError(
                commit.name,
                f"{name}, which {commit.job} made, is damaged: {problem}. `sweeper store verify "
                "--repair` has the next run make it again.",
            )


def _copied(view: View, name: str, said: Mapping[str, Any], path: Path) -> str:
    """Copy one file; what is wrong with the copy, "" if nothing is."""
    try:
        with view.files.reading(name) as source:
            shutil.copyfile(source, path)
    except FileNotFoundError:
        return "it is not there"
    return difference(path, said)


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends well."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise StoreError(
            f"A checkpoint is written into a new or empty folder; {folder} has something in it. "
            "Give another one."
        )
    draft = folder.absolute().with_name(f".draft-{folder.absolute().name}-{uuid.uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True)
        yield draft
        if folder.exists():
            folder.rmdir()
        os.rename(draft, folder)  # noqa: PTH104  (a path would be given back that nobody needs)
    except OSError as error:
        raise StoreError(f"{folder} could not be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


# ---- the hub ----------------------------------------------------------------------------------


def push_to_hub(folder: Path, repository: str, *, public: bool = False) -> str:
    """Upload an exported checkpoint to the Hugging Face hub, as one commit; returns its address.

    The repository is made if it is not there: private, unless ``public``. One that is there keeps
    its visibility and its other files. The token is the one that ``hf auth login`` or `HF_TOKEN`
    left.

    Raises:
        StoreError: the hub does not answer, knows no such owner, or refuses.
    """
    from huggingface_hub import HfApi

    from sweeper.tasks.hub import errors

    api = HfApi()
    try:
        made = api.create_repo(repository, private=not public, exist_ok=True)
        done = api.upload_folder(
            folder_path=folder,
            repo_id=made.repo_id,
            commit_message="A checkpoint exported by sweeper",
        )
    except errors() as error:
        reason = redacted(str(error).strip().split("\n", 1)[0].rstrip("."))
        raise StoreError(
            f"{folder} could not be pushed to {repository!r}: {reason}. Check the name "
            "(OWNER/NAME), the network and the token (`hf auth login`, or HF_TOKEN with the right "
            "to write). The folder itself is complete."
        ) from None
    return str(done.commit_url)
