"""What the studies `places` and `field_used` measure with."""
import pytest
import torch
import torch.nn.functional as F

import course
from studies import field_used, places
from studies.unet_versus_cnn import make_cnn


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(32, 1, 40, 40)


@pytest.mark.parametrize("rule", places.RULES)
def test_least_squares_finds_the_filter_under_each_rule(x, rule):
    y = F.conv2d(places.pad(x, 1, rule), torch.randn(1, 1, 3, 3))
    restore = places.fitted(x, y, 3, rule)
    assert (restore(x, rule) - y).abs().max() < 1e-4
    other = "reflect" if rule == "zeros" else "zeros"
    assert (restore(x, other) - y).abs().max() > 0.1  # at the rim


def test_another_rule_changes_the_frame_of_a_network_and_nothing_else(x):
    restore, inside = places.under(make_cnn(3, 4, residual=False)), (..., slice(3, -3), slice(3, -3))
    with torch.no_grad():
        zeros, circular = restore(x, "zeros"), restore(x, "circular")
        assert torch.equal(zeros, restore(x, "zeros"))
    assert torch.equal(zeros[inside], circular[inside])
    assert (places.ring(zeros) != places.ring(circular)).any(-1).all() and places.ring(x).shape[-1] == 4 * 39


def test_shifts_are_undone():
    x = torch.rand(4, 1, 64, 64)
    still = places.under_shifts(lambda z: z, x, x + 1)
    assert still == {"inner": 1, "inner_1": 1, **{f"moved_{a}": 0 for a in (1, 2, 3, 4)}}
    stripes = (torch.arange(64) % 2).float()  # a network that knows even from odd columns
    moved = places.under_shifts(lambda z: z + stripes, x, x)
    assert moved["moved_2"] == moved["moved_4"] == 0 and moved["moved_1"] > 1


def test_total_variation_removes_noise_and_its_best_weight_is_taken():
    torch.manual_seed(0)
    x = torch.zeros(2, 1, 24, 24)
    x[..., 8:16, 8:16] = 1
    y = course.blur(x, course.gaussian(1.0)) + 0.02 * torch.randn_like(x)
    errors = [course.rmse(field_used.tv(y, weight, "reflect"), x, together=True) for weight in field_used.TV_WEIGHTS]
    assert min(errors) < 0.5 * course.rmse(y, x, together=True)
    assert course.rmse(field_used.best_tv(y, x)(y, "reflect"), x, together=True) == min(errors)


def test_the_fewest_pixels_that_hold_a_part():
    field = torch.tensor([[0.05, 0.5], [0.15, 0.3]])
    assert field_used.holding(field, 0.9).tolist() == [[False, True], [True, True]]
    assert field_used.holding(field, 0.4).sum() == 1


def test_what_is_cut_off_comes_from_another_patient():
    x = torch.rand(3, 1, 48, 48)
    kept = torch.ones(2 * field_used.REACH + 1, 2 * field_used.REACH + 1) > 0
    two_left = torch.roll(x, 2, 3)  # what a network gives that looks two pixels to the left
    assert field_used.error_with(lambda z: z.roll(2, 3), x, two_left, kept) == 0
    kept[field_used.REACH, field_used.REACH - 2] = False
    error = field_used.error_with(lambda z: z.roll(2, 3), x, two_left, kept)
    there = [(x.roll(1, 0) - x)[:, 0, r, c - 2] for r, c in field_used.PLACES]
    assert error == pytest.approx(torch.stack(there).square().mean().sqrt().item())


def test_the_field_of_a_filter_is_its_square():
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1] = torch.tensor([1.0, 0.0, 2.0])
    field = field_used.field_of(lambda v: v + F.conv2d(v, weight, padding=1), torch.rand(2, 1, 48, 48))
    at = field_used.REACH
    assert field[at, at - 1:at + 2].tolist() == pytest.approx([0.2, 0, 0.8]) and field.sum() == pytest.approx(1)
