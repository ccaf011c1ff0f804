"""Charts made from tables: one module per chart, each returning a frozen `Chart` that draws itself."""
