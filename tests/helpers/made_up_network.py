"""The small reference-conditioned network that tests make up."""

from medsynth.networks import PatchUNetConfig

SMALL = PatchUNetConfig(
    image_size=(32, 32),
    patch_size=2,
    channels=(32, 32),
    attention_levels=(False, False),
    num_res_blocks=1,
    num_head_channels=32,
    reference_conditioned=True,
)
