"""Where jobs, the registry, log lines and objects are kept: tables, buckets, and memory."""
