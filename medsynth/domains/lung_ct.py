"""Lung CT, 512 x 512, in Hounsfield units: one image for the lung, soft-tissue and bone windows."""

from medsynth.domains.base import (
    FewCalls,
    IntensityMap,
    NoisyTissue,
    OrganFinder,
    Preset,
    Tissue,
    Window,
)

PRESET = Preset(
    name="lung_ct",
    title="Lung CT",
    modality="CT",
    units="HU",
    windows=(
        Window("lung", -600, 1500),
        Window("soft tissue", 40, 400),
        Window("bone", 400, 1800),
    ),
    # Soft tissue is 40 HU wide in a range of 4000: -200..300 HU gets 45 % of the network's range.
    intensity=IntensityMap(
        physical=(-1024, -200, 300, 1000, 3071), unit=(-1.0, -0.45, 0.45, 0.75, 1.0)
    ),
    grid=(512, 512),
    trained_pixel_mm=(0.60, 0.88),
    weights="lung_ct_512.safetensors",
    low_pass_weights="lung_ct_low_64.safetensors",
    experts=("lung_ct_fine_512", "lung_ct_four_512"),
    few_calls=FewCalls(4, "lung_ct_four_512"),
    anatomy_factor=8,
    anatomy_stop=0.0,
    pathology_factor=4,
    pathology_stop=0.0,
    # The deterministic dpmpp_2m leaves 1.7 to 2.8 times the real power at the highest frequencies on
    # the first network, the stochastic one 0.8 to 1.4 times (docs/performance.md).
    sampler="dpmpp_2m_sde",
    air=-1024.0,
    body_threshold=-500.0,
    lesion_kinds=("solid", "part_solid", "ground_glass", "spiculated", "calcified"),
    phantoms=("thorax",),
    # The share: median over the training patients (soft kernels).
    noise="reference",
    has_surroundings=True,
    surroundings="reference",
    noisy_tissues=(
        NoisyTissue("soft tissue", measured=(-160, 260), faded=(-400, -200)),
        NoisyTissue("lung", measured=(-980, -650), faded=(-1000, -940), share=0.65),
    ),
    # Around a lesion medsynth.lesions.drawing_context finds it in the same way.
    organ=OrganFinder("lung", "medsynth.lesions.body:lung_of_slices", must_hold=False),
    places={
        name: OrganFinder(name.replace("_", " "), f"medsynth.lesions.places.lung:{name}")
        for name in ("lung", "left_lung", "right_lung", "upper_lung", "lower_lung")
    },
    structures={"vessels": OrganFinder("vessels", "medsynth.lesions.places.lung:vessels")},
    body_part="CHEST",
    tissues={
        "lung": Tissue((-950, -750), (-950, -700)),
        "fat": Tissue((-140, -60)),
        "muscle": Tissue((20, 90), (0, 100)),
    },
    rank=1,
)
