"""Tasks, free of torch: cards, reading data, encoding rows, metrics."""
