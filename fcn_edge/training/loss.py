"""The loss of a training: cross entropy by class weights, and a stand-in for the mean IoU itself.

The stand-in is the Lovasz-softmax of Berman, Triki and Blaschko, "The Lovasz-Softmax loss", CVPR 2018: cross entropy
counts pixels, so thin things such as poles hardly move it, while here every class of the batch counts alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fcn_edge.labels import VOID

SAMPLED = 4  # the stand-in sorts pixels, so it sees one in 4 x 4, at places drawn anew each time


def segmentation_loss(scores: Tensor, masks: Tensor, weights: Tensor, reduction: str, iou_weight: float) -> Tensor:
    """Of scores (N, C, H, W) and masks (N, H, W) int64 with VOID; `weights` (C,) are of the cross entropy's classes.

    0 where all is void: such a crop teaches nothing.
    """
    if not (masks != VOID).any():
        return scores.sum() * 0
    # Contiguous first: softmax over the strided class axis of a channels-last map is several times slower.
    scores = scores.contiguous().float()
    loss = functional.cross_entropy(scores, masks, weights, ignore_index=VOID, reduction=reduction)
    return loss + iou_weight * lovasz_softmax(*sampled_pixels(scores, masks)) if iou_weight else loss


def sampled_pixels(scores: Tensor, masks: Tensor, stride: int = SAMPLED) -> tuple[Tensor, Tensor]:
    """Scores (C, P) and labels (P,) of the labelled pixels on a grid of `stride`, which starts at a random pixel."""
    top, left = (int(offset) for offset in torch.randint(stride, (2,)))
    labels = masks[:, top::stride, left::stride].flatten()
    pixels = scores[:, :, top::stride, left::stride].transpose(0, 1).flatten(1)
    labelled = labels != VOID
    return pixels[:, labelled], labels[labelled]


def lovasz_softmax(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean over the classes that occur in labels (P,) of 1 - IoU, made smooth; of scores (C, P)."""
    truth = functional.one_hot(labels, len(scores)).T.to(scores.dtype)
    occurs = truth.any(1)
    if not occurs.any():
        return scores.sum() * 0
    truth = truth[occurs]
    errors, order = (truth - scores.softmax(0)[occurs]).abs().sort(1, descending=True)
    return (errors * _steps_of_one_minus_iou(truth.gather(1, order))).sum(1).mean()


def _steps_of_one_minus_iou(truth: Tensor) -> Tensor:
    """(C, P) 0 or 1, the worst pixel first: by how much 1 - IoU grows as pixel after pixel becomes wrong."""
    total = truth.sum(1, keepdim=True)
    lost = 1 - (total - truth.cumsum(1)) / (total + (1 - truth).cumsum(1))
    return torch.diff(lost, prepend=torch.zeros_like(total))
