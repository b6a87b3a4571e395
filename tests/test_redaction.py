"""What is secret is taken out of texts, and what is not stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.redaction import redacted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "hf_x1"),
        ("HF_TOKEN", "hf_aBcDeFgHiJkLmNoP"),
        ("RAY_AUTH_TOKEN", "9f86d081884c7d659a2feaa0c55ad015"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEND//////////wEaCXVzLWVhc3Q="),
        ("WANDB_API_KEY", "0123456789abcdef"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "abc/def+ghi=="),
        ("my_password", "correct horse"),
    ],
)
@pytest.mark.parametrize("text", ["{}", "url: https://x.org/?q={}&r=1", "'{}'\n", "a{}b"])
def test_values_of_secret_variables_go(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    monkeypatch.setenv(name, value)
    said = redacted(text.format(value))
    if len(value) < 8:  # a switch, or a name: it would blot out words
        assert said == text.format(value)
    else:
        assert value not in said and "***" in said


def test_a_secret_is_found_as_it_stands_in_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/XUtn+FEMI")
    assert redacted("PUT /x?key=wJalr%2FXUtn%2BFEMI HTTP/1.1") == "PUT /x?key=*** HTTP/1.1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:pass@hub.org/x", "https://***@hub.org/x"),
        ("https://hf_short@hub.org/x", "https://***@hub.org/x"),
        ("s3://KEY:SECRET@bucket/x", "s3://***@bucket/x"),
        ("GET https://x/y?token=abc&z=1", "GET https://x/y?token=***&z=1"),
        ("x?a=1&X-Amz-Signature=beef&b=2", "x?a=1&X-Amz-Signature=***&b=2"),
        ("x?sv=1&sig=a%2Bb", "x?sv=1&sig=***"),
        ("x?access_token=abc'", "x?access_token=***'"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic ***'}"),
        ("with hf_aBcDeFgHiJkLmNoPqRsT in it", "with *** in it"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the tokenizer of xlm-roberta-base has 250002 tokens",
        "https://huggingface.co/datasets/xnli/resolve/main/x.parquet?download=true",
        "attempts/7c0b5b60a9a0ef8c0ac1ad2d2ae0bb2f/01a1f9-9041b7/checkpoint/model.safetensors",
        "me@example.org wrote: bearer of bad news",
        "hf_hub_download failed; see /home/me/.aws/credentials",
        "false",
    ],
)
def test_other_words_stay(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-or-not")
    monkeypatch.setenv("HF_TOKEN", "false")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/.aws/credentials")
    monkeypatch.setenv("SOME_TOKEN", "")
    assert redacted(text) == text


def test_tokens_in_the_files_of_libraries_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN_PATH", "RAY_AUTH_TOKEN_PATH"):
        path = tmp_path / name
        path.write_text(f"secret-of-{name}\n")
        monkeypatch.setenv(name, str(path))
        assert redacted(f"401 for secret-of-{name}.") == "401 for ***."


def test_the_longest_secret_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "12345678")
    monkeypatch.setenv("B_TOKEN", "12345678-and-more")
    assert redacted("x 12345678-and-more y") == "x *** y"
