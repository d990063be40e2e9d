"""Console, Markdown, HTML, plots and lm-evaluation-harness's layout."""
