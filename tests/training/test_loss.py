"""The loss: cross entropy as it was, and a stand-in for mean IoU that is exactly it where the network is sure."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fcn_edge.labels import VOID
from fcn_edge.training.loss import cross_entropy, labelled_weight, lovasz_softmax, sampled_pixels

SURE = 50.0  # a score so far above the others that softmax is 0 or 1


def sure(predicted: Tensor, classes: int) -> Tensor:
    return functional.one_hot(predicted, classes).T * SURE


def mean_iou(truth: Tensor, predicted: Tensor) -> float:
    """Over the classes that occur in the truth."""
    ious = []
    for label in set(truth.tolist()):
        here, there = truth == label, predicted == label
        ious.append(float((here & there).sum() / (here | there).sum()))
    return sum(ious) / len(ious)


@pytest.mark.parametrize("seed", range(5))
def test_where_the_network_is_sure_it_is_one_minus_the_mean_iou(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth, predicted = (torch.randint(4, (200,), generator=generator) for _ in range(2))
    assert float(lovasz_softmax(sure(predicted, 5), truth)) == pytest.approx(1 - mean_iou(truth, predicted), abs=1e-5)


def test_a_thin_class_counts_as_much_as_a_wide_one() -> None:
    truth = torch.tensor([0] * 99 + [1])
    assert float(lovasz_softmax(sure(torch.zeros(100, dtype=torch.long), 2), truth)) == pytest.approx(
        1 - (0.99 + 0) / 2, abs=1e-5
    )


def by_sorting(scores: Tensor, labels: Tensor) -> Tensor:
    """Berman et al., algorithm 1, class by class."""
    losses = []
    for label in sorted(set(labels.tolist())):
        truth = (labels == label).float()
        errors, order = (truth - scores.softmax(0)[label]).abs().sort(descending=True)
        truth = truth[order]
        lost = 1 - (truth.sum() - truth.cumsum(0)) / (truth.sum() + (1 - truth).cumsum(0))
        losses.append(errors @ torch.diff(lost, prepend=torch.zeros(1)))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("seed", range(3))
def test_bins_come_to_what_sorting_gives(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = (torch.randn(4, 5000, generator=generator) * 3).requires_grad_()
    labels = torch.randint(3, (5000,), generator=generator)
    found, wanted = lovasz_softmax(scores, labels), by_sorting(scores, labels)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)
    gradients = [torch.autograd.grad(loss, scores)[0] for loss in (found, wanted)]
    assert float((gradients[0] - gradients[1]).norm() / gradients[1].norm()) < 0.02


def test_its_gradient_points_downhill() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 50, generator=generator, requires_grad=True)
    truth = torch.randint(3, (50,), generator=generator)
    before = lovasz_softmax(scores, truth)
    before.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert float(lovasz_softmax(scores.detach() - scores.grad, truth)) < float(before.detach())


def test_sampled_pixels_keep_their_labels_and_leave_void_out() -> None:
    masks = torch.arange(64).reshape(1, 8, 8)
    masks[0, ::2] = VOID
    scores = torch.arange(64.0).reshape(1, 1, 8, 8)
    for corner in product(range(4), repeat=2):
        pixels, labels = sampled_pixels(scores, masks, corner, stride=4)
        assert torch.equal(pixels[0].long(), labels) and len(labels) == (0 if corner[0] % 2 == 0 else 4)


def test_the_shares_of_a_batchs_parts_add_up_to_its_mean_cross_entropy() -> None:
    """Also where one part has fewer labelled pixels, or none; void, and what is no class, counts for nothing."""
    scores, masks, weights = torch.randn(3, 3, 8, 8), torch.randint(3, (3, 8, 8)), torch.tensor([1.0, 2.0, 0.5])
    masks[0, :5], masks[1] = VOID, VOID
    parts = [slice(0, 1), slice(1, 2), slice(2, 3)]
    whole = labelled_weight([masks[part] for part in parts], weights)
    found = sum(cross_entropy(scores[part], masks[part], weights, whole) for part in parts)
    torch.testing.assert_close(found, functional.cross_entropy(scores, masks, weights, ignore_index=VOID))


def test_nothing_but_void_teaches_nothing() -> None:
    scores, masks = torch.randn(1, 3, 8, 8, requires_grad=True), torch.full((1, 8, 8), VOID)
    weights = torch.ones(3)
    loss = cross_entropy(scores, masks, weights, labelled_weight([masks], weights))
    loss = loss + lovasz_softmax(*sampled_pixels(scores, masks, (0, 0)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0 and scores.grad is not None and not scores.grad.any()


@pytest.mark.parametrize("of", ["cross entropy", "stand-in"])
def test_scores_that_are_not_finite_make_a_loss_that_is_not(of: str) -> None:
    scores, masks = torch.randn(1, 3, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long)
    scores[0, 0, ::2] = float("nan")
    if of == "stand-in":
        loss = lovasz_softmax(*sampled_pixels(scores, masks, (0, 0)))
    else:
        loss = cross_entropy(scores, masks, torch.ones(3), 64.0)
    assert not loss.isfinite()
