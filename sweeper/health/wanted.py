"""What every host must have for a plan: data files, models and data sets of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweeper.graph import Plan
from sweeper.needs import Need, data_root, needs
from sweeper.resolving import base_files
from sweeper.study import Study
from sweeper.tasks.places import fill


def wanted(planned: Plan | None) -> dict[str, Any]:
    """What `sweeper.health.host.facts` is asked: without a plan, neither for data nor the hub."""
    if planned is None:
        return {
            "root": None, "files": [], "base": None, "models": [], "datasets": [], "hub": False
        }  # fmt: skip
    root, found = data_root(planned.study), needs(planned)
    model = _hub_model(planned.study)
    datasets = {name for need in found if need.source == "hub" for name in _datasets(need)}
    files = sorted({name for need in found if root for name in _files(need, root)})
    return {
        "root": str(root) if files and root else None,
        "files": files,
        "base": base_files(planned.study),
        "models": [model] if model else [],
        "datasets": sorted(datasets),
        "hub": bool(model or datasets),
    }


def _hub_model(study: Study) -> str | None:
    model = study.base.model
    here = model and (study.folder / Path(model).expanduser()).is_dir()
    return None if not model or here or model.startswith((".", "/", "~")) else model


def _datasets(need: Need) -> set[str]:
    source = need.card.sources["hub"]
    return {member.dataset for _, member in source.members()}


def _files(need: Need, root: Path) -> list[str]:
    """The files that a task is read from, by their names in the data folder."""
    if need.source != "local":
        return []
    local = need.card.sources["local"]
    names = []
    for split, codes in need.parts.items():
        for pattern in local.patterns(split) if split in local.told() else ():
            for path in {fill(pattern, code) for code in codes}:
                glob = sorted(str(p.relative_to(root)) for p in root.glob(path))
                names += glob if "*" in path else [path]
    return names
