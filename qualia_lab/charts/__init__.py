"""Charts made from tables: one module per chart, each returning a frozen `Chart` that draws itself."""

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.param_distribution import param_distribution

__all__ = ["Chart", "metric_comparison", "metric_history", "param_distribution"]
