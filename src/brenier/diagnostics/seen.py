"""Rows that a model has seen: of those nothing can be said."""

from dataclasses import replace

from brenier.diagnostics.diagnosis import Diagnosis

# Of more seen rows than this share there is no verdict.
MOST_SEEN = 0.5


def with_seen_rows(diagnosis: Diagnosis, n_known: int, n_seen: int) -> Diagnosis:
    """Return a diagnosis that says how many of its rows the model has seen.

    Parameters
    ----------
    diagnosis : Diagnosis
        Of these rows.
    n_known, n_seen : int
        Rows that would be recognised, and those that are.
    """
    if not n_seen:
        return diagnosis
    share = n_seen / n_known
    about = "" if n_known == diagnosis.n_rows else "About "
    of_rows = f"{about}{share:.0%} of these rows are of the table that the model was fitted to"
    if share < MOST_SEEN:
        note = f"{of_rows}; they flatter it. Leave them out for a verdict that counts."
        return replace(diagnosis, notes=(note, *diagnosis.notes))
    verdict = f"{of_rows}: nothing can be said. Judge it by rows that it has not seen."
    return replace(diagnosis, verdict=verdict)
