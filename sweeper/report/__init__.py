"""What a person sees: terminal, live progress, CSV, Parquet, Markdown, LaTeX."""
