"""Heads are new at every stage, encoders are what was asked for, and both are seeded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
)

from sweeper.errors import ModelError
from sweeper.training import checkpoints
from sweeper.training.models import Head, Heads, Source, build, load

from .conftest import World, encoder

NLI = Head("nli", "classification", ("yes", "no"))
OTHER = Head("other", "classification", ("good", "bad"))
NER = Head("ner", "token_classification", ("O", "B-X", "I-X"))
MLM = Head("text", "masked_lm")
PAIRS = Head("pairs", "sentence_retrieval")
SPANS = Head("spans", "span_extraction")
CHOICE = Head("choice", "multiple_choice", ("0", "1", "2"))

IDS = torch.tensor([[0, 5, 6, 7, 2]])


def source(world: World, name: str = "encoder") -> Source:
    return Source(str(world.path(name)))


def saved(world: World, head: Head, seed: int) -> Heads:
    """A model that was saved to ``parent`` with its head."""
    model = build(source(world), [head], world.tokenizer, seed)
    checkpoints.save(model, world.tokenizer, world.path("parent"))
    return model


def test_a_fitting_head_of_the_parent_is_not_inherited(world: World) -> None:
    parent = saved(world, NLI, 1)
    child = build(source(world, "parent"), [OTHER], world.tokenizer, 2)
    weight = "classifier.out_proj.weight"
    assert not torch.equal(
        child.model(0).get_parameter(weight), parent.model(0).get_parameter(weight)
    )
    pairs = zip(child.encoder.parameters(), parent.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert child.model(0).config.id2label == {0: "good", 1: "bad"}
    assert child.model(0).config.label2id == {"good": 0, "bad": 1}


def test_a_parent_with_another_head_is_no_obstacle(world: World) -> None:
    parent = saved(world, NER, 1)
    child = build(source(world, "parent"), [NLI, MLM], world.tokenizer, 2)
    pairs = zip(child.encoder.parameters(), parent.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_heads_depend_on_seed_and_task_alone(world: World) -> None:
    def head(seed: int, *heads: Head) -> torch.Tensor:
        torch.manual_seed(len(heads))
        model = build(source(world), heads, world.tokenizer, seed)
        head: torch.nn.Module = model.model(len(heads) - 1)
        return head.get_parameter("classifier.out_proj.weight")

    assert torch.equal(head(3, NLI), head(3, NER, MLM, NLI))
    assert not torch.equal(head(3, NLI), head(4, NLI))
    assert not torch.equal(head(3, NLI), head(3, OTHER))
    assert head(3, NLI).std().item() == pytest.approx(0.2, rel=0.5)


def test_building_leaves_the_global_generator_alone(world: World) -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    build(source(world), [NLI], world.tokenizer, 1)
    assert torch.equal(torch.rand(2), expected)


def test_tasks_share_one_encoder_and_the_masked_lm_its_embeddings(world: World) -> None:
    model = build(source(world), [NLI, NER, MLM], world.tokenizer, 1)
    assert all(one.base_model is model.encoder for one in model.models)
    words = model.encoder.get_input_embeddings()
    assert model.model(2).get_output_embeddings().weight is words.weight
    saved_words = AutoModel.from_pretrained(world.path("encoder")).get_input_embeddings()
    assert torch.equal(words.weight, saved_words.weight)


def test_half_precision_parents_become_float32(world: World) -> None:
    AutoModel.from_pretrained(world.path("encoder")).bfloat16().save_pretrained(world.path("half"))
    model = build(source(world, "half"), [NLI], world.tokenizer, 1)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    checkpoints.save(model, world.tokenizer, world.path("saved"))
    loaded = AutoModelForSequenceClassification.from_pretrained(world.path("saved"))
    assert loaded.dtype == torch.float32


def test_scratch_takes_its_vocabulary_from_the_tokenizer(world: World) -> None:
    sizes = {"layers": 1, "hidden": 8, "heads": 2, "feed_forward": 8, "max_length": 20}
    model = build(Source(scratch=sizes), [MLM], world.tokenizer, 1)
    config = model.encoder.config
    assert config.vocab_size == len(world.tokenizer)
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_id) == (0, 1, 2)
    assert config.max_position_embeddings == 22
    assert model.longest == 20
    again = build(Source(scratch=sizes), [MLM], world.tokenizer, 1)
    pairs = zip(model.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_dropout_is_overridden_for_this_training_only(world: World) -> None:
    model = build(source(world), [NLI], world.tokenizer, 1, dropout=0.37)
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.37}
    assert model.model(0).config.hidden_dropout_prob == 0.1


@pytest.mark.parametrize("head", [NLI, NER, MLM, SPANS, CHOICE])
def test_a_saved_folder_predicts_the_same_without_sweeper(world: World, head: Head) -> None:
    model = saved(world, head, 1).eval()
    auto = {
        "classification": AutoModelForSequenceClassification,
        "token_classification": AutoModelForTokenClassification,
        "masked_lm": AutoModelForMaskedLM,
        "span_extraction": AutoModelForQuestionAnswering,
        "multiple_choice": AutoModelForMultipleChoice,
    }[head.kind]
    ids = IDS[None] if head is CHOICE else IDS

    def said(one: torch.nn.Module) -> torch.Tensor:
        return one(ids)[0]  # logits, or those of the starts

    other, info = auto.from_pretrained(world.path("parent"), output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    # A pooler multiplies a matrix and a vector, which BLAS rounds by where they lie in memory.
    exact = {"rtol": 0.0, "atol": 1e-6 if head is CHOICE else 0.0}
    torch.testing.assert_close(said(other.eval()), said(model.model(0)), **exact)
    tokenizer = AutoTokenizer.from_pretrained(world.path("parent"))
    text = "ana bela zzz"
    assert tokenizer(text, text) == world.tokenizer(text, text)
    again = load(source(world, "parent"), head, tokenizer).eval()
    torch.testing.assert_close(said(again.model(0)), said(other), **exact)


def test_a_mixture_is_an_encoder_and_small_heads(world: World) -> None:
    heads = [NLI, NER, MLM]
    model = build(source(world), heads, world.tokenizer, 1).eval()
    folder = world.path("mixture")
    checkpoints.save(model, world.tokenizer, folder)
    assert sorted(path.stem for path in (folder / "heads").iterdir()) == ["ner", "nli", "text"]
    loaded = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    expected = model.encoder(IDS).last_hidden_state
    assert torch.equal(loaded(IDS).last_hidden_state, expected)
    again = checkpoints.load_mixture(folder, heads, world.tokenizer).eval()
    for index in range(3):
        assert torch.equal(again.model(index)(IDS).logits, model.model(index)(IDS).logits)
    with pytest.raises(ModelError, match="no head for 'other'"):
        checkpoints.load_mixture(folder, [OTHER], world.tokenizer)


def pooler(model: Heads) -> torch.Tensor:
    weight: torch.Tensor = model.encoder.pooler.dense.weight
    return weight


def test_a_pooler_passes_with_the_encoder_that_has_one(world: World) -> None:
    own = AutoModel.from_pretrained(world.path("encoder")).pooler.dense.weight
    first = build(source(world), [CHOICE], world.tokenizer, 1)
    assert torch.equal(pooler(first), own)
    with torch.no_grad():
        pooler(first).add_(1.0)
    checkpoints.save(first, world.tokenizer, world.path("choice"))
    second = build(source(world, "choice"), [CHOICE], world.tokenizer, 2)
    assert torch.equal(pooler(second), own + 1.0)
    weight = "classifier.weight"
    assert not torch.equal(
        second.model(0).get_parameter(weight), first.model(0).get_parameter(weight)
    )


def test_a_pooler_that_no_parent_has_depends_on_the_seed_alone(world: World) -> None:
    saved(world, SPANS, 1)
    assert not any("pooler" in name for name in tensors(world.path("parent")))
    one, same, other = (
        build(source(world, "parent"), heads, world.tokenizer, seed)
        for heads, seed in (([CHOICE], 3), ([NLI, CHOICE], 3), ([CHOICE], 4))
    )
    assert torch.equal(pooler(one), pooler(same))
    assert not torch.equal(pooler(one), pooler(other))
    assert pooler(one).std().item() == pytest.approx(0.2, rel=0.2)


def test_a_scratch_encoder_is_the_same_with_a_pooler_and_without(world: World) -> None:
    sizes = {"layers": 1, "hidden": 8, "heads": 2, "feed_forward": 8, "max_length": 20}
    with_pooler = build(Source(scratch=sizes), [CHOICE], world.tokenizer, 1).encoder
    without = build(Source(scratch=sizes), [NLI], world.tokenizer, 1).encoder
    own = dict(with_pooler.named_parameters())
    assert all(torch.equal(own[name], one) for name, one in without.named_parameters())


def test_a_mixture_of_heads_with_and_without_pooler(world: World) -> None:
    heads = [NLI, CHOICE, SPANS, MLM]
    model = build(source(world), heads, world.tokenizer, 1).eval()
    assert all(one.base_model is model.encoder for one in model.models)
    checkpoints.save(model, world.tokenizer, world.path("mixture"))
    assert "pooler.dense.weight" in tensors(world.path("mixture"))
    again = checkpoints.load_mixture(world.path("mixture"), [CHOICE], world.tokenizer).eval()
    # Rounded by where the weights lie in memory, see above.
    expected = model.model(1)(IDS[None]).logits
    torch.testing.assert_close(again.model(0)(IDS[None]).logits, expected, rtol=0.0, atol=1e-6)
    alone = checkpoints.load_mixture(world.path("mixture"), [NLI, SPANS], world.tokenizer).eval()
    assert alone.encoder.pooler is None
    assert torch.equal(alone.model(1)(IDS).end_logits, model.model(2)(IDS).end_logits)


def test_multiple_choice_is_not_scored_with_a_new_pooler(world: World) -> None:
    saved(world, CHOICE, 1)
    path = world.path("parent/model.safetensors")
    kept = {name: one for name, one in tensors(world.path("parent")).items() if "pool" not in name}
    save_file(kept, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 2 tensors .* roberta\.pooler"):
        load(source(world, "parent"), CHOICE, world.tokenizer)


def test_another_number_of_choices_is_no_obstacle(world: World) -> None:
    saved(world, CHOICE, 1)
    two = Head("other", "multiple_choice", ("0", "1"))
    assert load(source(world, "parent"), two, world.tokenizer).heads == (two,)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_an_encoder_is_not_scored_as_if_it_had_a_head(world: World) -> None:
    with pytest.raises(ModelError, match=r"lack 4 tensors .* classifier"):
        load(source(world), NLI, world.tokenizer)


def test_other_labels_than_the_checkpoints_are_refused(world: World) -> None:
    saved(world, NLI, 1)
    with pytest.raises(ModelError, match=r"\['yes', 'no'\].*\['good', 'bad'\]"):
        load(source(world, "parent"), OTHER, world.tokenizer)


def test_an_encoder_without_all_its_weights_is_refused(world: World) -> None:
    path = world.path("encoder/model.safetensors")
    tensors = load_file(path)
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 tensors.*layer\.1\.output\.dense\.weight"):
        build(source(world), [NLI], world.tokenizer, 1)


def test_a_tokenizer_of_another_model_is_refused(world: World) -> None:
    encoder(world.path("small"), 10)
    with pytest.raises(ModelError, match="have 10"):
        build(source(world, "small"), [NLI], world.tokenizer, 1)


def test_no_such_folder(world: World) -> None:
    with pytest.raises(ModelError, match="not a folder"):
        build(Source(str(world.path("nowhere"))), [NLI], world.tokenizer, 1)


def test_unknown_kind(world: World) -> None:
    with pytest.raises(ModelError, match="Did you mean 'masked_lm'"):
        build(source(world), [Head("x", "maskd_lm")], world.tokenizer, 1)


def test_bert_keeps_its_pooler_and_counts_positions_from_zero(
    world: World, tmp_path: Path
) -> None:
    config = BertConfig(
        vocab_size=len(world.tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
        pad_token_id=1,
    )
    parent = BertModel(config)
    parent.save_pretrained(tmp_path / "bert")
    model = build(Source(str(tmp_path / "bert")), [NLI, MLM], world.tokenizer, 1)
    assert model.longest == 40
    assert torch.equal(model.encoder.pooler.dense.weight, parent.pooler.dense.weight)
    assert load(Source(str(tmp_path / "bert")), PAIRS, world.tokenizer).encoder.pooler is None
