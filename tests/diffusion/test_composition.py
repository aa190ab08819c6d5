"""Several references at once: who rules what, exactly."""

import pytest
import torch
from closed_form import DOUBLE, GaussianDenoiser, drawn, outcome, smooth_data

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion import sampling as synthesis
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance, composition, low_pass

SIZE = (12, 12)


def image(seed, size=SIZE):
    fresh = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, *size, dtype=DOUBLE, generator=fresh)


def phi(factor, kind="dct", size=SIZE):
    return low_pass.build(kind, size=size, factor=factor)


def box(rows, columns, size=SIZE):
    weights = torch.zeros(1, 1, *size, dtype=DOUBLE)
    weights[..., slice(*rows), slice(*columns)] = 1
    return weights


def result_of(references, *, kind="nested", space="x0", steps=20):
    """Mean of what the default sampler gives, as an image."""
    denoiser = GaussianDenoiser(smooth_data(SIZE), schedule.build("cosine"))
    guidance = LowFrequencyGuidance(references, composition=kind, space=space)
    mean, covariance = outcome(
        denoiser, samplers.build("dpmpp_2m"), steps=steps, conditions=[guidance]
    )
    return mean.reshape(1, 1, *SIZE), covariance


@pytest.mark.slow
@pytest.mark.parametrize("space", ["x0", "x_t"])
@pytest.mark.parametrize(("order", "factor"), [(1, 2), (-1, 2), (1, 1)])
def test_nested_gives_both_bands(space, order, factor):
    coarse, fine = image(1), image(2)
    references = [LowFrequency("coarse", coarse, 6), LowFrequency("fine", fine, factor)][::order]
    mean, covariance = result_of(references, space=space)
    torch.testing.assert_close(phi(6)(mean), phi(6)(coarse), rtol=0, atol=1e-9)
    band = phi(factor)(mean) - phi(6)(mean)
    torch.testing.assert_close(band, phi(factor)(fine) - phi(6)(fine), rtol=0, atol=1e-9)
    seen = phi(factor)(covariance.reshape(-1, 1, *SIZE))
    assert float(seen.abs().max()) < 1e-12  # every sample has both, not just their mean


def test_nested_keeps_the_anatomy_exact_beside_a_region():
    """The anatomy's band is that of the image in which the region shows its own reference."""
    anatomy, lesion, weights = image(1), image(2), 0.7 * box((3, 8), (4, 9))
    mean, _ = result_of(
        [LowFrequency("anatomy", anatomy, 4), LowFrequency("lesion", lesion, 2, weights=weights)]
    )
    composed = torch.lerp(anatomy, lesion, weights)
    torch.testing.assert_close(phi(4)(mean), phi(4)(composed), rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nested", "weighted"])
def test_a_region_follows_its_reference_more_closely_than_the_anatomy(kind):
    anatomy, lesion, weights = image(1), image(2), box((2, 10), (2, 10))
    pair = [LowFrequency("anatomy", anatomy, 6), LowFrequency("lesion", lesion, 2, weights=weights)]
    alone, _ = result_of(pair[:1], kind=kind)
    both, _ = result_of(pair, kind=kind)
    inside = (slice(None), slice(None), slice(4, 8), slice(4, 8))
    wanted = phi(2)(lesion)[inside]
    without = (phi(2)(alone)[inside] - wanted).square().mean()
    with_it = (phi(2)(both)[inside] - wanted).square().mean()
    assert with_it < 0.2 * without


@pytest.mark.slow
def test_nested_with_a_loose_region_leaves_it_loose():
    """A region with a coarser factor than the anatomy is not held to the anatomy's fine band."""
    anatomy, lesion, weights = image(1), image(2), box((0, 12), (0, 6))
    references = [
        LowFrequency("anatomy", anatomy, 2),
        LowFrequency("lesion", lesion, 6, weights=weights),
    ]
    _, covariance = result_of(references)
    variance = covariance.diagonal().reshape(SIZE)
    _, strict = result_of(references[:1])
    strict = strict.diagonal().reshape(SIZE)
    assert float(variance[:, :4].mean()) > 2 * float(strict[:, :4].mean())
    assert float(variance[:, 9:].mean()) < 1.5 * float(strict[:, 9:].mean())


@pytest.mark.parametrize("filter_kind", ["dct", "block"])
def test_an_image_that_fulfills_everything_is_left_alone(filter_kind):
    """x = y is a fixed point, whatever the weights: the corrections agree with each other."""
    anatomy, first, second = image(1), image(2), image(3)
    shares = [0.6 * box((1, 6), (1, 6)), box((4, 11), (5, 11))]
    total = sum(shares).clamp(min=1)
    shares = [share / total for share in shares]
    composed = anatomy + sum(
        w * (y - anatomy) for w, y in zip(shares, (first, second), strict=True)
    )
    guidance = LowFrequencyGuidance(
        [
            LowFrequency("anatomy", anatomy, 6, filter=filter_kind),
            LowFrequency("one", first, 2, weights=0.6 * box((1, 6), (1, 6)), filter=filter_kind),
            LowFrequency("two", second, 3, weights=box((4, 11), (5, 11)), filter=filter_kind),
        ]
    )
    move = samplers.build("ddim").plan(schedule.build("linear"), 2)[0]
    torch.testing.assert_close(guidance.apply(composed, move), composed)
    errors = guidance.errors(composed)
    assert max(values[0] for values in errors.values()) < 1e-9


def test_bands_are_disjoint():
    """What is wrong in the coarse band only is mended by the anatomy alone, also in a region."""
    anatomy, lesion, weights = image(1), image(2), 0.7 * box((3, 8), (4, 9))
    guidance = LowFrequencyGuidance(
        [LowFrequency("anatomy", anatomy, 4), LowFrequency("lesion", lesion, 2, weights=weights)]
    )
    composed = torch.lerp(anatomy, lesion, weights)
    move = samplers.build("ddim").plan(schedule.build("linear"), 2)[0]
    mended = guidance.apply(composed + phi(4)(image(3)), move)
    torch.testing.assert_close(mended, composed)


def test_conditioning_follows_the_largest_share():
    weights = 0.7 * box((0, 4), (0, 12)) + 0.3 * box((6, 12), (0, 12))
    references = [
        LowFrequency("anatomy", image(1), 6),
        LowFrequency("lesion", image(2), 2, weights=weights),
    ]
    composed = torch.lerp(image(1), image(2), weights)
    for kind, lesion_says in (("nested", phi(2)(composed)), ("weighted", phi(2)(image(2)))):
        low_pass_image, factor_map = composition.compose(references, kind=kind).conditioning()
        assert factor_map[0, 0, :, 0].tolist() == [2.0] * 4 + [6.0] * 8
        torch.testing.assert_close(low_pass_image[..., :4, :], lesion_says[..., :4, :])
        anatomy_says = phi(6)(composed if kind == "nested" else image(1))
        torch.testing.assert_close(low_pass_image[..., 4:, :], anatomy_says[..., 4:, :])


def test_overlapping_regions_share_the_plane():
    overlap = box((0, 8), (0, 8)), box((4, 12), (4, 12))
    references = [
        LowFrequency("anatomy", image(1), 6),
        LowFrequency("one", image(2), 2, weights=overlap[0]),
        LowFrequency("two", image(3), 2, weights=overlap[1]),
    ]
    for kind in ("nested", "weighted"):
        shares = composition.compose(references, kind=kind).shares
        torch.testing.assert_close(sum(shares), torch.ones_like(overlap[0]))
        assert float(shares[1][0, 0, 5, 5]) == 0.5
        assert float(shares[0].min()) >= 0


def test_weighted_averages_full_frame_references():
    one, two = image(1), image(2)
    mean, _ = result_of([LowFrequency("a", one, 3), LowFrequency("b", two, 3)], kind="weighted")
    torch.testing.assert_close(phi(3)(mean), phi(3)((one + two) / 2), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("count", "value"), [(2, "2.000"), (3, "3.000")])
def test_sum_of_overlapping_bands_is_refused_with_value_and_cure(count, value):
    references = [LowFrequency(f"r{i}", image(i), 3) for i in range(count)]
    with pytest.raises(ValueError, match=f"got {value}.*nested"):
        LowFrequencyGuidance(references, composition="sum")


def test_sum_of_anatomy_and_region_is_refused():
    references = [
        LowFrequency("anatomy", image(1), 6),
        LowFrequency("lesion", image(2), 2, weights=box((2, 10), (2, 10))),
    ]
    with pytest.raises(ValueError, match="largest eigenvalue"):
        LowFrequencyGuidance(references, composition="sum")


def test_sum_without_overlap_is_the_papers_equation():
    half = box((0, 12), (0, 6))
    references = [
        LowFrequency("left", image(1), 3, weights=half, filter="block"),
        LowFrequency("right", image(2), 2, weights=1 - half, filter="block"),
    ]
    guidance = LowFrequencyGuidance(references, composition="sum")
    x, move = image(3), samplers.build("ddim").plan(schedule.build("linear"), 2)[0]
    literal = x + sum(
        r.weights * (phi(r.factor, "block")(r.reference) - phi(r.factor, "block")(x))
        for r in references
    )
    torch.testing.assert_close(guidance.apply(x, move), literal)


@pytest.mark.slow
def test_refused_sum_does_diverge(monkeypatch):
    """Why the rule is there: what the literal sum does to the low-pass image when it is let through."""
    monkeypatch.setattr(composition, "EIGENVALUE_TOLERANCE", 10.0)
    data = smooth_data(SIZE)
    reference = drawn(data, seed=1).reshape(1, 1, *SIZE)
    three = [LowFrequency(f"r{i}", reference, 4) for i in range(3)]
    denoiser = GaussianDenoiser(data, schedule.build("linear"))
    guidance = LowFrequencyGuidance(three, composition="sum", space="x_t")
    _, covariance = outcome(denoiser, samplers.build("ddpm"), steps=50, conditions=[guidance])
    assert float(covariance.diagonal().mean()) > 100 * data.std**2


@pytest.mark.parametrize("filter_kind", ["dct", "block", "bicubic"])
@pytest.mark.parametrize("kind", ["nested", "weighted"])
def test_eigenvalue_of_all_that_is_offered_is_at_most_1(kind, filter_kind):
    """Of M in x <- x + M (y - x), from its matrix; blocks of 6, 3 and 2 do not nest."""
    zero = torch.zeros(1, 1, *SIZE, dtype=DOUBLE)
    regions = 0.8 * box((0, 8), (0, 8)), box((4, 12), (4, 12))
    references = [
        LowFrequency("anatomy", zero, 6, filter=filter_kind),
        LowFrequency("one", zero, 2, weights=regions[0], filter=filter_kind),
        LowFrequency("two", zero, 3, weights=regions[1], filter=filter_kind),
    ]
    composed = composition.compose(references, kind=kind)
    left = composed.apply(torch.eye(144, dtype=DOUBLE).reshape(-1, 1, *SIZE)).reshape(144, 144)
    values = 1 - torch.linalg.eigvals(left)
    assert float(values.abs().max()) < 1 + composition.EIGENVALUE_TOLERANCE
    assert float(values.abs().max()) > 0.95
    assert float(values.real.min()) > (-0.02 if filter_kind == "bicubic" else -1e-9)


@pytest.mark.parametrize("size", [(12, 12), (11, 13)])
@pytest.mark.parametrize("kind", ["dct", "block", "bicubic"])
def test_power_iteration_finds_the_eigenvalue(kind, size):
    one = LowFrequency("a", image(1, size), 3, weights=0.5 * torch.ones(1, 1, *size), filter=kind)
    value = composition.largest_eigenvalue(composition.compose([one], kind="weighted"))
    assert value == pytest.approx(0.5, rel=1e-3)


def test_slices_of_a_batch_do_not_see_each_other():
    """Each slice has its own reference and weights; a slice without a lesion is as if alone."""
    anatomies = torch.cat([image(1), image(2)])
    lesions = torch.cat([image(3), image(4)])
    weights = torch.cat([box((2, 6), (3, 9)), torch.zeros(1, 1, *SIZE, dtype=DOUBLE)])
    both = LowFrequencyGuidance(
        [LowFrequency("anatomy", anatomies, 4), LowFrequency("l", lesions, 2, weights=weights)]
    )
    alone = LowFrequencyGuidance([LowFrequency("anatomy", image(2), 4)])
    move = samplers.build("ddim").plan(schedule.build("linear"), 2)[0]
    x = torch.cat([image(5), image(6)])
    ours = both.apply(x, move)[1:]
    torch.testing.assert_close(ours, alone.apply(image(6), move))
    errors = synthesis.guidance_errors([both], both.apply(x, move))
    assert errors[0]["l"] is not None
    assert errors[1]["l"] is None
    assert errors[1]["anatomy"] < 1e-9


def test_regions_without_anatomy_act_in_their_place_only():
    weights = box((3, 9), (3, 9))
    guidance = LowFrequencyGuidance([LowFrequency("lesion", image(1), 2, weights=weights)])
    move = samplers.build("ddim").plan(schedule.build("linear"), 2)[0]
    x = image(2)
    corrected = guidance.apply(x, move)
    torch.testing.assert_close(corrected * (1 - weights), x * (1 - weights))
    wanted = x + weights * (phi(2)(image(1)) - phi(2)(x))
    torch.testing.assert_close(corrected, wanted)
    low_pass_image, factor_map, _ = guidance.conditioning(move)
    torch.testing.assert_close(factor_map, 2 * weights)
    torch.testing.assert_close(low_pass_image * weights, phi(2)(image(1)) * weights)


def test_guidance_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="one filter"):
        LowFrequencyGuidance(
            [LowFrequency("a", image(1), 6), LowFrequency("b", image(2), 3, filter="block")]
        )
    with pytest.raises(ValueError, match="different names"):
        LowFrequencyGuidance([LowFrequency("a", image(1), 6), LowFrequency("a", image(2), 3)])
    with pytest.raises(ValueError, match="one shape"):
        LowFrequencyGuidance(
            [LowFrequency("a", image(1), 6), LowFrequency("b", image(2, (9, 9)), 3)]
        )
    with pytest.raises(ValueError, match="nested, sum, weighted|unknown composition"):
        LowFrequencyGuidance([LowFrequency("a", image(1), 6)], composition="mean")
    with pytest.raises(ValueError, match="x0, x_t"):
        LowFrequencyGuidance([LowFrequency("a", image(1), 6)], space="epsilon")


def test_guidance_whose_tensors_are_in_place_is_not_composed_again():
    weights = box((2, 10), (2, 10))
    lesion = LowFrequency("lesion", image(2), 2, weights=weights)
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", image(1), 6), lesion])
    assert guidance.to("cpu") is guidance
