"""What comparing the runs gives, as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.relations import rank_correlations
from qualia_lab.runs.loaded import LoadedRuns

if TYPE_CHECKING:
    import pandas as pd


class Comparisons(LoadedRuns):
    """Relations."""

    def relations(self, metric: str | None = None) -> pd.DataFrame:
        """For each numeric param that varies: its rank correlation with a metric, and the n it rests on.

        Spearman's rho (Spearman 1904), ties ranked by their mean. Under ten runs it is left empty: too few to tell.
        """
        import pandas as pd

        rows = [
            {"param": row.param, "n": row.n, "rank correlation": row.rho, "": row.note}
            for row in rank_correlations(self.tables, metric or self.primary_metric or "")
        ]
        return (
            pd.DataFrame(rows, columns=["param", "n", "rank correlation", ""])
            .astype({"rank correlation": "Float64"})
            .set_index("param")
        )
