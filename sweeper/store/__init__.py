"""The store: immutable files, one commit marker per job, tables in Parquet. No server."""
