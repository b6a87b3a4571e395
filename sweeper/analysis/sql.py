"""SQL over a store's tables, by DuckDB: the rows of a study as its plan names them.

Views are made when a query names them, and examples are read as they are scanned. DuckDB is shut
off from files, the network and extensions: a query sees these views and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweeper.analysis.best import best
from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.graph import SELECTED
from sweeper.languages import LANGUAGES
from sweeper.store import tables
from sweeper.store.files import StoreFiles, folder_of
from sweeper.store.schema import TABLES
from sweeper.study import CONTROL

if TYPE_CHECKING:
    import duckdb

VIEWS = ("scores", "trials", "examples", "languages", "best", "gain")
"""What a query can be over."""

_THERE = f"The views are {', '.join(VIEWS)}; `DESCRIBE scores` lists the columns of one."

_JOINED = """
CREATE VIEW {table} AS
SELECT p.study, p.intermediate, p.target, p.seed, p.split, p.language, p.zero_shot, p.overlap,
       r.* EXCLUDE (job, address, attempt, study, intermediate, target, seed, unit, split,
                    language {both}),
       p.weights, p.job, p.unit, p.address, p.attempt
FROM parts p JOIN raw_{table} r
  ON r.unit = p.unit AND r.address = p.address AND r.attempt = p.attempt
 AND r.split = p.made_split AND r.language = p.made_language
"""

_GAIN = f"""
CREATE VIEW gain AS
SELECT r.study, r.intermediate, r.target, r.seed, r.split, r.language, r.zero_shot, r.overlap,
       r.metric, r.n, r.value, c.value AS control,
       CASE WHEN r.metric = 'loss' THEN c.value - r.value ELSE r.value - c.value END AS gain
FROM scores r JOIN scores c USING (study, target, seed, split, language, metric)
WHERE r.main AND r.intermediate <> '{CONTROL}' AND c.intermediate = '{CONTROL}'
  AND r.weights = '{SELECTED}' AND c.weights = '{SELECTED}'
"""  # noqa: S608  (a constant)


def query(files: StoreFiles, views: Sequence[View], statement: str) -> pa.Table:
    """The answer to a query over some studies of a store.

    Raises:
        StoreError: DuckDB does not take the query, or it has no answer, such as an empty one; the
            message says why, and what there is.
    """
    import duckdb

    with duckdb.connect() as connection:
        for name, make in _makers(files, views).items():
            if re.search(rf"\b{name}\b", _needed(statement), re.IGNORECASE):
                make(connection)
        for shut in ("python_enable_replacements", "enable_external_access"):
            connection.execute(f"SET {shut} = false")
        try:
            answer = connection.sql(statement)
            found: pa.Table | None = None if answer is None else answer.to_arrow_table()
        except duckdb.Error as error:
            said = str(error).splitlines()[0].rstrip(".")
            raise StoreError(f"DuckDB does not take the query: {said}. {_THERE}") from None
    if found is None:
        raise StoreError(f"The query answers nothing: it must be a SELECT. {_THERE}")
    return found


def _needed(statement: str) -> str:
    """The query with the views that the views in it are made from."""
    return re.sub(r"(?i)\bgain\b", "gain scores", statement)


def _makers(files: StoreFiles, views: Sequence[View]) -> dict[str, Callable[[Any], object]]:
    """View -> what makes it, in an order in which each finds those that it is made from."""
    parts: list[pa.Table] = []

    def joined(table: str) -> Callable[[Any], None]:
        def make(connection: duckdb.DuckDBPyConnection) -> None:
            if not parts:
                parts.append(_parts(files, views))
                connection.register("parts", parts[0])
            names = parts[0][f"in_{table}"].unique().to_pylist()
            connection.register(f"raw_{table}", _raw(files, table, sorted(filter(None, names))))
            both = ", weights, zero_shot, overlap" if table == "scores" else ""
            connection.execute(_JOINED.format(table=table, both=both))

        return make

    return {
        "scores": joined("scores"),
        "examples": joined("examples"),
        "gain": lambda connection: connection.execute(_GAIN),
        "trials": lambda connection: connection.register("trials", _trials(views)),
        "languages": lambda connection: connection.register("languages", _languages()),
        "best": lambda connection: connection.register("best", _best(views)),
    }


def _parts(files: StoreFiles, views: Sequence[View]) -> pa.Table:
    """Every score that the studies ask for and the store has, and where its rows are."""
    found = []
    for view in views:
        commits = view.progress.commits.by_unit
        for part in (*view.parts, *view.beside):
            commit = commits.get(part.unit) if part.unit else None
            if commit is not None:
                place = {"address": commit.address, "attempt": commit.attempt}
                own = {f"in_{name}": commit.table(name) for name in ("scores", "examples")}
                found.append({"study": view.plan.study.name, **vars(part), **place, **own})
    texts = [*_PART, "address", "attempt", "in_scores", "in_examples"]
    schema = pa.schema([(name, _PART.get(name, pa.string())) for name in texts])
    made = pa.Table.from_pylist(found, schema=schema)
    names = sorted({row["in_scores"] for row in found if row["in_scores"]})
    return _with_names(made, tables.read(files, "scores", names, _UNIT))


_UNIT = ["unit", "address", "attempt", "split", "language"]
_PART = {
    "study": pa.string(), "intermediate": pa.string(), "target": pa.string(), "seed": pa.int64(),
    "split": pa.string(), "language": pa.string(), "weights": pa.string(), "zero_shot": pa.bool_(),
    "overlap": pa.string(), "job": pa.string(), "unit": pa.string(),
}  # fmt: skip


def _with_names(parts: pa.Table, scores: pa.Table) -> pa.Table:
    """The parts with split and language as the job that made them called them.

    Two languages with the very same data are one unit, whose rows one job wrote twice: the first
    counts.
    """
    first: dict[tuple[str, str, str], tuple[str, str]] = {}
    for unit, address, attempt, split, code in zip(
        *(scores[name].to_pylist() for name in _UNIT), strict=True
    ):
        first.setdefault((unit, address, attempt), (split, code))
    keys = zip(*(parts[name].to_pylist() for name in _UNIT[:3]), strict=True)
    made = [first.get(key, ("", "")) for key in keys]
    for place, name in enumerate(("made_split", "made_language")):
        parts = parts.append_column(name, pa.array([one[place] for one in made], pa.string()))
    return parts


def _raw(files: StoreFiles, table: str, names: list[str]) -> Any:
    """A table's files: of a folder as they are scanned, from a bucket all at once."""
    folder = folder_of(files.address)
    if folder is None or not names:
        return tables.read(files, table, names)
    from pyarrow import dataset

    return dataset.dataset([str(folder / name) for name in names], schema=TABLES[table])


def _trials(views: Sequence[View]) -> pa.Table:
    import pandas as pd

    found = pd.concat([view.trials() for view in views], ignore_index=True)
    found = found.drop_duplicates(["address", "attempt", "job"])
    return pa.Table.from_pandas(found, schema=TABLES["trials"], preserve_index=False)


def _languages() -> pa.Table:
    return pa.Table.from_pylist([one._asdict() for one in LANGUAGES.values()])


def _best(views: Sequence[View]) -> pa.Table:
    names = ["study", "target", "intermediate", "seed", "epoch", "metric", "selection"]
    numbers = {"seed": pa.int64(), "epoch": pa.int64()}
    fields = [(name, numbers.get(name, pa.string())) for name in names]
    fields += [(name, pa.float64()) for name in ("dev_score", "dev_loss")]
    fields += [("address", pa.string()), ("why", pa.string())]
    return pa.Table.from_pylist(list(_winners(views)), schema=pa.schema(fields))


def _winners(views: Sequence[View]) -> Iterator[dict[str, Any]]:
    """A row per target that has a winner; the others have none as yet."""
    for view in views:
        for target in view.plan.columns:
            try:
                found = best(view, target)
            except StoreError:
                continue
            yield {"study": view.plan.study.name, **vars(found)}
