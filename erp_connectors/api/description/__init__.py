"""Descriptions of the API and the files: the root, the OpenAPI description, the JSON Schemas."""
