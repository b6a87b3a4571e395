"""Finding out what names of the outside world stand for, once, and keeping that in the store.

A snapshot (``studies/<name>/<number>.json``) holds a study, its cards and what they resolved to:
enough to plan it again and to find its scores, on another machine and years later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweeper.addressing import Resolved
from sweeper.errors import DataError, ModelError, StoreError, suggest
from sweeper.graph import Plan
from sweeper.needs import data_root, missing_folder, needs
from sweeper.planning import plan
from sweeper.store.files import StoreFiles
from sweeper.store.folder import file_digest
from sweeper.study import Study
from sweeper.tasks import hub, sources
from sweeper.tasks.card import Card
from sweeper.tasks.presence import source_of

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "sentencepiece.bpe.model")


def resolve(planned: Plan, files: StoreFiles) -> Resolved:
    """Resolve everything that a plan names, reusing what the store has and is still so.

    Raises:
        DataError: a data file is missing or unreadable; ModelError: the base model is.
    """
    check_present(planned)
    resolved = _resolved(planned, _last(files, planned.study.name))
    _save(planned, resolved, files)
    return resolved


def check_present(planned: Plan) -> None:
    """Name every task that lacks files, before anything is hashed and the hub is asked.

    Raises:
        DataError: what is missing of which task, and how to sweep without.
    """
    found = needs(planned)
    lost = missing_folder(planned.study)
    if lost and any(need.source != "synthetic" for need in found):
        raise lost
    absent = {need.card.name: str(need.absence) for need in found if need.absence}
    if absent:
        options = " ".join(f"--without {task}" for task in sorted(absent))
        advice = f"To sweep without: `{options}`. Rows and columns go, mixtures lose these parts."
        raise DataError("\n".join([*absent.values(), advice]))


def resolved_offline(planned: Plan, files: StoreFiles) -> Resolved | None:
    """The same without asking the hub, and keeping nothing; None where that cannot be."""
    study, before = planned.study, _last(files, planned.study.name)
    root = data_root(study)
    for need in needs(planned):
        units = [(split, code) for split, codes in need.parts.items() for code in codes]
        recorded = all(
            _reusable(before.sources.get(_name(need.card, *unit)), need.card, *unit, root)
            for unit in units
        )
        if need.absence or (need.source == "hub" and not recorded):
            return None
    if study.base.model and not (_base_folder(study) or _reusable_base(study, before.base)):
        return None
    return _resolved(planned, before)


def _name(card: Card, split: str, code: str) -> str:
    """What a resolution is called in `Resolved.sources`."""
    return f"{card.name}/{split}/{code}"


def _resolved(planned: Plan, before: Resolved) -> Resolved:
    root = data_root(planned.study)
    resolved = Resolved(root=str(root) if root else None)
    for task, split, codes in planned.data():
        resolved.sources.update(_resolved_split(planned.cards[task], split, codes, before, root))
    resolved.base = _resolve_base(planned.study, before.base)
    return resolved


def _resolved_split(
    card: Card, split: str, codes: Iterable[str], before: Resolved, root: Path | None
) -> dict[str, dict[str, Any]]:
    """What the languages of a split stand for, looked up only where the store does not know."""
    known = {code: before.sources.get(_name(card, split, code)) for code in codes}
    stale = [c for c in codes if not _reusable(known[c], card, split, c, root)]
    source = source_of(card, root)
    fresh = sources.resolve(card, split, stale, source=source, root=root) if stale else {}
    return {_name(card, split, code): fresh.get(code) or known[code] or {} for code in codes}


def open_study(files: StoreFiles, name: str | None = None) -> tuple[Plan, Resolved]:
    """A study of a store, planned again from its last snapshot; the only one by default.

    Raises:
        StoreError: the store has no such study, or several and none was named.
    """
    names = files.names("studies")
    if name is None and len(names) != 1:
        raise StoreError(
            f"The store has {len(names)} studies; name one of them (`--study`)."
            + (f" They are: {', '.join(names)}." if names else "")
        )
    chosen = name or names[0]
    if chosen not in names:
        raise StoreError(f"The store has no study {chosen!r}.{suggest(chosen, names)}")
    snapshot = _read(files, chosen)
    try:
        study = Study.model_validate_json(snapshot["study"])
        cards = {
            name: Card.model_validate_json(json.dumps(card))
            for name, card in snapshot["cards"].items()
        }
        return plan(study, cards=cards), Resolved(**snapshot["resolved"])
    except (ValidationError, KeyError, TypeError) as error:
        raise StoreError(
            f"The snapshot of {chosen!r} in {files.where(f'studies/{chosen}')} is not one that "
            f"this sweeper reads ({type(error).__name__}). Run the study into this store again: "
            "it saves a new one and repeats no work."
        ) from None


def kept_going(files: StoreFiles, name: str) -> bool:
    """Whether a study was last run so that broken rows are left out."""
    if not files.names(f"studies/{name}"):
        return False
    return bool(json.loads(_read(files, name)["study"]).get("keep_going"))


def _reusable(
    known: dict[str, Any] | None, card: Card, split: str, code: str, root: Path | None
) -> bool:
    """Whether a recorded resolution is what this card and data folder lead to today."""
    source = source_of(card, root)
    return (
        known is not None
        and known["source"] == source
        and sources.matches(known, card, split, code, root)
        and sources.fresh(known, root)
    )


def _base_folder(study: Study) -> Path | None:
    """The folder that the base model names, if there is one."""
    folder = (study.folder / Path(study.base.model or "").expanduser()).resolve()
    return folder if study.base.model and folder.is_dir() else None


def _reusable_base(study: Study, known: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was recorded of the base model, if it is what the study names today."""
    if known is None or known["name"] != study.base.model:
        return None
    folder = _base_folder(study)
    if folder is None:
        # A commit once looked up is kept, unless the study asks for another revision now.
        return known if "hub" in known["ref"] and known["asked"] == study.base.revision else None
    same = known["ref"] == {"folder": str(folder)} and known["stamps"] == _stamps(folder)
    return known if same else None


def _resolve_base(study: Study, before: dict[str, Any] | None) -> dict[str, Any] | None:
    model = study.base.model
    if model is None:
        return None
    known = _reusable_base(study, before)
    if known:
        return known
    check_base(study)
    folder = _base_folder(study)
    return _resolve_folder(model, folder) if folder else _resolve_hub(study, model)


def check_base(study: Study) -> None:
    """Look whether a base model that is named by a path is there.

    Raises:
        ModelError: it is not, or lacks files.
    """
    model, folder = study.base.model or "", _base_folder(study)
    if folder:
        config = folder / "config.json"
        if not config.is_file() or not _weights(folder) or not _tokenizer(folder):
            raise ModelError(
                f"A base model's folder holds config.json, *.safetensors and tokenizer.json; "
                f"{folder} lacks some. Save it with save_pretrained, model and tokenizer."
            )
    elif model.startswith((".", "/", "~")):
        raise ModelError(
            f"{study.where('base', 'model')}: the base model must be a hub id or a folder; "
            f"{(study.folder / Path(model).expanduser()).resolve()} is no folder. Mend the path "
            "(it is relative to the study's file)."
        )


def base_files(study: Study) -> tuple[Path, list[str]] | None:
    """The folder of a base model that is one, and the names of the files that are read from it."""
    folder = _base_folder(study)
    if folder is None:
        return None
    files = [folder / "config.json", *_weights(folder), *_tokenizer(folder)]
    return folder, [path.name for path in files]


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _tokenizer(folder: Path) -> list[Path]:
    return [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Size and time of every file of a base model that decides something."""
    found = [folder / "config.json", *_weights(folder), *_tokenizer(folder)]
    stats = {path.name: path.stat() for path in found if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _resolve_folder(name: str, folder: Path) -> dict[str, Any]:
    return {
        "name": name,
        "ref": {"folder": str(folder)},
        "weights": {p.name: file_digest(p) for p in [folder / "config.json", *_weights(folder)]},
        "tokenizer": {p.name: file_digest(p) for p in _tokenizer(folder)},
        "stamps": _stamps(folder),
    }


def _resolve_hub(study: Study, model: str) -> dict[str, Any]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        revision = HfApi().model_info(model, revision=study.base.revision).sha
    except RepositoryNotFoundError:
        raise ModelError(
            f"{study.where('base', 'model')}: the hub has no model {model!r}. Mend the id, or "
            "give the path of a folder (starting with ./, ../ or /)."
        ) from None
    except hub.errors() as error:
        raise ModelError(
            f"{study.where('base', 'model')}: the hub could not be asked for {model!r} "
            f"({type(error).__name__}). Check the network, or give a local folder as the model."
        ) from None
    ref = {"hub": model, "revision": revision}
    return {
        "name": model,
        "asked": study.base.revision,
        "ref": ref,
        "weights": ref,
        "tokenizer": ref,
    }


def _last(files: StoreFiles, name: str) -> Resolved:
    if not files.names(f"studies/{name}"):
        return Resolved()
    return Resolved(**_read(files, name)["resolved"])


def _read(files: StoreFiles, name: str) -> dict[str, Any]:
    return files.read(f"studies/{name}/{files.names(f'studies/{name}')[-1]}")


def _save(planned: Plan, resolved: Resolved, files: StoreFiles) -> None:
    """Keep a snapshot, unless the last one says the same."""
    used = {task for task, _, _ in planned.data()} | set(planned.targets)
    study = planned.study
    # Of spaces only those of tasks: one that others extend may have any name.
    used |= {*study.spaces, *study.task_limits, *study.train_languages} & set(planned.cards)
    snapshot: dict[str, Any] = {
        # As text: sorted keys would lose the order of rows, columns and grid points.
        "study": planned.study.model_dump_json(exclude_unset=True),
        "cards": {name: planned.cards[name].model_dump(mode="json") for name in sorted(used)},
        "resolved": asdict(resolved),
    }
    name = planned.study.name
    numbers = files.names(f"studies/{name}")
    if numbers:
        last = _read(files, name)
        if {key: last[key] for key in snapshot} == json.loads(json.dumps(snapshot)):
            return
    number = len(numbers)
    snapshot["saved"] = time.time()
    while not files.create(f"studies/{name}/{number:06d}.json", snapshot):
        number += 1
