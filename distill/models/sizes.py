"""How large a loaded model is: token ids, positions, parameters, width of its states.

A model of text and images keeps the settings of its text part in a configuration of their own. What the weights say
counts more than what a configuration says.
"""

from __future__ import annotations

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


def text_config(config: PretrainedConfig) -> PretrainedConfig:
    """The part of a configuration that describes the language model: often all of it. It is not a copy."""
    return config.get_text_config()


def num_ids_of(model: PreTrainedModel) -> int:
    """The number of token ids that the model can read."""
    return model.get_input_embeddings().weight.shape[0]


def num_predicted_ids(model: PreTrainedModel) -> int:
    """The number of token ids that the model predicts over."""
    return model.get_output_embeddings().weight.shape[0]


def num_known_ids(model: PreTrainedModel) -> int:
    """The number of token ids that the model can both read and predict; can read, if it predicts no tokens."""
    if model.get_output_embeddings() is None:
        return num_ids_of(model)
    return min(num_ids_of(model), num_predicted_ids(model))


def state_width(model: PreTrainedModel) -> int:
    """The width H of the last hidden states, as the output layer reads them."""
    return model.get_output_embeddings().weight.shape[1]


def num_parameters(model: nn.Module) -> int:
    """The number of parameters; tied parameters count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def num_positions(model: PreTrainedModel) -> int | None:
    """The longest input in tokens, or None if nothing limits it or the configuration does not say."""
    config = text_config(model.config)
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len", "max_target_positions"))
    longest = next((number for number in named if isinstance(number, int) and number > 0), None)  # XLNet says -1
    if longest is None:
        return None
    # RoBERTa and its relatives leave the first rows of the table of positions to padding
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding) and m is not model.get_input_embeddings()]
    skipped = [t.padding_idx + 1 for t in tables if t.num_embeddings == longest and t.padding_idx is not None]
    return longest - max(skipped, default=0)
