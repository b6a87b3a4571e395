"""The report: one HTML file with a store's answers, readable without a network."""
