"""Nothing that is read can run code: no pickle, no eval, no code that comes with a model."""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from sweeper import yamlfile
from sweeper.errors import DataError, ModelError, StoreError, StudyError
from sweeper.planning import plan
from sweeper.resolving import resolve
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tasks import encoding, formats, tokenizers
from sweeper.tasks.card import load_card
from sweeper.tasks.places import LocalSource
from sweeper.training.models import Head, Source, build, load
from sweeper.training.resume import ResumePoints

PACKAGE = Path(__file__).parents[2] / "sweeper"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# ---- by the source -----------------------------------------------------------------------------

UNSAFE_MODULES = {
    "cPickle", "cloudpickle", "code", "ctypes", "dill", "jinja2", "joblib", "jsonpickle",
    "marshal", "pickle", "pickletools", "runpy", "shelve",
}  # fmt: skip
UNSAFE_FUNCTIONS = {"__import__", "compile", "eval", "exec", "execfile"}
UNSAFE_METHODS = {
    "exec_module", "full_load", "popen", "read_pickle", "spec_from_file_location", "system",
    "to_pickle", "unsafe_load", "unsafe_load_all",
}  # fmt: skip
UNSAFE_DOTTED = {"np.load", "numpy.load", "torch.load", "torch.save", "yaml.load", "yaml.load_all"}


def dotted(node: ast.Call) -> str:
    """What is called: ``load`` or ``torch.load``."""
    return ast.unparse(node.func)


def is_unsafe(name: str) -> bool:
    """Whether to call it may run what it is given."""
    if "." not in name:
        return name in UNSAFE_FUNCTIONS | UNSAFE_METHODS
    first, last = name.split(".")[0], name.split(".")[-1]
    builtin = first == "builtins" and last in UNSAFE_FUNCTIONS
    return builtin or last in UNSAFE_METHODS or name in UNSAFE_DOTTED


def faults(tree: ast.AST) -> Iterator[str]:
    """What may run code from data, or would let code from outside in."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (name for name in names if name.split(".")[0] in UNSAFE_MODULES)
        if not isinstance(node, ast.Call):
            continue
        if is_unsafe(dotted(node)):
            yield dotted(node)
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        safe = {"allow_pickle": "False", "trust_remote_code": "False", "weights_only": "True"}
        safe |= {"shell": "False"}
        yield from (
            f"{name}={said[name]}" for name in safe if said.get(name, safe[name]) != safe[name]
        )


def test_the_source_calls_nothing_that_runs_data() -> None:
    assert len(SOURCES) > 100
    found = {
        path.relative_to(PACKAGE).as_posix(): list(faults(ast.parse(path.read_text("utf-8"))))
        for path in SOURCES
    }
    # The report's page is the package's own template, and what is read only fills it in.
    known = {"report/webpage/page.py": ["jinja2"]}
    assert {path: what for path, what in found.items() if what} == known


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from dill import x", "eval('1')", "x = torch.load(p)", "pd.read_pickle(p)",
     "yaml.load(s, Loader)", "f(trust_remote_code=True)", "f(trust_remote_code=study.trust)",
     "np.load(p, allow_pickle=True)", "run(c, shell=True)", "builtins.exec(t)"],
)  # fmt: skip
def test_the_search_finds(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_every_import_by_name_is_of_our_own_modules() -> None:
    """Where kinds are found by the names of the modules beside them; and a bucket's library."""
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        if "import_module(" in path.read_text("utf-8")
    }
    assert users == {
        "__init__.py", "store/services.py", "tasks/kinds/__init__.py", "training/kinds/__init__.py"
    }  # fmt: skip


def test_every_model_is_loaded_without_code_of_its_own() -> None:
    """`from_pretrained` asks the person at the keyboard unless it is told."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and dotted(node).endswith(".from_pretrained"):
                said = ast.unparse(node)
                assert "trust_remote_code=False" in said or "**source.arguments" in said, path
    assert Source("x").arguments == {"trust_remote_code": False}
    assert Source("x", "main").arguments["trust_remote_code"] is False


# ---- by trying ---------------------------------------------------------------------------------


class Canary:
    """A file that appears if code runs that came with data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.code = f"open({str(path)!r}, 'w').close()"

    def __reduce__(self) -> Any:
        return (exec, (self.code,))

    @property
    def pickled(self) -> bytes:
        return pickle.dumps(self)

    @property
    def sang(self) -> bool:
        return self.path.exists()


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """Code that must not run; nor may anybody be asked whether it shall."""

    def asked(*_: Any) -> str:
        raise AssertionError("somebody was asked whether to run code")

    monkeypatch.setattr(builtins, "input", asked)
    made = Canary(tmp_path / "canary")
    yield made
    assert not made.sang


def test_the_canary_sings_when_it_is_unpickled(tmp_path: Path) -> None:
    made = Canary(tmp_path / "canary")
    pickle.loads(made.pickled)
    assert made.sang


HEAD = Head("nli", "classification", ("yes", "no"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small encoder with its tokenizer, as a Hugging Face folder."""
    path = tmp_path / "encoder"
    tokenizers.train(iter(["ana bela cora dune elmo"] * 3), 40, path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = XLMRobertaConfig(
        vocab_size=len(tokenizers.load(path)), intermediate_size=16, type_vocab_size=1, **sizes
    )
    XLMRobertaModel(config).save_pretrained(path)
    return path


def told(path: Path, **said: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


def test_a_pickle_beside_the_weights_is_not_read(folder: Path, canary: Canary) -> None:
    (folder / "pytorch_model.bin").write_bytes(canary.pickled)
    torch.save({"x": canary}, folder / "pytorch_model-00001-of-00001.bin")
    build(Source(str(folder)), [HEAD], tokenizers.load(folder), 0)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.bin", "tf_model.h5", "model.ckpt"])
def test_weights_that_are_a_pickle_alone_are_refused(
    folder: Path, canary: Canary, name: str, tmp_path: Path
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(canary.pickled)
    tokenizer = tokenizers.load(folder)
    for use in (
        lambda: build(Source(str(folder)), [HEAD], tokenizer, 0),
        lambda: load(Source(str(folder)), HEAD, tokenizer),
    ):
        with pytest.raises(ModelError, match="cannot be loaded"):
            use()
    study = Study.model_validate(
        {"name": "x", "base": {"model": str(folder)}, "targets": {"demo_retrieval": None}}
    )
    with pytest.raises(ModelError, match=r"holds config.json, \*.safetensors"):
        resolve(plan(study), StoreFiles(tmp_path / "store", create=True))


def test_a_pickle_named_as_safetensors_is_refused(folder: Path, canary: Canary) -> None:
    (folder / "model.safetensors").write_bytes(canary.pickled)
    with pytest.raises(ModelError, match="cannot be loaded"):
        build(Source(str(folder)), [HEAD], tokenizers.load(folder), 0)


@pytest.mark.parametrize("model_type", ["xlm-roberta", "evil"])
def test_code_that_a_configuration_names_is_not_run(
    folder: Path, canary: Canary, model_type: str
) -> None:
    (folder / "evil.py").write_text(
        f"{canary.code}\n"
        "from transformers import XLMRobertaConfig as EvilConfig, XLMRobertaModel as EvilModel\n"
    )
    names = ["AutoModel", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"]
    auto = {"AutoConfig": "evil.EvilConfig", **dict.fromkeys(names, "evil.EvilModel")}
    told(folder / "config.json", auto_map=auto, model_type=model_type)
    tokenizer = tokenizers.load(folder)
    if model_type == "evil":
        with pytest.raises(ModelError, match="code of its own, which sweeper never does"):
            build(Source(str(folder)), [HEAD], tokenizer, 0)
        return
    made = build(Source(str(folder)), [HEAD], tokenizer, 0)
    assert type(made.encoder) is XLMRobertaModel
    assert not hasattr(made.model(0).config, "auto_map"), "a checkpoint would bear it on"


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_kernel_that_a_configuration_names_is_not_fetched(
    folder: Path, canary: Canary, key: str
) -> None:
    told(folder / "config.json", **{key: "kernels-community/evil"})
    made = build(Source(str(folder)), [HEAD], tokenizers.load(folder), 0)
    assert made.encoder.config._attn_implementation == "sdpa"


def test_code_that_a_tokenizer_names_is_not_run(folder: Path, canary: Canary) -> None:
    (folder / "evil.py").write_text(canary.code)
    auto = {"AutoTokenizer": ["evil.Evil", "evil.EvilFast"]}
    told(folder / "tokenizer_config.json", auto_map=auto, tokenizer_class="EvilFast")
    try:
        tokenizers.load(folder)
    except ModelError as error:
        assert "no tokenizer to load" in str(error)


@pytest.mark.parametrize("suffix", [".pt", ".pkl", ".bin", ".safetensors"])
def test_a_resume_point_that_is_a_pickle_is_none(
    tmp_path: Path, canary: Canary, suffix: str
) -> None:
    files = StoreFiles(tmp_path / "store", create=True)
    points = ResumePoints(files, "a")
    folder = tmp_path / "store" / "resume" / "a"
    folder.mkdir(parents=True)
    for slot in ("a", "b"):
        data = canary.pickled
        file = f"slot-{slot}{suffix}"
        (folder / file).write_bytes(data)
        entry = {"file": file, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest = {
            "format": 2, "address": "a", "slot": slot, "number": 1, "tensors": entry, "kept": {},
            "data": {"state": {"step": 3}},
        }  # fmt: skip
        text = json.dumps(manifest, sort_keys=True).encode()
        own = hashlib.sha256(text).hexdigest()
        (folder / f"slot-{slot}.json").write_text(json.dumps({**manifest, "sha256": own}))
    assert points.load() is None


TAGS = [
    '!!python/object/apply:builtins.exec ["{code}"]',
    '!!python/object/apply:os.system ["touch {path}"]',
    '!!python/object/new:builtins.exec {{args: ["{code}"]}}',
    "!!python/name:builtins.exec",
    "!!python/module:os",
    '!evil "x"',
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("read", [Study.load, load_card, yamlfile.load])
def test_a_yaml_tag_that_makes_objects_is_refused_with_its_line(
    tmp_path: Path, canary: Canary, tag: str, read: Any
) -> None:
    path = tmp_path / "x.yaml"
    value = tag.format(code=canary.code, path=canary.path)
    path.write_text(f"name: x\ntitle: {value}\n")
    with pytest.raises(StudyError, match=r"x\.yaml:2: not valid YAML: could not determine a cons"):
        read(path)


def test_a_yaml_bomb_is_no_more_than_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a [*a]\n")
    with pytest.raises(StudyError):
        Study.load(path)


def evil_fields(canary: Canary) -> list[pa.Field]:
    """Columns of extension types, as pyarrow writes them into a file's schema."""
    names = ("arrow.py_extension_type", "arrow.json", "evil.type")
    return [
        pa.field(
            name,
            pa.binary(),
            metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": canary.pickled},
        )
        for name in names
    ]


def evil_table(canary: Canary, **columns: list[Any]) -> pa.Table:
    """A table with pickles where readers may look for Python objects."""
    fields = [pa.field(name, pa.array(values).type) for name, values in columns.items()]
    fields += evil_fields(canary)
    arrays = [*columns.values(), *([canary.pickled] for _ in evil_fields(canary))]
    pandas = {"columns": [], "index_columns": [], "creator": {"library": "pandas"}}
    metadata = {b"pandas": json.dumps(pandas).encode(), b"pickle": canary.pickled}
    schema = pa.schema(fields, metadata=metadata)
    made = [pa.array(array, field.type) for array, field in zip(arrays, fields, strict=True)]
    return pa.Table.from_arrays(made, schema=schema)


def test_pickles_in_a_table_of_the_store_are_not_read(tmp_path: Path, canary: Canary) -> None:
    files = StoreFiles(tmp_path / "store", create=True)
    path = Path(files.where("tables/scores/a-1.parquet"))
    path.parent.mkdir(parents=True)
    pq.write_table(evil_table(canary, job=["j"], value=[1.0]), path)
    try:
        found = tables.read(files, "scores", ["tables/scores/a-1.parquet"])
    except StoreError as error:
        assert "is damaged" in str(error)
        return
    assert found.to_pandas()["job"].tolist() == ["j"]
    assert found.schema.metadata is None


def test_pickles_in_a_data_file_are_not_read(tmp_path: Path, canary: Canary) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(evil_table(canary, text=["a"], label=["b"]), path)
    source = LocalSource.model_validate_json(
        '{"format": "parquet", "files": {"train": "x"}, "columns": {"text": "text"}}'
    )
    try:
        found = [record.values for record in formats.PARSERS["parquet"]([path], source, "en")]
    except DataError:
        return
    assert found == [{"text": "a"}]


@pytest.mark.parametrize("pickled", [False, True])
def test_pickles_in_prepared_data_are_not_read(
    tmp_path: Path, canary: Canary, pickled: bool
) -> None:
    for name in (encoding.FEATURES, encoding.EXAMPLES):
        if pickled:
            (tmp_path / name).write_bytes(canary.pickled)
            continue
        table = evil_table(canary, example=[0])
        with pa.ipc.new_file(str(tmp_path / name), table.schema) as out:
            out.write_table(table)
    try:
        found = encoding.open_unit(tmp_path)
    except DataError as error:
        assert "must be a whole Arrow file" in str(error)
        return
    assert found.features["example"].to_pylist() == [0]


@pytest.mark.parametrize("relative", ["store.json", "studies/x/000000.json", "commits/x.0"])
def test_pickles_in_place_of_json_are_refused(
    tmp_path: Path, canary: Canary, relative: str
) -> None:
    files = StoreFiles(tmp_path / "store", create=True)
    path = Path(files.where(relative))
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(canary.pickled)
    with pytest.raises(StoreError):
        StoreFiles(tmp_path / "store").read(relative)


def test_a_study_has_no_key_that_lets_code_in() -> None:
    said = {
        "name": "x",
        "base": {"model": "x", "trust_remote_code": True},
        "targets": {"xnli": {}},
    }
    with pytest.raises(ValueError, match="trust_remote_code"):
        Study.model_validate(said)
