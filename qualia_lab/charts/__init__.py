"""Tables to figures: what is drawn is a value (`chart`), made by one small module per question."""

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.param_distribution import param_distribution

__all__ = ["Chart", "metric_comparison", "metric_history", "param_distribution"]
