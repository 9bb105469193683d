"""The process that holds the binding: its main thread owns every call into `diaspora_stream.api`."""
