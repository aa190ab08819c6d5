"""A generator that does nothing: all that a new one needs, in one file."""

from dataclasses import dataclass

from medsynth.generators.base import Capabilities, GeneratorMethod, MadeSlice


@dataclass
class DoNothing:
    """Each slice is one of its references as it is: the anatomy, or with -1 the one with a lesion."""

    steps: int = 0
    which: int = 0
    capabilities: Capabilities = Capabilities(lesions=False, background=False)
    name = "do_nothing"
    checkpoint = None

    def check(self, task):
        pass

    def seconds_per_slice(self, shape):
        return 0.0

    def generate(self, slices, task, *, seed, step_mm, on_step):
        for k in slices:
            for done in range(self.steps):
                on_step(k, done + 1, self.steps)
            yield MadeSlice(k, task(k).references[self.which].values)

    def record(self):
        return {"device": "cpu"}


def load(request, *, preset, weights, metadata, device):
    assert weights is None
    return DoNothing(request.steps)


GENERATOR = GeneratorMethod(title="Nothing is done", make=load, needs_weights=False)
