"""The optimiser of a training and its two groups of parameters: what is decayed, and biases and batch norm."""

from __future__ import annotations

import torch
from torch import nn

from fcn_edge.training.config import TrainingConfig


def optimiser_of(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and batch norm are not decayed, as in the paper and as usual since Goyal et al. 2017."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if p.ndim > 1]}, {"params": [p for p in trained if p.ndim <= 1]}]
    optimiser: torch.optim.Optimizer
    if config.optimizer == "sgd":
        optimiser = torch.optim.SGD(groups, lr=config.learning_rate, fused=True)
    else:
        optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    set_decay(optimiser, config)
    set_learning_rate(optimiser, config, factor=1.0)
    return optimiser


def set_decay(optimiser: torch.optim.Optimizer, config: TrainingConfig) -> None:
    """The configured decay, and SGD's momentum; the groups stand in the order in which `optimiser_of` made them."""
    for group, decay in zip(optimiser.param_groups, (config.weight_decay, 0.0), strict=True):
        group["weight_decay"] = decay
        if "momentum" in group:
            group["momentum"] = config.momentum


def set_learning_rate(optimiser: torch.optim.Optimizer, config: TrainingConfig, factor: float) -> None:
    """`factor` of the configured rate."""
    for group, of_group in zip(optimiser.param_groups, (1.0, config.bias_rate_factor), strict=True):
        group["lr"] = config.learning_rate * factor * of_group
