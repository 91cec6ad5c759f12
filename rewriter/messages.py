"""The English of the codes in `rewriter.codes`, for explanation, report and command line."""

from rewriter.codes import Standing

# --- A candidate of the online layer


def candidate_standing(standing: Standing, threshold: float, detail: str = "") -> str:
    """Return in words what becomes of a candidate of the online layer.

    Args:
        standing: the code.
        threshold: the score from which on a candidate is sent.
        detail: what the guardrail found, if it is forbidden.

    Example:
        >>> candidate_standing(Standing.SUGGESTED, 0.65)
        'below the threshold of 0.65, worth asking about'
    """
    return {
        Standing.SENT: f"reaches the threshold of {threshold:.2f}",
        Standing.SUGGESTED: f"below the threshold of {threshold:.2f}, worth asking about",
        Standing.BELOW: f"below the threshold of {threshold:.2f}",
        Standing.NO_THRESHOLD: "held-out evidence could promise no threshold",
        Standing.LESS_LIKELY: "another candidate is likelier",
        Standing.FORBIDDEN: f"guardrail: {detail or 'it alters what may be fine as it is'}",
    }[standing]
