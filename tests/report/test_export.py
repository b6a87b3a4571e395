from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from analysis.world import World

from sweeper import Store
from sweeper.errors import StoreError
from sweeper.report.export import export
from sweeper.report.latex import latex_text

MARKDOWN = """\
**tiny.** Zero-shot scores: mean over zero-shot languages and 3 seeds ± standard error.

| intermediate | tagging | demo\\_retrieval |
| --- | ---: | ---: |
| none | *not run* | 20.0 |
| supersense | 56.5 ± 1.5 (2/3 seeds) | **27.0** ± 0.6 |
| more | 45.0 ± 0.6 † | 20.0 ± 0.6 |

- tagging: f1 (percent) on test, mean of qab qac; chosen: trial and epoch with the highest f1 \
on tagging/dev/qaa.
- demo\\_retrieval: accuracy (percent) on test, mean of qab; no selection: nothing is trained on \
the target.
- more: trained on tagging.
- none on demo\\_retrieval: every seed is the same computation, so it has no standard error.
- † same data as the training task: more on tagging.
- Incomplete: 2 of 6 cells (1 not run, 1 partial).
- Bold: the best of its column, of cells with all seeds.
"""

LATEX = r"""\begin{table}
\centering
\caption{Gain over none in points, paired by seed: mean over zero-shot languages and 3 seeds $\pm$ standard error. tagging: f1 (percent) on test, mean of qab qac; chosen: trial and epoch with the highest f1 on tagging/dev/qaa. demo\_retrieval: accuracy (percent) on test, mean of qab; no selection: nothing is trained on the target. more: trained on tagging. $\dagger$ same data as the training task: more on tagging. Incomplete: 2 of 4 cells (1 not run, 1 partial). Raised 2/3: the mean of 2 of 3 seeds. Bold: the best of its column, of cells with all seeds.}
\label{tab:tiny-gain}
\begin{tabular}{lrr}
\toprule
intermediate & tagging & demo\_retrieval \\
\midrule
supersense & $+$11.0 {\scriptsize $\pm$ 1.0}$^{2/3}$ & \textbf{$+$7.0} {\scriptsize $\pm$ 0.6} \\
more & \textit{not run} & 0.0 {\scriptsize $\pm$ 0.6} \\
\bottomrule
\end{tabular}
\end{table}
"""  # noqa: E501

LATEX_HEADER = r"""\begin{tabular}{lrrrr}
\toprule
 & \multicolumn{3}{c}{tagging} & \multicolumn{1}{c}{demo\_retrieval} \\
\cmidrule(lr){2-4} \cmidrule(lr){5-5}
intermediate & qaa & qab & qac & qab \\
\midrule
none & 91.0 {\scriptsize $\pm$ 0.6} &"""


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("store") / "tiny").run().files.address)


def incomplete(root: Path, *waiting: str) -> Store:
    """A store that lacks one seed of a row, and some score jobs."""
    missing = ("score/supersense>tagging/seed=2", *waiting)
    World(root).run(leave=lambda key: key.startswith(missing))
    return Store(root)


def test_markdown_of_an_incomplete_matrix(tmp_path: Path) -> None:
    store = incomplete(tmp_path / "s", "score/none>tagging")
    assert export(store.transfer(), "markdown").decode() == MARKDOWN


def test_latex_of_an_incomplete_matrix(tmp_path: Path) -> None:
    store = incomplete(tmp_path / "s", "score/more>tagging")
    assert export(store.transfer("gain", draws=0), "latex").decode() == LATEX


def test_latex_by_language_has_a_header_of_two_lines(complete: Store) -> None:
    assert LATEX_HEADER in export(complete.transfer(by="language"), "latex").decode()


def test_csv_of_a_matrix_has_a_line_per_cell(tmp_path: Path) -> None:
    store = incomplete(tmp_path / "s", "score/none>tagging")
    found = pd.read_csv(io.BytesIO(export(store.transfer(), "csv")), keep_default_na=False)
    cells = found[["intermediate", "target", "value", "seeds", "state", "overlap"]]
    assert cells.to_numpy().tolist() == [
        ["none", "tagging", "", 0, "not run", ""],
        ["supersense", "tagging", "56.5", 2, "partial", ""],
        ["more", "tagging", "45.0", 3, "done", "same data as the training task"],
        ["none", "demo_retrieval", "20.0", 3, "done", ""],
        ["supersense", "demo_retrieval", "27.0", 3, "done", ""],
        ["more", "demo_retrieval", "20.0", 3, "done", ""],
    ]


def test_parquet_says_what_csv_says(complete: Store) -> None:
    matrix = complete.transfer("gain")
    found = pd.read_parquet(io.BytesIO(export(matrix, "parquet")))
    pd.testing.assert_frame_equal(found, matrix.to_frame(), check_dtype=False)


def test_scores_in_every_format(complete: Store) -> None:
    frame = complete.scores(target="tagging", intermediate="none", language="qab", seed=1)
    assert (
        export(frame, "csv")
        .decode()
        .splitlines()[1]
        .startswith("tiny,none,tagging,1,test,qab,True,,f1,51.0,100,True")
    )
    assert len(pd.read_parquet(io.BytesIO(export(frame, "parquet")))) == 1
    assert export(frame, "markdown").decode() == (
        "| study | intermediate | target | seed | split | language | zero\\_shot | overlap "
        "| metric | value | n |\n"
        "| --- | --- | --- | ---: | --- | --- | --- | --- | --- | ---: | ---: |\n"
        "| tiny | none | tagging | 1 | test | qab | True |  | f1 | 51 | 100 |\n"
    )
    assert export(frame, "latex").decode().splitlines()[4] == (
        r"tiny & none & tagging & 1 & test & qab & True &  & f1 & 51 & 100 \\"
    )


def test_rankings_in_every_format() -> None:
    frame = pd.DataFrame({"id": ["q1", "q2"], "ranking": [["c2", "c1"], None]})
    assert export(frame, "csv").decode() == 'id,ranking\nq1,"[""c2"", ""c1""]"\nq2,\n'
    found = pd.read_parquet(io.BytesIO(export(frame, "parquet")))
    assert [None if one is None else list(one) for one in found["ranking"]] == [["c2", "c1"], None]
    assert export(frame, "markdown").decode() == "| id |\n| --- |\n| q1 |\n| q2 |\n"


def test_text_is_escaped() -> None:
    assert latex_text(r"50 % & a_b #1 {x} ~ ^ \ $") == (
        r"50 \% \& a\_b \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
    )
    assert latex_text("one\n\ntwo") == "one  two", "no paragraph ends in a table"
    frame = pd.DataFrame({"a|b": ["x|y\n<i>z_"]})
    assert export(frame, "markdown").decode().splitlines()[2] == "| x\\|y \\<i>z\\_ |"


def test_an_unknown_format_is_an_error(complete: Store) -> None:
    with pytest.raises(StoreError, match="Did you mean 'latex'"):
        export(complete.transfer(), "latx")
