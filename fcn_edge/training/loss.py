"""The loss of a training: cross entropy by class weights, and a stand-in for the mean IoU itself.

The stand-in is the Lovasz-softmax of Berman, Triki and Blaschko, "The Lovasz-Softmax loss", CVPR 2018: cross entropy
counts pixels, so thin things such as poles hardly move it, while here every class of the batch counts alike.

A batch may lie on several processes, in micro-batches: the losses of all parts add up to that of the whole. Cross
entropy is the same however the batch is parted; the stand-in is that of a micro-batch over all processes, their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from fcn_edge.labels import VOID
from fcn_edge.training.ranks import summed

SAMPLED = 4  # the stand-in sees one pixel in 4 x 4, at places drawn anew each time: enough, and 16 times cheaper
BINS = 1024  # of errors 0..1


def labelled_weight(masks: Sequence[Tensor], weights: Tensor) -> Tensor:
    """What the mean cross entropy divides by: the weights (C,) of all labelled pixels, over the parts of all processes.

    Of this process's masks (N, H, W) int64. Never 0: where all is void, there is nothing to divide.
    """
    of_labels = functional.pad(weights, (0, VOID + 1 - len(weights)))  # void, and ids of no class, weigh nothing
    return summed(torch.stack([of_labels[part].sum() for part in masks]).sum()).clamp(min=1e-12)


def cross_entropy(scores: Tensor, masks: Tensor, weights: Tensor, whole: Tensor | float) -> Tensor:
    """This part's share: the sum over its labelled pixels, of scores (N, C, H, W), divided by `whole`."""
    return functional.cross_entropy(scores, masks, weights, ignore_index=VOID, reduction="sum") / whole


def sampled_pixels(
    scores: Tensor, masks: Tensor, corner: Sequence[int], stride: int = SAMPLED
) -> tuple[Tensor, Tensor]:
    """Scores (C, P) and labels (P,) of the labelled pixels on a grid of `stride`, which starts at the `corner`."""
    top, left = corner
    labels = masks[:, top::stride, left::stride].flatten()
    pixels = scores[:, :, top::stride, left::stride].transpose(0, 1).flatten(1)
    labelled = labels != VOID
    return pixels[:, labelled], labels[labelled]


def lovasz_softmax(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean over the classes that occur in labels (P,) of 1 - IoU, made smooth; of scores (C, P).

    Of several processes, whose pixels are judged as one batch, this one's share.
    """
    truth = functional.one_hot(labels, len(scores)).T.to(scores.dtype)
    total = summed(truth.sum(1))
    occurs = total > 0
    if not occurs.any():
        return scores.sum() * 0
    truth = truth[occurs]
    errors = (truth - scores.softmax(0)[occurs]).abs()
    return (errors * _weights(errors.detach(), truth, total[occurs, None])).sum(1).mean()


def _weights(errors: Tensor, truth: Tensor, total: Tensor) -> Tensor:
    """(C, P) by how much 1 - IoU grows when, from the worst error down, a pixel becomes wrong.

    Berman et al. sort the errors; bins that are narrow enough come to the same, and cost a tenth. Pixels of a bin share
    its growth as the derivatives at its middle say: one for what the class loses, one for what it wrongly takes.
    """
    bins = ((1 - errors) * (BINS - 1)).round().nan_to_num().long()  # the worst first; what is not finite stays so
    lost, taken = summed(torch.stack([_counted(bins, values) for values in (truth, 1 - truth)]))
    growth = torch.diff(1 - (total - lost.cumsum(1)) / (total + taken.cumsum(1)), prepend=torch.zeros_like(total))
    union = total + taken.cumsum(1) - taken / 2
    of_lost, of_taken = 1 / union, (total - lost.cumsum(1) + lost / 2) / union**2
    share = growth / (lost * of_lost + taken * of_taken).clamp(min=1e-12)
    return torch.where(truth > 0, (share * of_lost).gather(1, bins), (share * of_taken).gather(1, bins))


def _counted(bins: Tensor, values: Tensor) -> Tensor:
    """(C, BINS) the sums of values (C, P) that fall into each bin."""
    return values.new_zeros(len(values), BINS).scatter_add_(1, bins, values)
