"""Why bytes are no file of this format: texts for users."""

from orderflow.messages import register

register({"render.not_json": "It is not JSON: %(error)s."})
