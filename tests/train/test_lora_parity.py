"""LoRA against peft: forward, gradients, merge, how it begins, ten steps, and adapters that go both ways.

Tolerance 1e-6: fp32, two layers of width 32, values of about one; sums of 32 to 48 products whose order may
differ. Ten steps to 1e-4, as ten updates multiply what differs.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from handbook.model.adapters import read_adapter
from handbook.model.load import from_hf
from handbook.model.transformer import Transformer
from handbook.train.adapter_files import write_adapter
from handbook.train.lora import (
    LoRAConfig,
    adapter_of,
    add_lora,
    apply_adapter,
    lora_layers,
    merge,
    remove_lora,
    unmerge,
    without_adapters,
)

# peft asks transformers by a name that the latter deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
TOKENS = torch.randint(0, 64, (2, 9), generator=torch.Generator().manual_seed(5))
SWITCHES = {
    "lora": {},
    "rank-stabilised": {"use_rslora": True},
    "magnitudes": {"use_dora": True},
    "both": {"use_rslora": True, "use_dora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3}},
    "some layers": {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]},
}


class Both:
    """The same random model twice, and the folder that it came from."""

    def __init__(self, folder: Path, kind: str = "llama", **more: Any) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM

        torch.manual_seed(3)
        self.folder = folder
        self.base = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES | more)).eval()
        for name, parameter in self.base.named_parameters():
            if name.endswith("bias"):  # transformers begins them at zero
                torch.nn.init.normal_(parameter, std=0.1)
        self.base.save_pretrained(folder)

    def ours(self) -> Transformer:
        return from_hf(self.base.config.to_dict(), self.folder)

    def theirs(self, random: int | None = 1, **config: Any) -> Any:
        """peft's model; its factors random unless random is None."""
        from peft import LoraConfig, get_peft_model

        config = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear"} | config
        model = get_peft_model(copy.deepcopy(self.base), LoraConfig(**config))
        generator = torch.Generator().manual_seed(random or 0)
        for name, parameter in model.named_parameters():
            if "lora_" in name and random is not None:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        return model

    def saved(self, folder: Path, **config: Any) -> Any:
        model = self.theirs(**config)
        model.save_pretrained(folder, save_embedding_layers=False)
        return model


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    pytest.importorskip("peft")
    return Both(tmp_path_factory.mktemp("llama"))


def gradients(model: Any) -> None:
    logits = getattr(model(TOKENS), "logits", None)
    logits = model(TOKENS) if logits is None else logits
    F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).backward()


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_logits_gradients_and_merge_are_those_of_peft(both: Both, switches: Any, tmp_path: Path) -> None:
    theirs, ours = both.saved(tmp_path / "a", **switches), both.ours()
    plain = ours(TOKENS)
    apply_adapter(ours, read_adapter(tmp_path / "a", ours))
    logits = ours(TOKENS)
    assert (logits - plain).abs().max() > 0.01
    torch.testing.assert_close(logits, theirs(TOKENS).logits, **CLOSE)

    gradients(ours)
    gradients(theirs)
    wanted = {n: p.grad for n, p in theirs.named_parameters() if p.requires_grad}
    found = [p.grad for p in ours.parameters() if p.requires_grad]
    assert len(found) == len(wanted)
    for path, layer in lora_layers(ours).items():
        number, name = path.split(".")[1], path.split(".")[3]
        name = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "o_proj"}.get(
            name, f"{name}_proj"
        )
        stem = next(n.partition(".lora_")[0] for n in wanted if f"layers.{number}." in n and f".{name}." in n)
        torch.testing.assert_close(layer.a.grad, wanted[f"{stem}.lora_A.default.weight"], **CLOSE)
        torch.testing.assert_close(layer.b.grad, wanted[f"{stem}.lora_B.default.weight"], **CLOSE)
        if layer.magnitude is not None:
            long = wanted[f"{stem}.lora_magnitude_vector.default.weight"]
            torch.testing.assert_close(layer.magnitude.grad, long, **CLOSE)

    merge(ours)
    whole = theirs.merge_and_unload()
    state = dict(whole.named_parameters())
    torch.testing.assert_close(
        ours.blocks[1].mlp.down.weight, state["model.layers.1.mlp.down_proj.weight"], **CLOSE
    )
    torch.testing.assert_close(ours(TOKENS), whole(TOKENS).logits, **CLOSE)


@pytest.mark.parametrize(
    "config",
    [
        LoRAConfig(r=4, alpha=6),
        LoRAConfig(r=4, alpha=6, rslora=True),
        LoRAConfig(r=4, alpha=6, dora=True, init="gaussian", targets=("attention", "down_proj")),
        LoRAConfig(r=4, alpha=6, init="pissa"),
        LoRAConfig(r=4, alpha=6, targets=("blocks.1.mlp.*", "q_proj")),
    ],
    ids=["lora", "rank-stabilised", "magnitudes", "pissa", "some layers"],
)
def test_what_is_saved_here_loads_in_peft(both: Both, config: LoRAConfig, tmp_path: Path) -> None:
    from peft import PeftModel

    ours = both.ours()
    add_lora(ours, config, seed=1)
    plain = ours(TOKENS)
    for layer in lora_layers(ours).values():
        layer.a.data += 0.05 * torch.randn(layer.a.shape)
        layer.b.data += 0.05 * torch.randn(layer.b.shape)
    logits = ours(TOKENS)
    assert (logits - plain).abs().max() > 0.01
    write_adapter(tmp_path / "a", adapter_of(ours, base="tiny", rslora=config.rslora), ours)
    theirs = PeftModel.from_pretrained(copy.deepcopy(both.base), tmp_path / "a")
    torch.testing.assert_close(theirs(TOKENS).logits, logits, **CLOSE)
    again = read_adapter(tmp_path / "a", ours)
    assert (again.name, again.base, again.rslora) == ("a", "tiny", config.rslora)
    apply_adapter(ours, again)
    torch.testing.assert_close(ours(TOKENS), logits, **CLOSE)


def test_several_adapters_on_one_base(both: Both, tmp_path: Path) -> None:
    theirs = both.saved(tmp_path, random=1)
    theirs.add_adapter(
        "second", type(theirs.peft_config["default"])(r=2, target_modules=["v_proj", "gate_proj"])
    )
    for name, parameter in theirs.named_parameters():
        if ".second." in name:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    theirs.save_pretrained(tmp_path, save_embedding_layers=False)
    ours = both.ours()
    plain = ours(TOKENS)
    records = {
        "default": read_adapter(tmp_path, ours),
        "second": read_adapter(tmp_path / "second", ours),
    }
    for name in ("default", "second", "default"):
        apply_adapter(ours, records[name])
        theirs.set_adapter(name)
        torch.testing.assert_close(ours(TOKENS), theirs(TOKENS).logits, **CLOSE)
        with without_adapters(ours):
            assert torch.equal(ours(TOKENS), plain)
    remove_lora(ours)
    assert torch.equal(ours(TOKENS), plain)


def test_pissa_begins_as_in_peft(both: Both) -> None:
    """Singular vectors have a sign of their own: what is compared is what they make, and sizes."""
    theirs = both.theirs(random=None, init_lora_weights="pissa")
    ours = both.ours()
    plain = ours(TOKENS)
    before = {path: p.clone() for path, p in ours.named_parameters()}
    add_lora(ours, LoRAConfig(r=4, alpha=6, init="pissa"))
    torch.testing.assert_close(ours(TOKENS), plain, **CLOSE)
    layer = ours.blocks[1].mlp.up
    state = theirs.base_model.model.model.layers[1].mlp.up_proj
    a, b = state.lora_A["default"].weight, state.lora_B["default"].weight
    torch.testing.assert_close(layer.b @ layer.a, b @ a, **CLOSE)
    torch.testing.assert_close(layer.a.abs(), a.abs(), **CLOSE)
    torch.testing.assert_close(layer.b.abs(), b.abs(), **CLOSE)
    residual = layer.base.weight - layer.scale * layer.off_b @ layer.off_a
    torch.testing.assert_close(residual, state.base_layer.weight, **CLOSE)
    with without_adapters(ours):  # the base itself, which peft no longer has
        assert torch.equal(ours(TOKENS), plain)
    assert torch.equal(layer.base.weight, before["blocks.1.mlp.up.weight"])

    gradients(ours)
    gradients(theirs)
    torch.testing.assert_close(layer.a.grad.abs(), a.grad.abs(), **CLOSE)
    torch.testing.assert_close(layer.b.grad.abs(), b.grad.abs(), **CLOSE)


@pytest.mark.parametrize(("ours", "theirs"), [("kaiming", True), ("gaussian", "gaussian")])
def test_random_factors_are_spread_as_in_peft(both: Both, ours: Any, theirs: Any) -> None:
    model, r = both.ours(), 16
    add_lora(model, LoRAConfig(r=r, alpha=6, init=ours), seed=2)
    peer = both.theirs(random=None, r=r, init_lora_weights=theirs)
    mine = torch.cat([layer.a.flatten() for layer in lora_layers(model).values()])
    other = torch.cat([p.flatten() for n, p in peer.named_parameters() if "lora_A" in n])
    assert mine.numel() == other.numel() > 7_000
    assert not any(layer.b.any() for layer in lora_layers(model).values())
    torch.testing.assert_close(
        mine.std(), other.std(), rtol=0.05, atol=0
    )  # of 7,680 numbers: 0.8 % is one sigma
    torch.testing.assert_close(mine.mean(), other.mean(), rtol=0, atol=0.01)
    if ours == "kaiming":
        assert mine.abs().max() <= 32**-0.5 >= other.abs().max()


def test_ten_steps_follow_peft(both: Both, tmp_path: Path) -> None:
    theirs, ours = both.saved(tmp_path), both.ours()
    apply_adapter(ours, read_adapter(tmp_path, ours))
    curves = []
    for model in (theirs, ours):
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
        curve = []
        for _ in range(10):
            y = model(TOKENS)
            logits = getattr(y, "logits", y)
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            curve.append(loss.item())
        curves.append(curve)
    assert curves[1][-1] < curves[1][0] - 0.1
    assert curves[1] == pytest.approx(curves[0], abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("qwen2", {}),
        ("phi", {"num_key_value_heads": 4}),
        ("phi3", {"pad_token_id": None}),
        ("gemma2", {"head_dim": 8, "query_pre_attn_scalar": 8}),
    ],
)
def test_other_families_names(kind: str, more: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from peft import PeftModel

    both = Both(tmp_path / "base", kind, **more)
    theirs, ours = both.saved(tmp_path / "a"), both.ours()
    family = "phi3" if kind == "phi3" else None
    apply_adapter(ours, read_adapter(tmp_path / "a", ours))  # it finds Phi-3's names too
    torch.testing.assert_close(ours(TOKENS), theirs(TOKENS).logits, rtol=2e-5, atol=2e-5)  # as families' own
    write_adapter(tmp_path / "b", adapter_of(ours), ours, family)
    back = PeftModel.from_pretrained(copy.deepcopy(both.base), tmp_path / "b")
    torch.testing.assert_close(back(TOKENS).logits, theirs(TOKENS).logits, **CLOSE)
    if kind == "phi3":  # parts with factors of their own: one adapter of their ranks together
        remove_lora(ours)
        add_lora(ours, LoRAConfig(r=3, alpha=6, targets=("query", "value", "up"), init="pissa"))
        for layer in lora_layers(ours).values():
            layer.b.data += 0.05 * torch.randn(layer.b.shape)
        write_adapter(tmp_path / "c", adapter_of(ours), ours, family)
        own = PeftModel.from_pretrained(copy.deepcopy(both.base), tmp_path / "c")
        torch.testing.assert_close(own(TOKENS).logits, ours(TOKENS), rtol=2e-5, atol=2e-5)


def test_merging_and_back(both: Both) -> None:
    ours = both.ours()
    base = {path: p.clone() for path, p in ours.named_parameters()}
    add_lora(ours, LoRAConfig(r=4, dora=True))
    for layer in lora_layers(ours).values():
        layer.b.data.normal_()
    logits = ours(TOKENS)
    merge(ours)
    merge(ours)
    torch.testing.assert_close(ours(TOKENS), logits, rtol=1e-5, atol=1e-5)  # logits of up to 10
    assert not torch.equal(ours.blocks[0].mlp.up.weight, base["blocks.0.mlp.up.weight"])
    unmerge(ours)
    assert torch.equal(ours(TOKENS), logits)
    remove_lora(ours)
    assert {path: torch.equal(p, base[path]) for path, p in ours.named_parameters()} == dict.fromkeys(
        base, True
    )
