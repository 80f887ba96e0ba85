"""The paper's own figures, for the small panel beside ours; never mixed with our numbers.

Source: arXiv:2310.02238, Figure 5 (Llama-2-7b-chat), read in independent transcriptions. The middle OpenBookQA values are unconfirmed and
left out.
"""

STEPS = (0, 20, 40, 60, 80, 100, 120)

FAMILIARITY_COMPLETION = (0.290, 0.040, 0.020, 0.017, 0.007, 0.007, 0.007)

FAMILIARITY_PROBABILITY = (0.244, 0.062, 0.022, 0.012, 0.011, 0.008, 0.006)

ACCURACY = {
    "ARC-challenge": (0.440, 0.431, 0.420, 0.417, 0.416, 0.416, 0.414),
    "ARC-easy": (0.744, 0.746, 0.740, 0.733, 0.728, 0.727, 0.724),
    "BoolQ": (0.807, 0.802, 0.801, 0.798, 0.798, 0.797, 0.796),
    "HellaSwag": (0.577, 0.569, 0.565, 0.562, 0.560, 0.559, 0.557),
    "PIQA": (0.767, 0.775, 0.773, 0.763, 0.762, 0.761, 0.760),
    "WinoGrande": (0.663, 0.676, 0.669, 0.666, 0.665, 0.661, 0.657),
}

MODEL = "Llama-2-7b-chat"

SOURCE = "arXiv:2310.02238, Figure 5"


def mean_accuracy() -> tuple[float, ...]:
    """Unweighted mean of the six tasks above, by step."""
    return tuple(sum(values) / len(ACCURACY) for values in zip(*ACCURACY.values(), strict=True))
