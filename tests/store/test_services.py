"""A bucket whose service fails: what passes is tried again, what does not is said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import boto3
import pyarrow as pa
import pytest

from benchmarks.flaky import Flaky, flaky
from benchmarks.s3 import BUCKET, KEYS, new_address
from sweeper.errors import StoreError, UnreachableError
from sweeper.store import tables
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.markers import commit

SEED = 11
QUICK = json.dumps({"config_kwargs": {"read_timeout": 1}})


OUTCOME = {"status": "done", "message": "", "selections": {}}


@pytest.fixture(scope="module")
def proxy(s3: str) -> Iterator[tuple[str, Flaky]]:
    with flaky(s3, share=0.0, seed=SEED, hang=4.0) as made:
        yield made


@pytest.fixture
def faults(proxy: tuple[str, Flaky], monkeypatch: pytest.MonkeyPatch) -> Flaky:
    """What a proxy before the server, to which the environment leads, does when it is told to."""
    url, faults = proxy
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.setenv("FSSPEC_S3", QUICK)
    faults.reset(SEED)
    return faults


@pytest.fixture
def files(faults: Flaky) -> StoreFiles:
    return StoreFiles(new_address(), create=True)


def _is_ours(files: StoreFiles, faults: Flaky, fault: str, after: bool) -> None:
    faults.script = [(fault, after)]
    assert files.create("commits/a.0", {"who": 1})
    assert faults.script == [] and sum(faults.made.values()) == 1
    assert not files.create("commits/a.0", {"who": 2})
    assert files.read("commits/a.0") == {"who": 1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", ["500", "503", "hang", "drop", "409"])
def test_a_create_whose_answer_is_lost_is_ours(
    files: StoreFiles, faults: Flaky, fault: str, after: bool
) -> None:
    _is_ours(files, faults, fault, after)


@pytest.mark.parametrize("fault", ["503", "hang", "drop", "409"])
def test_a_create_whose_answer_is_lost_is_ours_on_gcs_too(
    gs: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"token": "anon", "requests_timeout": 1}
    monkeypatch.setenv("FSSPEC_GS", json.dumps(quick))
    with flaky(gs, share=0.0, seed=SEED, hang=4.0) as (url, faults):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        _is_ours(StoreFiles(new_address("gs"), create=True), faults, fault, after=True)


@pytest.mark.parametrize("fault", ["500", "hang", "drop", "cut"])
def test_an_answer_that_is_cut_off_is_asked_for_again(
    files: StoreFiles, faults: Flaky, fault: str
) -> None:
    files.create("x/a", {"long": "x" * 1000})
    faults.script = [(fault, True)]
    assert files.read("x/a") == {"long": "x" * 1000}
    faults.script = [(fault, True)]
    assert files.names("x") == ["a"]
    faults.script = [(fault, True)]
    files.remove("x")
    assert files.names("x") == []


def test_what_others_write_and_delete_is_seen_at_once(address: str) -> None:
    files = StoreFiles(address, create=True)
    other, path = boto3.client("s3"), address.removeprefix(f"s3://{BUCKET}/")
    assert files.names("x") == [] and not files.exists("x/a")
    other.put_object(Bucket=BUCKET, Key=f"{path}/x/a", Body=b"{}")
    assert files.names("x") == ["a"] and files.exists("x/a") and files.there(["x"])
    other.put_object(Bucket=BUCKET, Key=f"{path}/x/b", Body=b'{"b": 1}')
    assert files.names("x") == ["a", "b"] and files.read("x/b") == {"b": 1}
    other.put_object(Bucket=BUCKET, Key=f"{path}/x/b", Body=b'{"b": 2}')
    assert files.read("x/b") == {"b": 2}
    other.delete_object(Bucket=BUCKET, Key=f"{path}/x/a")
    assert files.names("x") == ["b"] and not files.exists("x/a")


def test_a_thousand_names_and_more_come_in_pages(address: str) -> None:
    files = StoreFiles(address, create=True)
    other, path = boto3.client("s3"), address.removeprefix(f"s3://{BUCKET}/")
    names = [f"{number:04d}" for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        keys = (f"{path}/x/{name}" for name in names)
        list(pool.map(lambda key: other.put_object(Bucket=BUCKET, Key=key, Body=b"{}"), keys))
    assert files.names("x") == names
    files.remove("x")
    assert files.names("x") == []


def test_hundreds_of_requests_under_faults(files: StoreFiles, faults: Flaky) -> None:
    faults.share = 0.1
    names = [f"asks/x/{number}.json" for number in range(10)]

    def writer(who: int) -> list[bool]:
        return [files.create(name, {"who": who, "name": name}) for name in names]

    writers = range(10)
    with ThreadPoolExecutor(len(writers)) as pool:
        won = list(pool.map(writer, writers))
    winners = [[who for who in writers if won[who][place]] for place in range(len(names))]
    assert all(len(one) == 1 for one in winners)
    assert files.read_all(names) == [
        {"who": who, "name": name} for [who], name in zip(winners, names, strict=True)
    ]
    assert len(files.names("asks/x")) == len(names)
    assert sum(faults.made.values()) > 5, f"seed {SEED}: {faults.made}"
    assert any(fault.endswith("after") for fault in faults.made)


def test_a_whole_commit_under_faults(files: StoreFiles, faults: Flaky) -> None:
    faults.share = 0.2
    folder = files.attempt_folder("a" * 32, "1")
    for number in range(10):
        (folder / f"part-{number}").write_bytes(bytes([number]) * 1000)
    made = [
        *files.publish(f"attempts/{'a' * 32}/1"),
        tables.write(files, "scores", "a-1", [{"job": "j", "value": 1.0}]),
    ]
    assert commit(files, address="a" * 32, generation=0, attempt="1", job="j", kind="train",
                  units={"all": "u"}, made=made, outcome=OUTCOME)  # fmt: skip
    found = Commits(StoreFiles(files.address)).by_unit["u"]
    assert len(found.files) == 11
    local = files.local(found.folder)
    assert sorted(path.name for path in local.iterdir()) == [f"part-{n}" for n in range(10)]
    assert (local / "part-7").read_bytes() == b"\x07" * 1000
    name = found.table("scores")
    assert name and isinstance(tables.read(files, "scores", [name]), pa.Table)


# ---- what does not pass -----------------------------------------------------------------------


def _secrets() -> set[str]:
    return {KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], "X-Amz", "Signature"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [("403", r"refused what a store must be allowed.*AccessDenied.*Give AWS_ACCESS_KEY_ID"),
     ("500", r"failed 4 times in a row.*500.*start the same run again")],
)  # fmt: skip
def test_a_refusal_is_one_sentence_without_secrets(
    files: StoreFiles, faults: Flaky, fault: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.store.services.time.sleep", lambda seconds: None)
    once = {"read_timeout": 1, "retries": {"mode": "standard", "total_max_attempts": 1}}
    monkeypatch.setenv("FSSPEC_S3", json.dumps({"config_kwargs": once}))
    files = StoreFiles(files.address)
    before = faults.seen
    faults.script = [(fault, False)] * 100
    with pytest.raises(StoreError, match=said) as caught:
        files.create("a", {})
    assert not any(secret in str(caught.value) for secret in _secrets())
    assert caught.value.__cause__ is None
    assert faults.seen - before == (1 if fault == "403" else 4)
    assert isinstance(caught.value, UnreachableError) == (fault == "500"), "it may pass"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_that_is_not_there_is_said(gs: str, scheme: str) -> None:
    with pytest.raises(StoreError, match=rf"bucket of {scheme}://nowhere/x must be there"):
        StoreFiles(f"{scheme}://nowhere/x", create=True)


def test_no_credentials_is_said(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(StoreError, match="needs credentials, and there are none"):
        StoreFiles(f"s3://{BUCKET}/x")


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gs")])
def test_a_missing_library_names_the_command(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"s3": "s3fs", "gs": "gcsfs"}[scheme], None)
    with pytest.raises(StoreError, match=rf"pip install 'sweeper\[{extra}\]'"):
        StoreFiles(f"{scheme}://bucket/x")


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///x",
        "s3://key:secret@bucket/x",
        "s3://b/../x",
        "https://host/x",
        "s3://b/x?y",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(StoreError, match="A store is a folder, s3://bucket/path or") as caught:
        StoreFiles(address)
    assert "secret" not in str(caught.value)


def test_a_service_that_overwrites_is_refused(files: StoreFiles, faults: Flaky) -> None:
    before = files.content("store.json")
    faults.deaf.add("if-none-match")
    with pytest.raises(StoreError, match="does not overwrite on request"):
        StoreFiles(files.address, create=True)
    assert files.content("store.json") == before


def test_a_fork_has_a_client_of_its_own(anywhere: str) -> None:
    files = StoreFiles(anywhere, create=True)
    child = os.fork()
    if not child:
        # Whatever happens here, pytest must not go on in two processes.
        try:
            code = 0 if files.create("from/child", {}) and files.read("store.json") else 1
        except BaseException:
            code = 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert files.names("from") == ["child"]
