"""The numbers that tables show of the evaluation `clean`."""

from collections.abc import Mapping

import numpy as np

from ews.pipeline.evaluate.clean.clean_spec import CleanFindings
from ews.pipeline.evaluate.evaluation_specs import Options
from ews.pipeline.evaluate.scores import SELECTED, Arrays, Score, Scoring, Wrong

CLEAN = "clean error"
BEST = CLEAN + SELECTED


def _scores(findings: CleanFindings, options: Options) -> Mapping[str, Score]:
    best = {} if findings.best is None else {BEST: Score(findings.best.error, findings.best.n)}
    return {CLEAN: Score(findings.last.error, findings.last.n), **best}


def _wrong(arrays: Arrays, options: Options) -> Mapping[str, Wrong]:
    flags = arrays["prediction"] != arrays["label"]
    return {CLEAN: Wrong(100.0 * flags, arrays["index"].astype(np.int64), 1)}


SCORING = Scoring(
    scores=_scores,
    headline=lambda _: (CLEAN,),
    define=lambda metric, options, count: f"Clean error: on {count}.",
    wrong=_wrong,
    compared=lambda _: (CLEAN,),
)
